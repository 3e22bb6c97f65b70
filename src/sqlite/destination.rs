//! The helper's connection to the spool: takes the pages, then checks them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::codec::snapshot::CheckResult;
use crate::sqlite::header::{HEADER_BYTES, Header, VERSION_OFFSET};
use crate::sqlite::protocol::{Refusal, tame};
use crate::sqlite::refused::Refused;
use crate::sqlite::reporter::Reporter;
use crate::sqlite::source::{Source, restrict};

/// 8 MiB at the usual page size: often enough to say that we are alive.
const PAGES_PER_STEP: i32 = 2048;

/// Virtual machine steps between two signs of life during a check.
const CHECK_STEPS: i32 = 100_000;

/// Problems of which `quick_check` is asked for the text.
const MAX_PROBLEMS: usize = 5;

/// Both version bytes of a database without a log.
const ROLLBACK: [u8; 2] = [1, 1];

/// The spool, opened twice and without a name.
pub(super) struct Destination {
    connection: Connection,
    file: File,
}

/// What the spool holds after a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copied {
    pub(super) page_size: u32,
    pub(super) page_count: u64,
}

impl Destination {
    /// Opens the spool and takes its name away before there is anything in it.
    pub(super) fn open(path: &Path) -> Result<Self, Refused> {
        let failed = |error| Refused::spool(&error);
        let file = File::options().read(true).write(true).open(path).map_err(failed)?;
        let connection =
            connect(path).map_err(|error| Refused::because(Refusal::Spool, error.to_string()))?;
        fs::remove_file(path).map_err(failed)?;
        Ok(Self { connection, file })
    }

    /// Copies every page of the source's read transaction.
    ///
    /// The transaction is the source connection's own, so no writer can make the copy start over however many steps
    /// it takes. That is checked: the pages to go must shrink with every step.
    pub(super) fn copy(&mut self, source: &Source, reporter: &Reporter) -> Result<Copied, Refused> {
        let pages = self.copy_pages(source, reporter)?;
        let len = self.file.metadata().map_err(|error| Refused::spool(&error))?.len();
        let header = self.header()?;
        match header {
            Some(header) if u64::from(header.page_size).checked_mul(pages) == Some(len) => {
                Ok(Copied { page_size: header.page_size, page_count: pages })
            }
            _ => {
                let detail = format!("{len} bytes came of {pages} pages");
                Err(Refused::because(Refusal::Failed, detail))
            }
        }
    }

    fn copy_pages(&mut self, source: &Source, reporter: &Reporter) -> Result<u64, Refused> {
        let backup = Backup::new(source.connection(), &mut self.connection)?;
        let mut to_go = i32::MAX;
        loop {
            let step = backup.step(PAGES_PER_STEP)?;
            let progress = backup.progress();
            match step {
                StepResult::Done => {
                    return Ok(u64::try_from(progress.pagecount).unwrap_or_default());
                }
                StepResult::More if progress.remaining < to_go => to_go = progress.remaining,
                other => {
                    let detail = format!("the copy did not advance: {other:?}");
                    return Err(Refused::because(Refusal::Changed, detail));
                }
            }
            reporter.alive()?;
        }
    }

    /// Runs `quick_check` over the spool, and hashes the schema.
    ///
    /// The copy of a database in WAL mode says so, and `SQLite` would look for a log beside a file that has no name.
    /// So the two version bytes say otherwise for as long as the check runs.
    pub(super) fn check(
        mut self,
        reporter: &Reporter,
    ) -> Result<(CheckResult, Option<[u8; 32]>), Refused> {
        let failed = |error| Refused::spool(&error);
        let mut versions = [0; 2];
        self.file.read_exact_at(&mut versions, VERSION_OFFSET).map_err(failed)?;
        self.file.write_all_at(&ROLLBACK, VERSION_OFFSET).map_err(failed)?;
        let result = self.check_forgetful(reporter);
        self.file.write_all_at(&versions, VERSION_OFFSET).map_err(failed)?;
        result
    }

    /// Without a page in its cache the connection reads what is in the file.
    fn check_forgetful(
        &mut self,
        reporter: &Reporter,
    ) -> Result<(CheckResult, Option<[u8; 32]>), Refused> {
        self.connection.execute_batch("PRAGMA query_only = ON")?;
        self.connection.release_memory()?;
        let reporter = reporter.clone();
        let (started, budget) = (Instant::now(), check_budget(&self.file));
        let stop = move || reporter.alive().is_err() || started.elapsed() > budget;
        self.connection.progress_handler(CHECK_STEPS, Some(stop))?;
        let check = match problems(&self.connection) {
            Ok(problems) if problems == ["ok"] => CheckResult::QuickOk,
            Ok(problems) => CheckResult::Failed(tame(&problems.join("; "))),
            Err(error) => failure(&error),
        };
        Ok((check, schema_hash(&self.connection).ok()))
    }

    fn header(&self) -> Result<Option<Header>, Refused> {
        let mut head = [0; HEADER_BYTES];
        let read = self.file.read_at(&mut head, 0).map_err(|error| Refused::spool(&error))?;
        Ok(head.get(..read).and_then(Header::parse))
    }
}

/// A crafted database can keep a check busy for ever: it gets a minute, and a second for each 2 MiB, which a slow disk
/// does ten times over.
fn check_budget(file: &File) -> Duration {
    let bytes = file.metadata().map_or(0, |metadata| metadata.len());
    Duration::from_secs(60 + bytes / (2 * 1024 * 1024))
}

/// A spool need not survive anything, so nothing is journaled and nothing is synced; nobody else can
/// have it, so nothing is locked, which not every file system can.
fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let connection = Connection::open_with_flags_and_vfs(path, flags, "unix-none")?;
    restrict(&connection)?;
    // DEFENSIVE refuses journal_mode = OFF; nothing but the backup has been here yet.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, false)?;
    connection.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;")?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

fn problems(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA quick_check({MAX_PROBLEMS})"))?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    rows.take(MAX_PROBLEMS).collect()
}

/// A check that found the file broken before it could list problems failed; one that lacks an extension did not run.
fn failure(error: &rusqlite::Error) -> CheckResult {
    let text = tame(&error.to_string());
    match error.sqlite_error().map(|error| error.extended_code & 0xff) {
        Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB) => CheckResult::Failed(text),
        _ => CheckResult::NotRun(text),
    }
}

fn schema_hash(connection: &Connection) -> rusqlite::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut statement = connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..4 {
            let text = row.get_ref(column)?.as_str_or_null().ok().flatten().unwrap_or_default();
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
    }
    Ok(*hasher.finalize().as_bytes())
}
