//! Why a source cannot be read, wholly or in part.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// The source as a whole cannot be saved.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It is not there, or cannot be reached. Never an empty snapshot.
    #[error("source {}: {source}", path.display())]
    Root {
        /// The root as it was given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else than a directory.
    #[error("source {} is not a directory", path.display())]
    NotADirectory {
        /// The root as it was given.
        path: PathBuf,
    },
    /// The root is the repository itself, or something else that must not be entered.
    #[error("source {} is the repository itself", path.display())]
    IsRepository {
        /// The root as it was given.
        path: PathBuf,
    },
    /// An exclude pattern means nothing.
    #[error("exclude pattern {pattern:?}: {reason}")]
    Pattern {
        /// The pattern as it was given.
        pattern: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// What is the matter with one thing of a source; the walk goes on.
#[derive(Debug)]
pub enum Problem {
    /// It was listed, and gone when it was looked at. Ordinary on a live directory.
    Vanished,
    /// It cannot be read.
    Unreadable(io::Error),
    /// It turned into something else while it was read.
    Replaced,
    /// Its path relative to the root is longer than 4,095 bytes.
    PathTooLong,
    /// Its name is longer than 255 bytes.
    NameTooLong,
    /// The directory listed it twice, or out of order.
    ListedTwice,
    /// Its extended attributes exceed what is stored: 64 KiB each, 96 KiB in all.
    AttributesTooLarge,
}

impl Problem {
    /// The problem that a failed system call amounts to.
    pub fn from_io(error: io::Error) -> Self {
        match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            // A stale handle is no sign that the file is gone: its server may have been.
            Some(rustix::io::Errno::NOENT) => Self::Vanished,
            // A parent that is no directory any more, or a name that became a link.
            Some(rustix::io::Errno::NOTDIR | rustix::io::Errno::LOOP) => Self::Replaced,
            Some(rustix::io::Errno::NAMETOOLONG) => Self::PathTooLong,
            _ => Self::Unreadable(error),
        }
    }

    /// True for what a live directory does all the time: no finding unless a database refers to it.
    pub fn is_ordinary(&self) -> bool {
        matches!(self, Self::Vanished)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Vanished => f.write_str("vanished while the source was read"),
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Replaced => f.write_str("turned into something else while it was read"),
            Self::PathTooLong => f.write_str("the path is longer than 4,095 bytes; not saved"),
            Self::NameTooLong => f.write_str("the name is longer than 255 bytes; not saved"),
            Self::ListedTwice => f.write_str("its directory lists it twice; saved once"),
            Self::AttributesTooLarge => f.write_str(
                "its extended attributes exceed 64 KiB each or 96 KiB in all; saved without them",
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_errors_become_what_they_mean() {
        let problem = |errno: rustix::io::Errno| {
            Problem::from_io(io::Error::from_raw_os_error(errno.raw_os_error()))
        };
        assert!(problem(rustix::io::Errno::NOENT).is_ordinary());
        assert!(matches!(problem(rustix::io::Errno::LOOP), Problem::Replaced));
        assert!(matches!(problem(rustix::io::Errno::ACCESS), Problem::Unreadable(_)));
        assert!(!problem(rustix::io::Errno::IO).is_ordinary());
        assert!(!problem(rustix::io::Errno::STALE).is_ordinary());
        assert!(matches!(Problem::from_io(io::Error::other("odd")), Problem::Unreadable(_)));
    }
}
