//! What the owner of a source wants left out.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::snapshot::source::error::SourceError;

/// The name of the file by which a directory says that it is a cache.
pub const CACHE_TAG_NAME: &[u8] = b"CACHEDIR.TAG";

/// How a valid tag begins.
pub const CACHE_TAG_SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55";

/// Patterns, compiled for one root.
///
/// A pattern without a slash matches a name at any depth; one with a slash, the path from the root (or an absolute
/// path, when it begins with the root's). `**` spans directories, `*` and `?` do not; a slash at the end means
/// directories only. What lies in an excluded directory is excluded with it.
#[derive(Debug, Default)]
pub struct Excludes {
    any: GlobSet,
    directories: GlobSet,
}

impl Excludes {
    /// Compiles the patterns for the root at this path.
    pub fn new(patterns: &[String], root: &Path) -> Result<Self, SourceError> {
        let mut any = GlobSetBuilder::new();
        let mut directories = GlobSetBuilder::new();
        for pattern in patterns {
            let fail = |reason: String| SourceError::Pattern { pattern: pattern.clone(), reason };
            let (glob, only_directories) = normalise(pattern, root).map_err(fail)?;
            let glob = GlobBuilder::new(&glob)
                .literal_separator(true)
                .build()
                .map_err(|error| fail(error.kind().to_string()))?;
            if only_directories {
                directories.add(glob)
            } else {
                any.add(glob)
            };
        }
        let build = |builder: GlobSetBuilder| {
            builder.build().map_err(|error| SourceError::Pattern {
                pattern: patterns.join(" "),
                reason: error.kind().to_string(),
            })
        };
        Ok(Self { any: build(any)?, directories: build(directories)? })
    }

    /// True when this path, relative to the root, is to be left out.
    pub fn excludes(&self, path: &[u8], is_directory: bool) -> bool {
        let path = Path::new(OsStr::from_bytes(path));
        self.any.is_match(path) || (is_directory && self.directories.is_match(path))
    }
}

fn normalise(pattern: &str, root: &Path) -> Result<(String, bool), String> {
    if pattern.starts_with('!') {
        return Err(
            "patterns cannot take back what others exclude; write `\\!` for the character".into()
        );
    }
    let (body, only_directories) = match pattern.strip_suffix('/') {
        Some(body) => (body, true),
        None => (pattern, false),
    };
    let below_root = root
        .to_str()
        .filter(|root| root.starts_with('/'))
        .and_then(|root| body.strip_prefix(root.trim_end_matches('/')))
        .filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let anchored = below_root.is_some() || body.contains('/');
    let body = below_root.unwrap_or(body).trim_start_matches('/');
    if body.is_empty() {
        return Err("it matches the whole source, or nothing".into());
    }
    Ok((if anchored { body.to_owned() } else { format!("**/{body}") }, only_directories))
}

/// The patterns in the text of an exclude file: one a line, blank lines and lines that begin with `#` aside.
pub fn patterns_in(text: &str) -> Vec<String> {
    let lines = text.lines().map(str::trim_end);
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excluded(pattern: &str, path: &str, is_directory: bool) -> bool {
        let excludes = Excludes::new(&[pattern.to_owned()], Path::new("/app/data")).unwrap();
        excludes.excludes(path.as_bytes(), is_directory)
    }

    #[test]
    fn patterns_match_names_or_paths() {
        for (pattern, path, yes) in [
            ("*.tmp", "a.tmp", true),
            ("*.tmp", "deep/er/a.tmp", true),
            ("*.tmp", "a.tmp2", false),
            ("cache", "x/cache", true),
            ("/cache", "cache", true),
            ("/cache", "x/cache", false),
            ("x/*.log", "x/a.log", true),
            ("x/*.log", "x/y/a.log", false),
            ("x/**/*.log", "x/y/z/a.log", true),
            ("/app/data/logs", "logs", true),
            ("/app/data/logs", "x/logs", false),
            ("/app/database", "app/database", true),
            ("\\!odd", "!odd", true),
        ] {
            assert_eq!(excluded(pattern, path, false), yes, "{pattern} on {path}");
        }
    }

    #[test]
    fn a_slash_at_the_end_means_directories() {
        assert!(excluded("cache/", "x/cache", true));
        assert!(!excluded("cache/", "x/cache", false));
    }

    #[test]
    fn names_that_are_not_text_match_too() {
        let excludes = Excludes::new(&["*.tmp".to_owned()], Path::new("/r")).unwrap();
        assert!(excludes.excludes(b"\xff\xfe.tmp", false));
        assert!(!excludes.excludes(b"\xff\xfe.txt", false));
    }

    #[test]
    fn meaningless_patterns_are_errors() {
        for bad in ["[", "!x", "/", "", "/app/data/"] {
            let error = Excludes::new(&[bad.to_owned()], Path::new("/app/data"));
            assert!(matches!(error, Err(SourceError::Pattern { .. })), "{bad:?}");
        }
    }

    #[test]
    fn exclude_files_have_comments() {
        assert_eq!(patterns_in("# no\n\n*.tmp \n/x\n"), ["*.tmp", "/x"]);
    }
}
