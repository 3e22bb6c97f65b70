//! What the capture tests share: databases, applications in processes of their own, a look at what was captured.
//!
//! An application never runs in the test's process: `capture` opens and closes the database file there, and that
//! takes away the locks of every connection of the process.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use larder::observe::{Observer, Unobserved};
use larder::sqlite::capture::capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::options::{CaptureOptions, DEFAULT_SILENCE, HelperCommand};
use larder::sqlite::questions::ReferenceQuery;
use rusqlite::Connection;
use tempfile::TempDir;

const APP: &str = "LARDER_TEST_APPLICATION";
const DATABASE: &str = "LARDER_TEST_DATABASE";

/// A source directory, a spool directory, and how to capture from one into the other.
pub(crate) struct Rig {
    pub(crate) source: TempDir,
    pub(crate) spool: TempDir,
    pub(crate) helper: HelperCommand,
    pub(crate) wait: Duration,
    pub(crate) silence: Duration,
    pub(crate) min_free_bytes: u64,
    pub(crate) questions: Vec<ReferenceQuery>,
    pub(crate) observer: Box<dyn Observer>,
    pub(crate) elapsed: Box<dyn Fn() -> Duration + Sync>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self {
            source: tempfile::tempdir().unwrap(),
            spool: tempfile::tempdir().unwrap(),
            helper: HelperCommand::of(env!("CARGO_BIN_EXE_larder")),
            wait: Duration::from_secs(20),
            silence: DEFAULT_SILENCE,
            min_free_bytes: 0,
            questions: Vec::new(),
            observer: Box::new(Unobserved),
            elapsed: Box::new(|| Duration::ZERO),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.source.path().join(name)
    }

    /// Captures, and sees to it that nothing is left in the spool directory.
    pub(crate) fn try_capture(&self, path: &Path) -> Result<Captured, CaptureError> {
        self.try_capture_at(path, &now_ns)
    }

    /// Captures by a clock that is ahead of the file system's.
    pub(crate) fn capture_later(&self, path: &Path, ahead_ns: i64) -> Captured {
        self.try_capture_at(path, &|| now_ns() + ahead_ns).unwrap()
    }

    /// How to capture, by this clock.
    pub(crate) fn options<'a>(
        &'a self,
        now_ns: &'a (dyn Fn() -> i64 + Sync),
    ) -> CaptureOptions<'a> {
        CaptureOptions {
            helper: &self.helper,
            spool_dir: self.spool.path(),
            wait: self.wait,
            silence: self.silence,
            min_free_bytes: self.min_free_bytes,
            questions: &self.questions,
            now_ns,
            elapsed: &*self.elapsed,
            observer: &*self.observer,
        }
    }

    fn try_capture_at(
        &self,
        path: &Path,
        now_ns: &(dyn Fn() -> i64 + Sync),
    ) -> Result<Captured, CaptureError> {
        let result = capture(&self.options(now_ns), path);
        assert_eq!(fs::read_dir(self.spool.path()).unwrap().count(), 0, "the spool leaves a name");
        if let Ok(captured) = &result {
            assert_eq!(captured.file.metadata().unwrap().nlink(), 0);
            assert_eq!(captured.file.metadata().unwrap().len(), captured.len);
        }
        result
    }

    pub(crate) fn capture(&self, path: &Path) -> Captured {
        self.try_capture(path).unwrap()
    }

    /// Captures a database that nobody uses: every file of the directory keeps its bytes, its times and its name.
    pub(crate) fn capture_at_rest(&self, path: &Path) -> Captured {
        let before = picture(self.source.path());
        let captured = self.capture(path);
        assert_eq!(picture(self.source.path()), before);
        captured
    }
}

pub(crate) fn now_ns() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

type Look = (Vec<u8>, i64, i64, u64);

/// Every file of a directory: bytes, time of the last change, inode. The bytes of a log's index do not count.
fn picture(dir: &Path) -> BTreeMap<PathBuf, Look> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let metadata = fs::symlink_metadata(&path).unwrap();
        let look = if path.to_string_lossy().ends_with("-shm") {
            (Vec::new(), 0, 0, metadata.ino())
        } else {
            let bytes = fs::read(&path).unwrap_or_default();
            (bytes, metadata.mtime(), metadata.mtime_nsec(), metadata.ino())
        };
        files.insert(path, look);
    }
    files
}

/// The bytes of a capture.
pub(crate) fn bytes(captured: &Captured) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(captured.len).unwrap()];
    captured.file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

/// Opens a capture as an application would after a restore.
pub(crate) fn restored(captured: &Captured) -> (TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("restored.db");
    fs::write(&path, bytes(captured)).unwrap();
    let connection = Connection::open(path).unwrap();
    (dir, connection)
}

/// Proves a capture of a ledger: sound, and the state between two transactions. Returns how many there were.
pub(crate) fn prove(captured: &Captured) -> i64 {
    assert_eq!(captured.len, u64::from(captured.page_size) * captured.page_count);
    let (_dir, connection) = restored(captured);
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let transactions = number("SELECT n FROM counter");
    assert_eq!(number("SELECT sum(balance) FROM account"), 0, "half a transaction");
    assert_eq!(number("SELECT sum(moves) FROM account"), 2 * transactions, "half a transaction");
    transactions
}

