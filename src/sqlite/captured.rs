//! What a capture gives back.

use std::error::Error;
use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::codec::snapshot::JournalMode;
use crate::codec::snapshot::{
    CaptureMethod, CheckResult, DatabaseIdentity, DatabaseLabel, Knowledge,
};
use crate::sqlite::questions::Answer;
use crate::sqlite::spool::SpoolError;

/// A captured database.
#[derive(Debug)]
pub struct Captured {
    /// Its bytes, in a file without a name. Read it by offset.
    pub file: File,
    /// How many they are.
    pub len: u64,
    /// Device and inode of the file that they were captured from, links resolved: the caller may have meant another one.
    pub inode: (u64, u64),
    /// What kind of state they are.
    pub label: DatabaseLabel,
    /// How they were obtained.
    pub method: CaptureMethod,
    /// Bytes a page; 0 when unknown.
    pub page_size: u32,
    /// Pages; 0 when unknown.
    pub page_count: u64,
    /// How its writers work.
    pub journal_mode: JournalMode,
    /// What a check of these bytes said.
    pub check: CheckResult,
    /// What is inside, as far as `SQLite` could look.
    pub knowledge: Option<Knowledge>,
    /// The answers to the questions, in their order; none when `SQLite` could not look.
    pub answers: Vec<Answer>,
    /// When the read transaction began (or the copy, where there was none), nanoseconds since 1970.
    pub started_ns: i64,
    /// What the database looks like on disk; `None` when it changed meanwhile, or too lately to tell.
    pub identity: Option<DatabaseIdentity>,
}

impl Captured {
    /// True when log and journal hold content that is not in these bytes, so that they belong into the snapshot.
    pub fn needs_side_files(&self) -> bool {
        self.method == CaptureMethod::RawCopy
    }
}

/// Why a database was not captured in any way.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// The source cannot be read.
    #[error("{}: cannot be read", path.display())]
    Source {
        /// The database.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no place for the bytes.
    #[error("{}: no spool for its bytes", path.display())]
    Spool {
        /// The database.
        path: PathBuf,
        /// Why.
        source: SpoolError,
    },
    /// The helper does not start, or is not one.
    #[error("{}: the capture helper {} failed: {what}", path.display(), program.display())]
    Helper {
        /// The database.
        path: PathBuf,
        /// The helper.
        program: PathBuf,
        /// What happened.
        what: String,
    },
    /// The observer wanted to stop.
    #[error("{}: the capture was interrupted", path.display())]
    Cancelled {
        /// The database.
        path: PathBuf,
    },
}

impl CaptureError {
    /// What happened and what caused it, in one line.
    pub fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }

    /// True when the spool's disk is too full for this database; the next one fares no better.
    pub fn is_no_space(&self) -> bool {
        matches!(
            self,
            Self::Spool {
                source: SpoolError::NoSpace { .. }
                    | SpoolError::InMemory { .. }
                    | SpoolError::Full { .. },
                ..
            }
        )
    }
}
