//! What `SQLite`'s errors mean for a capture.

use std::io;

use rusqlite::ffi;

use crate::sqlite::protocol::{ProtocolError, Refusal, Reply, tame};

/// There is no capture this way, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) reason: Refusal,
    pub(super) detail: String,
}

impl Refused {
    pub(super) fn because(reason: Refusal, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    pub(super) fn spool(error: &io::Error) -> Self {
        Self::because(Refusal::Spool, format!("the spool cannot be used: {error}"))
    }

    pub(super) fn source(error: &io::Error) -> Self {
        let reason = match error.kind() {
            io::ErrorKind::NotFound => Refusal::Changed,
            _ => Refusal::CannotOpen,
        };
        Self::because(reason, format!("the database cannot be looked at: {error}"))
    }

    pub(super) fn reply(self) -> Reply {
        Reply::Refused { reason: self.reason, detail: tame(&self.detail) }
    }
}

impl From<rusqlite::Error> for Refused {
    fn from(error: rusqlite::Error) -> Self {
        Self::because(reason_of(extended_code(&error)), error.to_string())
    }
}

/// Only a parent that is gone makes the helper's pipe fail; nobody will read this.
impl From<ProtocolError> for Refused {
    fn from(error: ProtocolError) -> Self {
        Self::because(Refusal::Failed, error.to_string())
    }
}

/// True when waiting may help.
pub(super) fn is_busy(error: &rusqlite::Error) -> bool {
    reason_of(extended_code(error)) == Refusal::Busy
}

fn extended_code(error: &rusqlite::Error) -> i32 {
    error.sqlite_error().map_or(ffi::SQLITE_ERROR, |error| error.extended_code)
}

fn reason_of(extended: i32) -> Refusal {
    match extended {
        ffi::SQLITE_READONLY_ROLLBACK => return Refusal::HotJournal,
        ffi::SQLITE_READONLY_DBMOVED => return Refusal::Changed,
        ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_TRUNCATE => return Refusal::Spool,
        ffi::SQLITE_IOERR_SHMOPEN
        | ffi::SQLITE_IOERR_SHMSIZE
        | ffi::SQLITE_IOERR_SHMLOCK
        | ffi::SQLITE_IOERR_SHMMAP
        | ffi::SQLITE_IOERR_LOCK
        | ffi::SQLITE_IOERR_RDLOCK => return Refusal::CannotOpen,
        _ => {}
    }
    match extended & 0xff {
        // PROTOCOL: too many others raced for the log's index.
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => Refusal::Busy,
        ffi::SQLITE_CANTOPEN | ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_AUTH => {
            Refusal::CannotOpen
        }
        ffi::SQLITE_NOTADB => Refusal::NotADatabase,
        ffi::SQLITE_CORRUPT => Refusal::Corrupt,
        ffi::SQLITE_FULL => Refusal::NoSpace,
        _ => Refusal::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_to_do_about_them() {
        let expected = [
            (ffi::SQLITE_BUSY_RECOVERY, Refusal::Busy),
            (ffi::SQLITE_BUSY_SNAPSHOT, Refusal::Busy),
            (ffi::SQLITE_PROTOCOL, Refusal::Busy),
            (ffi::SQLITE_READONLY_ROLLBACK, Refusal::HotJournal),
            (ffi::SQLITE_READONLY_CANTINIT, Refusal::CannotOpen),
            (ffi::SQLITE_CANTOPEN_SYMLINK, Refusal::CannotOpen),
            (ffi::SQLITE_IOERR_SHMOPEN, Refusal::CannotOpen),
            (ffi::SQLITE_NOTADB, Refusal::NotADatabase),
            (ffi::SQLITE_CORRUPT_INDEX, Refusal::Corrupt),
            (ffi::SQLITE_FULL, Refusal::NoSpace),
            (ffi::SQLITE_IOERR_WRITE, Refusal::Spool),
            (ffi::SQLITE_IOERR_READ, Refusal::Failed),
            (ffi::SQLITE_NOMEM, Refusal::Failed),
        ];
        for (code, reason) in expected {
            let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
            assert_eq!(Refused::from(error).reason, reason, "{code}");
        }
    }

    #[test]
    fn a_source_that_is_gone_is_looked_for_again() {
        let gone = io::Error::from(io::ErrorKind::NotFound);
        assert_eq!(Refused::source(&gone).reason, Refusal::Changed);
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        assert_eq!(Refused::source(&denied).reason, Refusal::CannotOpen);
    }
}
