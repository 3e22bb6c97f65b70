//! How a database may be opened where it is, judged by what can be seen of it without `SQLite`.
//!
//! Invariant: whatever is opened, `SQLite` neither makes a file beside the database nor unlinks one, and never reads content of a log or a
//! journal as if it were not there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::codec::snapshot::FileIdentity;
use crate::sqlite::header::{has_magic, is_live_journal};
use crate::sqlite::identity;
use crate::sqlite::in_use::is_in_use;
use crate::sqlite::protocol::Refusal;
use crate::sqlite::recognise::{SIDE_HEAD_BYTES, is_side_file, open_regular, read_head, side_file};
use crate::sqlite::refused::Refused;

/// NFS, SMB (three generations), 9P, Ceph, AFS: shared memory does not reach the other hosts.
const NETWORK_FILE_SYSTEMS: [u64; 7] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x00c3_6400, 0x5346_414f];

/// What can be seen of a database without `SQLite`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent observations, not states")]
pub(super) struct Facts {
    pub(super) main: FileIdentity,
    magic: bool,
    wal_header: bool,
    wal_bytes: Option<u64>,
    /// A file with the name of the log that is none.
    foreign_wal: bool,
    shm: bool,
    /// A file with the name of the log's index that is none: `SQLite` would write its index over it.
    foreign_shm: bool,
    journal_bytes: u64,
    journal_live: bool,
    /// Some process has a lock on it; in WAL mode every open connection keeps one.
    locked: bool,
    /// The file has further names; a log beside one of them is not seen from here.
    other_names: bool,
    network: bool,
}

impl Facts {
    /// Takes them. Must not be called while this process has a connection to the file.
    pub(super) fn gather(path: &Path) -> io::Result<Self> {
        let head = read_head::<20>(path)?;
        let size = |suffix| match fs::symlink_metadata(side_file(path, suffix)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
        let kind = u64::try_from(rustix::fs::statfs(path)?.f_type).unwrap_or_default();
        let journal_head = read_head::<8>(&side_file(path, "-journal")).unwrap_or_default();
        Ok(Self {
            main: identity::of(&fs::symlink_metadata(path)?),
            magic: has_magic(&head),
            wal_header: head.get(18..20).is_some_and(|versions| versions.contains(&2)),
            wal_bytes: size("-wal")?,
            foreign_wal: is_foreign(path, "-wal"),
            shm: size("-shm")?.is_some(),
            foreign_shm: is_foreign(path, "-shm"),
            journal_bytes: size("-journal")?.unwrap_or_default(),
            journal_live: is_live_journal(&journal_head),
            locked: is_in_use(&open_regular(path)?)?,
            other_names: fs::symlink_metadata(path)?.nlink() > 1,
            network: NETWORK_FILE_SYSTEMS.contains(&kind),
        })
    }

    /// Nothing but the main file holds content, and nobody has it open.
    pub(super) fn at_rest(&self) -> bool {
        !self.locked && self.log_bytes() == 0 && self.journal_bytes == 0
    }

    fn log_bytes(&self) -> u64 {
        if self.foreign_wal { 0 } else { self.wal_bytes.unwrap_or_default() }
    }

    /// How to read a database beside which somebody else's files have the names of its own: never so that `SQLite` touches them.
    fn approach_beside_strangers(&self) -> Result<Approach, Refused> {
        if self.at_rest() && !self.network {
            return Ok(Approach::Immutable);
        }
        let reason = if self.locked { Refusal::CannotOpen } else { Refusal::LeftoverLog };
        Err(Refused::because(
            reason,
            "a file that is not SQLite's has the name of its log or index",
        ))
    }

    pub(super) fn approach(&self) -> Result<Approach, Refused> {
        let wal_mode = self.wal_header || self.wal_bytes.is_some_and(|bytes| bytes > 0);
        let side_files_complete = self.wal_bytes.is_some() && self.shm;
        if self.main.size == 0 {
            return Err(Refused::because(Refusal::Changed, "the database became empty"));
        }
        if !self.magic {
            return Err(Refused::because(
                Refusal::NotADatabase,
                "it does not begin like a database",
            ));
        }
        if self.foreign_wal || (self.foreign_shm && wal_mode) {
            return self.approach_beside_strangers();
        }
        if self.journal_live || !wal_mode {
            return Ok(Approach::Ordinary);
        }
        if self.network {
            let detail = "its log cannot be shared over a network file system";
            return Err(Refused::because(Refusal::CannotOpen, detail));
        }
        if self.locked && self.other_names && !side_files_complete {
            // Opening it here would make a second log beside this name, and see none of the commits in the first.
            let detail = "it is in use under another of its names, and its log is there";
            return Err(Refused::because(Refusal::CannotOpen, detail));
        }
        match (side_files_complete || self.locked, self.at_rest()) {
            (true, _) => Ok(Approach::Ordinary),
            (false, true) => Ok(Approach::Immutable),
            (false, false) => {
                let detail = "no process has the database open, and its log was left behind";
                Err(Refused::because(Refusal::LeftoverLog, detail))
            }
        }
    }
}

/// How to open it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Approach {
    /// With locks, beside whoever else has it open.
    Ordinary,
    /// At rest: without locks and without side files.
    Immutable,
}