/// Makes a ledger of 1,600 accounts, in this journal mode and page size, and closes it.
pub(crate) fn make_ledger(path: &Path, journal_mode: &str, page_size: u32) {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF; PRAGMA page_size = {page_size}; PRAGMA journal_mode = {journal_mode};
             CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER, moves INTEGER, note TEXT UNIQUE);
             CREATE TABLE counter (n INTEGER);
             WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 1600)
             INSERT INTO account SELECT i, 0, 0, hex(randomblob(60)) FROM k;
             INSERT INTO counter VALUES (0);"
        ))
        .unwrap();
    connection.close().unwrap();
}

/// One transaction of the ledger.
pub(crate) fn transact(connection: &Connection, turn: i64) -> rusqlite::Result<()> {
    let (from, to) = (turn * 7 % 1600 + 1, turn * 13 % 1599 + 1);
    let sql = format!(
        "BEGIN IMMEDIATE;
         UPDATE account SET balance = balance - 5, moves = moves + 1 WHERE id = {from};
         UPDATE account SET balance = balance + 5, moves = moves + 1, note = hex(randomblob(60)) WHERE id = {to};
         UPDATE counter SET n = n + 1;
         COMMIT;"
    );
    connection.execute_batch(&sql)
}

/// An application in a process of its own; it ends when told to, or when it is dropped.
pub(crate) struct Application {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
}

impl Application {
    /// Starts one and waits until it has done what its name says.
    pub(crate) fn start(what: &str, database: &Path) -> Self {
        Self::run("sqlite_rig::application", what, database)
    }

    /// The same for an application of another module: an ignored test that calls [`task`].
    pub(crate) fn run(test: &str, what: &str, database: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
            .env(APP, what)
            .env(DATABASE, database)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut application = Self { child, output };
        application.line_with("ready");
        application
    }

    /// Ends it in good order; returns what it reported.
    pub(crate) fn stop(mut self) -> String {
        drop(self.child.stdin.take());
        let report = self.line_with("report");
        assert!(self.child.wait().unwrap().success());
        report
    }

    /// Kills it where it stands; it must have been standing.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(status.signal(), Some(9), "the application had ended by itself");
    }

    fn line_with(&mut self, word: &str) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            if let Some(at) = line.find(word) {
                return line[at..].trim().to_owned();
            }
            line.clear();
        }
        panic!("the application ended without {word:?}");
    }
}

impl Drop for Application {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the process was started for as an [`Application`]: a word and a database.
pub(crate) fn task() -> Option<(String, PathBuf)> {
    Some((std::env::var(APP).ok()?, std::env::var_os(DATABASE)?.into()))
}

/// Not a test: what an [`Application`] runs.
#[test]
#[ignore = "the application's process of other tests"]
fn application() {
    let Some((what, database)) = task() else { return };
    let connection = Connection::open(database).unwrap();
    connection.busy_timeout(Duration::from_secs(20)).unwrap();
    connection.execute_batch("PRAGMA synchronous = OFF").unwrap();
    match what.as_str() {
        "write" => return write_until_told(&connection),
        "look" => {
            connection.query_row("SELECT n FROM counter", [], |row| row.get::<_, i64>(0)).unwrap();
        }
        "commit-into-the-log" => {
            connection.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
            (0..20).for_each(|turn| transact(&connection, turn).unwrap());
        }
        "rewrite-into-the-log" => {
            connection.execute_batch("PRAGMA wal_autocheckpoint = 0; VACUUM").unwrap();
        }
        "lock-exclusively" => {
            connection.execute_batch("PRAGMA locking_mode = EXCLUSIVE").unwrap();
            (0..20).for_each(|turn| transact(&connection, turn).unwrap());
        }
        "spill-half-a-transaction" => connection
            .execute_batch(
                "PRAGMA cache_size = 5; BEGIN; UPDATE counter SET n = n + 1;
                 UPDATE account SET balance = 77, note = hex(randomblob(60));",
            )
            .unwrap(),
        other => panic!("no such application: {other}"),
    }
    say("ready");
    wait_until_told();
    say("report none");
}

fn write_until_told(connection: &Connection) {
    let mode: String = connection.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    // A rollback writer that waits for the disk in each commit leaves a reader next to no time.
    let synchronous = if mode == "wal" { "NORMAL" } else { "OFF" };
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = {synchronous}; PRAGMA wal_autocheckpoint = 100"
        ))
        .unwrap();
    say("ready");
    std::thread::scope(|scope| {
        let told = scope.spawn(wait_until_told);
        transact_while(connection, || !told.is_finished());
    });
}

fn transact_while(connection: &Connection, go_on: impl Fn() -> bool) {
    let (started, mut commits, mut errors) = (Instant::now(), 0, 0);
    while go_on() {
        match transact(connection, commits + 1) {
            Ok(()) => commits += 1,
            Err(error) => {
                eprintln!("writer: {error}");
                errors += 1;
            }
        }
        // 500 a second: an application at work, not one that takes the whole machine.
        let due = started + Duration::from_millis(2) * u32::try_from(commits).unwrap();
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    say(&format!("report {commits} {errors} {}", started.elapsed().as_millis()));
}

pub(crate) fn wait_until_told() {
    let _ = std::io::stdin().read(&mut [0]);
}

pub(crate) fn say(line: &str) {
    println!("{line}");
    std::io::stdout().flush().unwrap();
}
