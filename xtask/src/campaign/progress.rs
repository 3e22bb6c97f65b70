//! How far a campaign has come, and on which sources.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Result;

/// How far a campaign has come on a commit.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    /// The tested commit, marked when the sources differ from it.
    pub(super) commit: String,
    /// Repetitions that passed.
    pub(super) done: u64,
    /// What they took, without compiling.
    pub(super) elapsed_ms: u64,
}

impl Progress {
    /// False when the sources were not those of any commit.
    pub(super) fn is_of_a_commit(&self) -> bool {
        !self.commit.ends_with(CHANGED)
    }
}

/// What is appended to a commit's name when the sources differ from it.
const CHANGED: &str = "-changed";

/// The commit that is tested; the table of results may differ from it, being written by this chore.
pub(super) fn commit(root: &Path) -> Result<String> {
    let name = git(root, &["rev-parse", "--short=12", "HEAD"])?;
    let changes = git(root, &["status", "--porcelain", "--", ".", ":!docs/testing.md"])?;
    Ok(if changes.is_empty() { name } else { format!("{name}{CHANGED}") })
}

fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let output =
        Command::new("git").args(arguments).current_dir(root).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("cannot start git: {error}"))?;
    if !output.status.success() {
        return Err(
            "git does not know this checkout; a campaign's result belongs to a commit".to_owned()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// `target/campaign/<name>.progress`.
pub(super) struct Store {
    path: PathBuf,
}

impl Store {
    /// Makes the directory where it is missing.
    pub(super) fn new(directory: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(directory)
            .map_err(|error| format!("cannot make {}: {error}", directory.display()))?;
        Ok(Self { path: directory.join(format!("{name}.progress")) })
    }

    /// The progress made on this commit; none when it was made on another.
    pub(super) fn load(&self, commit: &str, fresh: bool) -> Result<Progress> {
        let begin = || Progress { commit: commit.to_owned(), ..Progress::default() };
        if fresh {
            return Ok(begin());
        }
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(begin()),
            Err(error) => return Err(format!("cannot read {}: {error}", self.path.display())),
        };
        let known = from_text(&text)
            .ok_or_else(|| format!("{} is not a progress file", self.path.display()))?;
        // Between two runs changed sources may have changed again.
        if known.commit != commit || commit.ends_with(CHANGED) {
            println!("progress was made on {}; beginning again on {commit}", known.commit);
            return Ok(begin());
        }
        Ok(known)
    }

    /// Replaced in one step: an interruption leaves the old progress or the new.
    pub(super) fn save(&self, progress: &Progress) -> Result<()> {
        let draft = self.path.with_extension("draft");
        let explain = |error| format!("cannot save {}: {error}", self.path.display());
        fs::write(&draft, to_text(progress)).map_err(explain)?;
        fs::rename(&draft, &self.path).map_err(explain)
    }
}

fn to_text(progress: &Progress) -> String {
    let Progress { commit, done, elapsed_ms } = progress;
    format!("commit {commit}\ndone {done}\nelapsed_ms {elapsed_ms}\n")
}

fn from_text(text: &str) -> Option<Progress> {
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).map(str::to_owned)
    };
    Some(Progress {
        commit: field("commit")?,
        done: field("done")?.parse().ok()?,
        elapsed_ms: field("elapsed_ms")?.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_comes_back_as_it_was_saved() {
        let progress = Progress { commit: "abc-dirty".to_owned(), done: 7, elapsed_ms: 90 };
        assert_eq!(from_text(&to_text(&progress)), Some(progress));
        assert_eq!(from_text("done 7\n"), None);
        assert_eq!(from_text(""), None);
    }

    #[test]
    fn progress_goes_on_only_where_the_sources_are_the_same() {
        let root = std::env::temp_dir().join(format!("larder-campaign-{}", std::process::id()));
        let store = Store::new(&root, "crash").unwrap();
        let saved = |commit: &str| {
            store.save(&Progress { commit: commit.to_owned(), done: 7, elapsed_ms: 90 }).unwrap();
        };
        saved("abc");
        let unchanged = store.load("abc", false).unwrap().done;
        let (other, fresh) =
            (store.load("def", false).unwrap().done, store.load("abc", true).unwrap().done);
        saved("abc-changed");
        let changed = store.load("abc-changed", false).unwrap().done;
        fs::remove_dir_all(&root).unwrap();
        assert_eq!((unchanged, other, fresh, changed), (7, 0, 0, 0));
    }
}
