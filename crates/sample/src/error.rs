//! The one error of this crate.

use std::io;
use std::path::{Path, PathBuf};

/// Why a sample directory could not be made, written to or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The directory already holds a database: a sample is never made over data.
    #[error("{} exists already", .path.display())]
    Exists {
        /// The database that was found.
        path: PathBuf,
    },
    /// A file or directory could not be read, written or removed.
    #[error("cannot {doing} {}", .path.display())]
    Io {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// `SQLite` refused a statement.
    #[error("cannot {doing}")]
    Sql {
        /// What the statement was for.
        doing: &'static str,
        /// `SQLite`'s answer.
        source: rusqlite::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { doing, path: path.to_owned(), source }
    }

    pub(crate) fn sql(doing: &'static str) -> impl FnOnce(rusqlite::Error) -> Self {
        move |source| Self::Sql { doing, source }
    }
}