/// True when a file beside the database has the name of a side file and is something else. One that cannot be read for lack of
/// permission stops `SQLite` as well.
fn is_foreign(path: &Path, suffix: &str) -> bool {
    let beside = side_file(path, suffix);
    let name = beside.file_name().unwrap_or_default();
    match read_head::<SIDE_HEAD_BYTES>(&beside) {
        Ok(head) => !is_side_file(name, &head),
        Err(error) => {
            !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::manifest::FileTime;

    /// A WAL database whose application has stopped.
    fn stopped() -> Facts {
        let time = FileTime::default();
        Facts {
            main: FileIdentity { device: 1, inode: 1, size: 4096, mtime: time, ctime: time },
            magic: true,
            wal_header: true,
            wal_bytes: None,
            foreign_wal: false,
            shm: false,
            foreign_shm: false,
            journal_bytes: 0,
            journal_live: false,
            locked: false,
            other_names: false,
            network: false,
        }
    }

    fn reason(facts: &Facts) -> Refusal {
        facts.approach().unwrap_err().reason
    }

    #[test]
    fn immutable_only_while_nothing_else_has_content_and_nobody_looks() {
        assert_eq!(stopped().approach(), Ok(Approach::Immutable));
        assert_eq!(Facts { shm: true, ..stopped() }.approach(), Ok(Approach::Immutable));
        assert_eq!(Facts { wal_bytes: Some(0), ..stopped() }.approach(), Ok(Approach::Immutable));
        let left = Facts { wal_bytes: Some(32), ..stopped() };
        assert_eq!(reason(&left), Refusal::LeftoverLog);
        let journaled = Facts { journal_bytes: 512, ..stopped() };
        assert_eq!(reason(&journaled), Refusal::LeftoverLog);
        let hot = Facts { journal_bytes: 512, journal_live: true, ..stopped() };
        assert_eq!(hot.approach(), Ok(Approach::Ordinary));
        assert_eq!(Facts { locked: true, ..stopped() }.approach(), Ok(Approach::Ordinary));
    }

    #[test]
    fn a_running_application_is_joined() {
        let running = Facts { wal_bytes: Some(9000), shm: true, locked: true, ..stopped() };
        assert_eq!(running.approach(), Ok(Approach::Ordinary));
        let killed = Facts { locked: false, ..running };
        assert_eq!(killed.approach(), Ok(Approach::Ordinary));
    }

    #[test]
    fn a_rollback_database_needs_no_side_files() {
        let rollback = Facts { wal_header: false, ..stopped() };
        assert_eq!(rollback.approach(), Ok(Approach::Ordinary));
        let with_log = Facts { wal_bytes: Some(4152), ..rollback };
        assert_eq!(reason(&with_log), Refusal::LeftoverLog);
    }

    #[test]
    fn what_sqlite_would_harm_or_misread_is_not_opened() {
        let mut empty = Facts { wal_bytes: Some(4152), shm: true, ..stopped() };
        empty.main.size = 0;
        assert_eq!(reason(&empty), Refusal::Changed);
        assert_eq!(reason(&Facts { magic: false, ..stopped() }), Refusal::NotADatabase);
        assert_eq!(reason(&Facts { network: true, ..stopped() }), Refusal::CannotOpen);
        let elsewhere = Facts { locked: true, other_names: true, ..stopped() };
        assert_eq!(reason(&elsewhere), Refusal::CannotOpen);
        let here = Facts { wal_bytes: Some(4152), shm: true, ..elsewhere };
        assert_eq!(here.approach(), Ok(Approach::Ordinary));
    }

    #[test]
    fn files_of_others_are_never_given_to_sqlite() {
        let notes = Facts { wal_bytes: Some(9), foreign_wal: true, ..stopped() };
        assert_eq!(notes.approach(), Ok(Approach::Immutable));
        assert_eq!(
            Facts { wal_header: false, ..notes.clone() }.approach(),
            Ok(Approach::Immutable)
        );
        let live = Facts { locked: true, journal_bytes: 512, journal_live: true, ..notes };
        assert_eq!(reason(&live), Refusal::CannotOpen);
        let index = Facts { shm: true, foreign_shm: true, ..stopped() };
        assert_eq!(index.approach(), Ok(Approach::Immutable));
        assert_eq!(reason(&Facts { wal_bytes: Some(4152), ..index.clone() }), Refusal::LeftoverLog);
        // Without a log nothing is looked for in that place.
        let rollback = Facts { wal_header: false, ..index };
        assert_eq!(rollback.approach(), Ok(Approach::Ordinary));
    }
}
