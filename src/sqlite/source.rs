//! The helper's connection to the database that is captured: one read
//! transaction, and nothing of the application's changed.
//!
//! Invariant: `SQLite` opens the database only in ways that make no file beside
//! it and unlink none. It would delete the log of an empty database, and create
//! log and shared memory beside one whose application has stopped.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, TransactionState};

use crate::codec::snapshot::FileIdentity;
use crate::sqlite::header::{has_magic, is_live_journal};
use crate::sqlite::identity;
use crate::sqlite::in_use::is_in_use;
use crate::sqlite::protocol::{Access, Refusal, Request};
use crate::sqlite::recognise::{SIDE_HEAD_BYTES, is_side_file, open_regular, read_head, side_file};
use crate::sqlite::refused::{Refused, is_busy};
use crate::sqlite::reporter::Reporter;

/// NFS, SMB (three generations), 9P, Ceph, AFS: shared memory does not reach the other hosts.
const NETWORK_FILE_SYSTEMS: [u64; 7] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x00c3_6400, 0x5346_414f];

/// Pauses between two attempts to get a read lock: short, for a busy rollback writer leaves it free for moments only.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(15);

/// What can be seen of a database without `SQLite`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "independent observations, not states")]
struct Facts {
    main: FileIdentity,
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
    fn gather(path: &Path) -> io::Result<Self> {
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
    fn at_rest(&self) -> bool {
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

    fn approach(&self) -> Result<Approach, Refused> {
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

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Approach {
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

/// A database under a read transaction.
pub(super) struct Source {
    connection: Connection,
    path: PathBuf,
    /// What it looked like before it was opened immutable.
    at_rest: Option<Facts>,
    inode: (u64, u64),
    access: Access,
    /// Length of its log when the transaction began.
    log_bytes: u64,
}

impl Source {
    /// Opens it and begins the transaction, waiting for a writer's lock as long as the request says.
    pub(super) fn open(request: &Request, reporter: &Reporter) -> Result<Self, Refused> {
        let path = request.source.as_path().to_owned();
        let inode = (request.device, request.inode);
        require_inode(&path, inode)?;
        let (connection, at_rest) = match request.access {
            Access::Private => (connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE)?, None),
            Access::Source => connect_to_source(&path)?,
        };
        let access = request.access;
        let mut source = Self { connection, path, at_rest, inode, access, log_bytes: 0 };
        source.begin(Duration::from_millis(request.wait_ms), reporter)?;
        require_inode(&source.path, inode)?;
        source.log_bytes = log_bytes(&source.path);
        Ok(source)
    }

    pub(super) fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(super) fn is_immutable(&self) -> bool {
        self.at_rest.is_some()
    }

    /// Ends the transaction. The bytes count only if the file is still the same one and, opened immutable, untouched.
    /// A private copy has lost its name by now.
    ///
    /// Returns by how many bytes the log grew: while its content was held, it could not start over.
    pub(super) fn finish(self) -> Result<u64, Refused> {
        let grew_bytes = log_bytes(&self.path).saturating_sub(self.log_bytes);
        let Self { connection, path, at_rest, inode, access, .. } = self;
        connection.execute_batch("COMMIT")?;
        connection.close().map_err(|(_, error)| Refused::from(error))?;
        if access == Access::Private {
            return Ok(0);
        }
        let Some(before) = at_rest else {
            return require_inode(&path, inode).map(|()| grew_bytes);
        };
        let after = Facts::gather(&path).map_err(|error| Refused::source(&error))?;
        if after.at_rest() && after.main == before.main {
            Ok(0)
        } else {
            Err(Refused::because(Refusal::Changed, "the database came to life"))
        }
    }

    /// `BEGIN` alone takes no lock and sees no state; the read does. It is one that needs no schema, so that a
    /// schema that cannot be parsed is still captured.
    fn begin(&self, wait: Duration, reporter: &Reporter) -> Result<(), Refused> {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        while let Err(error) = self.try_begin() {
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("ROLLBACK")?;
            }
            if !is_busy(&error) || started.elapsed() >= wait {
                return Err(error.into());
            }
            reporter.alive()?;
            thread::sleep(pause.min(wait));
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        match self.connection.transaction_state::<&str>(None)? {
            TransactionState::Read => Ok(()),
            other => {
                Err(Refused::because(Refusal::Failed, format!("no read transaction: {other:?}")))
            }
        }
    }

    fn try_begin(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("BEGIN")?;
        self.connection.query_row("PRAGMA schema_version", [], |_| Ok(()))
    }
}

fn log_bytes(path: &Path) -> u64 {
    fs::symlink_metadata(side_file(path, "-wal")).map_or(0, |log| log.len())
}

fn connect_to_source(path: &Path) -> Result<(Connection, Option<Facts>), Refused> {
    let facts = Facts::gather(path).map_err(|error| Refused::source(&error))?;
    match facts.approach()? {
        Approach::Ordinary => Ok((connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?, None)),
        Approach::Immutable => {
            let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
            Ok((connect(Path::new(&immutable_uri(path)), flags)?, Some(facts)))
        }
    }
}

/// A path that begins with `/` is never taken for a URI, although the bundled library looks for them in every name.
fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags(path, flags)?;
    restrict(&connection)?;
    connection.busy_timeout(Duration::ZERO)?;
    connection.execute_batch("PRAGMA query_only = ON")?;
    Ok(connection)
}

/// What every connection of the helper must not do, whatever the schema says.
pub(super) fn restrict(connection: &Connection) -> rusqlite::Result<()> {
    for (option, value) in [
        (DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true),
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(option, value)?;
    }
    connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
    connection.set_limit(Limit::SQLITE_LIMIT_WORKER_THREADS, 0)?;
    connection.execute_batch(
        "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA temp_store = MEMORY;",
    )
}

fn require_inode(path: &Path, inode: (u64, u64)) -> Result<(), Refused> {
    let now = fs::symlink_metadata(path).map_err(|error| Refused::source(&error))?;
    let now = identity::of(&now);
    if (now.device, now.inode) == inode {
        Ok(())
    } else {
        Err(Refused::because(Refusal::Changed, "another file took the database's name"))
    }
}

/// Everything but unreserved characters and `/` is escaped, so that no byte of a name can end the path or add a parameter.
fn immutable_uri(path: &Path) -> String {
    use std::fmt::Write;

    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' => {
                uri.push(char::from(*byte));
            }
            other => write!(uri, "%{other:02X}").expect("invariant: a String takes every write"),
        }
    }
    uri + "?immutable=1"
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

    #[test]
    fn no_name_escapes_from_the_uri() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a b/file:x?immutable=0&c#%41\xff.db"));
        let uri = "file:/a%20b/file%3Ax%3Fimmutable%3D0%26c%23%2541%FF.db?immutable=1";
        assert_eq!(immutable_uri(path), uri);
    }
}
