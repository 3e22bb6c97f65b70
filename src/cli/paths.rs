//! Paths of the command line and the configuration, made absolute.

use std::io;
use std::path::{Component, Path, PathBuf};

/// The path from this directory, without `.`, `..` and doubled slashes, so that the same directory is the same source every night.
///
/// Links stay, since what they lead to may change and the source is meant by its name; but `a/../b` is not `b` when `a` is a link,
/// so what is climbed out of is asked of the system.
pub(crate) fn absolute(path: &Path, from: &Path) -> io::Result<PathBuf> {
    let mut absolute = PathBuf::new();
    for component in from.join(path).components() {
        match component {
            Component::ParentDir => {
                absolute = absolute.canonicalize()?;
                absolute.pop();
            }
            Component::CurDir => {}
            other => absolute.push(other),
        }
    }
    Ok(absolute)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_links_are_not_climbed_out_of_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        std::fs::create_dir_all(base.join("real/deep")).unwrap();
        std::os::unix::fs::symlink("real/deep", base.join("link")).unwrap();
        let from = |path: &str| absolute(Path::new(path), &base).unwrap();
        assert_eq!(from("./a//b/"), base.join("a/b"));
        assert_eq!(from("real/../new"), base.join("new"));
        assert_eq!(from("link/../new"), base.join("real/new"));
        assert_eq!(from("link"), base.join("link"));
        assert_eq!(from("/x/./y"), Path::new("/x/y"));
        assert!(absolute(Path::new("gone/../x"), &base).is_err());
    }
}
