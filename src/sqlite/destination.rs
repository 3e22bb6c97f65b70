//! The helper's connection to the spool: takes the pages, checks them, then answers questions about them.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ffi};

use crate::codec::snapshot::CheckResult;
use crate::sqlite::answer::{answer, applies};
use crate::sqlite::guard::{Asker, Budget, allow, limit_time, said, tighten};
use crate::sqlite::header::{HEADER_BYTES, Header, VERSION_OFFSET};
use crate::sqlite::knowledge::{self, Tables, ordinary_tables, schema_hash};
use crate::sqlite::pace::check_budget;
use crate::sqlite::protocol::{Outcome, Piece, Question, Refusal, Reply, Request, tame};
use crate::sqlite::questions::MAX_ANSWER_BYTES;
use crate::sqlite::refused::Refused;
use crate::sqlite::reporter::Reporter;
use crate::sqlite::sample;
use crate::sqlite::source::{Source, restrict};

/// 8 MiB at the usual page size: often enough to say that we are alive.
const PAGES_PER_STEP: i32 = 2048;

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
            let copied = progress.pagecount.saturating_sub(progress.remaining);
            reporter.copied(u64::try_from(copied).unwrap_or_default())?;
        }
    }

    /// Runs `quick_check` over the spool.
    pub(super) fn check(&mut self, reporter: &Reporter) -> Result<CheckResult, Refused> {
        allow(&mut self.connection, Asker::Ourselves)?;
        self.connection.execute_batch("PRAGMA query_only = ON")?;
        let budget = check_budget(self.file.metadata().map_or(0, |metadata| metadata.len()));
        reporter.send(&Reply::Checking)?;
        limit_time(&mut self.connection, budget, reporter)?;
        let found = self.look()?.and_then(|()| problems(&self.connection));
        // A check that ran out of memory has lost it. What then cannot be read costs the answers.
        let _ = self.look()?;
        Ok(match found {
            Ok(problems) if problems == ["ok"] => CheckResult::QuickOk,
            Ok(problems) => CheckResult::Failed(tame(&problems.join("; "))),
            Err(error) => failure(&error),
        })
    }

    /// Begins a transaction in which the pages can be read, unless there is one; the inner error is `SQLite`'s.
    ///
    /// Without a page in its cache the connection reads what is in the file. The copy of a database in WAL mode says so there, and
    /// `SQLite` would look for a log beside a file that has no name. So the two version bytes say otherwise for the moment in which
    /// the transaction begins, and not longer: it holds the first page. Once the bytes are claimed this is not called any more, for
    /// the process may then be killed at any time.
    fn look(&mut self) -> Result<rusqlite::Result<()>, Refused> {
        if !self.connection.is_autocommit() {
            return Ok(Ok(()));
        }
        let failed = |error| Refused::spool(&error);
        self.connection.release_memory()?;
        let mut versions = [0; 2];
        self.file.read_exact_at(&mut versions, VERSION_OFFSET).map_err(failed)?;
        self.file.write_all_at(&ROLLBACK, VERSION_OFFSET).map_err(failed)?;
        let begun = begin(&self.connection);
        self.file.write_all_at(&versions, VERSION_OFFSET).map_err(failed)?;
        Ok(begun)
    }

    /// Tells what is inside, and answers the questions.
    pub(super) fn tell(
        mut self,
        request: &Request,
        questions: &[Question],
        reporter: &Reporter,
    ) -> Result<(), Refused> {
        let bytes = self.file.metadata().map_or(0, |metadata| metadata.len());
        let budget = || Budget::new(Duration::from_millis(request.patience_ms), bytes);
        limit_time(&mut self.connection, budget().share(), reporter)?;
        // Before the limits: a schema may have longer texts than any path.
        let schema = schema_hash(&self.connection).ok();
        tighten(&self.connection)?;
        if let Some(tables) = self.tables(budget(), reporter)? {
            knowledge::tell(&mut self.connection, (&tables, schema), budget(), reporter)?;
        }
        self.answer(questions, budget(), reporter)?;
        match self.tables(budget(), reporter)? {
            Some(tables) if request.samples => {
                Ok(sample::tell(&mut self.connection, &tables, budget(), reporter)?)
            }
            _ => Ok(()),
        }
    }

    /// `None` when the schema cannot be read.
    fn tables(&mut self, budget: Budget, reporter: &Reporter) -> Result<Option<Tables>, Refused> {
        allow(&mut self.connection, Asker::Ourselves)?;
        limit_time(&mut self.connection, budget.share(), reporter)?;
        Ok(ordinary_tables(&self.connection).ok())
    }

    fn answer(
        &mut self,
        questions: &[Question],
        budget: Budget,
        reporter: &Reporter,
    ) -> Result<(), Refused> {
        let mut room = MAX_ANSWER_BYTES;
        for question in questions {
            allow(&mut self.connection, Asker::Ourselves)?;
            limit_time(&mut self.connection, budget.share(), reporter)?;
            let outcome = match applies(&self.connection, question) {
                Ok(true) => {
                    allow(&mut self.connection, Asker::Query)?;
                    room = room.saturating_sub(answer(&self.connection, question, room, reporter)?);
                    continue;
                }
                Ok(false) => Outcome::DoesNotApply,
                Err(error) => Outcome::Failed(said(&error)),
            };
            reporter.send(&Reply::Tells(Piece::Answered(outcome)))?;
        }
        Ok(())
    }

    fn header(&self) -> Result<Option<Header>, Refused> {
        let mut head = [0; HEADER_BYTES];
        let read = self.file.read_at(&mut head, 0).map_err(|error| Refused::spool(&error))?;
        Ok(head.get(..read).and_then(Header::parse))
    }
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

/// The read takes the lock and needs no schema, so that a schema that cannot be parsed is still checked.
fn begin(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("BEGIN")?;
    let read = connection.query_row("PRAGMA schema_version", [], |_| Ok(()));
    if read.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    read
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
