//! The helper's connection to the database that is captured: one read
//! transaction, and nothing of the application's changed.
//!
//! Invariant: `SQLite` opens the database only in ways that make no file beside
//! it and unlink none. It would delete the log of an empty database, and create
//! log and shared memory beside one whose application has stopped.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, TransactionState};

use crate::sqlite::approach::{Approach, Facts};
use crate::sqlite::identity;
use crate::sqlite::protocol::{Access, Refusal, Request};
use crate::sqlite::recognise::side_file;
use crate::sqlite::refused::{Refused, is_busy};
use crate::sqlite::reporter::Reporter;

/// Pauses between two attempts to get a read lock: short, for a busy rollback writer leaves it free for moments only.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(15);

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

    #[test]
    fn no_name_escapes_from_the_uri() {
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a b/file:x?immutable=0&c#%41\xff.db"));
        let uri = "file:/a%20b/file%3Ax%3Fimmutable%3D0%26c%23%2541%FF.db?immutable=1";
        assert_eq!(immutable_uri(path), uri);
    }
}
