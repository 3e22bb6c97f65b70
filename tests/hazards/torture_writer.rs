//! The writer of the torture: a process that does everything to a database that an application may do, and says in a log
//! of its own, before each commit and after it, what it commits. Whoever knows the logs knows every commit there ever was.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode};

use crate::sqlite_rig::{Application, say, task, wait_until_told};

/// Accounts between which money moves.
pub(super) const ACCOUNTS: u64 = 40;

/// No lock of ours is held so long, nor the sum of them while eight writers stand in line.
const BUSY_LIMIT: Duration = Duration::from_mins(1);

/// Between two transactions, so that there is time for others on a small machine.
const PAUSE: Duration = Duration::from_millis(2);

/// How the database of a round is made and written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) journal_mode: &'static str,
    pub(super) page_size: u32,
    pub(super) auto_vacuum: &'static str,
}

/// Numbers that repeat for a seed and look like nothing (splitmix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed(self.0) % below
    }
}

fn mixed(mut n: u64) -> u64 {
    n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// The hash of all transactions up to this one.
pub(super) fn chained(before: i64, seq: i64, nonce: i64) -> i64 {
    let mixture = mixed(before.cast_unsigned() ^ mixed(seq.cast_unsigned()));
    mixed(mixture ^ nonce.cast_unsigned()).cast_signed()
}

/// Makes the database of a round.
pub(super) fn make(path: &Path, style: &Style) {
    let Style { journal_mode, page_size, auto_vacuum } = style;
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch(&format!(
            "PRAGMA synchronous = OFF; PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {auto_vacuum};
             PRAGMA journal_mode = {journal_mode};
             CREATE TABLE head (seq INTEGER, chain INTEGER, filler INTEGER);
             CREATE TABLE entry (seq INTEGER PRIMARY KEY, nonce INTEGER, chain INTEGER);
             CREATE TABLE account (id INTEGER PRIMARY KEY, balance INTEGER, note TEXT UNIQUE);
             CREATE TABLE filler (id INTEGER PRIMARY KEY, bytes BLOB); CREATE INDEX by_bytes ON filler (bytes);
             INSERT INTO head VALUES (0, 0, 0);
             WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i + 1 < {ACCOUNTS})
             INSERT INTO account SELECT i, 0, hex(randomblob(20)) FROM k;"
        ))
        .unwrap();
    connection.close().unwrap();
}

/// Starts a writer with this seed that logs to this file.
pub(super) fn start(database: &Path, style: &Style, seed: u64, log: &Path) -> Application {
    let what = format!("{} {seed} {}", style.journal_mode, log.display());
    Application::run("hazards::torture_writer::torture_application", &what, database)
}

/// Not a test: what a writer of the torture runs.
#[test]
#[ignore = "the application's process of other tests"]
fn torture_application() {
    let Some((what, database)) = task() else { return };
    let mut words = what.splitn(3, ' ');
    let mut word = || words.next().unwrap().to_owned();
    let (journal_mode, seed, log) = (word(), word().parse().unwrap(), PathBuf::from(word()));
    let mut writer = Writer::open(&database, &journal_mode, seed, &log);
    say("ready");
    std::thread::scope(|scope| {
        let told = scope.spawn(wait_until_told);
        while !told.is_finished() {
            writer.step();
            std::thread::sleep(PAUSE);
        }
    });
    say(&format!("report {} {}", writer.commits, writer.slowest.as_millis()));
}

struct Writer {
    connection: Connection,
    dice: Dice,
    log: File,
    may_roll_back: bool,
    commits: u64,
    slowest: Duration,
}

impl Writer {
    fn open(database: &Path, journal_mode: &str, seed: u64, log: &Path) -> Self {
        let connection = Connection::open(database).unwrap();
        connection.busy_timeout(BUSY_LIMIT).unwrap();
        let pragmas = format!(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = {journal_mode};
             PRAGMA wal_autocheckpoint = 50; PRAGMA cache_size = 8;"
        );
        connection.execute_batch(&pragmas).unwrap();
        let log = File::options().create_new(true).append(true).open(log).unwrap();
        let may_roll_back = journal_mode != "OFF";
        let (commits, slowest) = (0, Duration::ZERO);
        Self { connection, dice: Dice(seed), log, may_roll_back, commits, slowest }
    }

    /// A transaction most of the time; else what moves pages about without one.
    fn step(&mut self) {
        let chores = [
            "PRAGMA wal_checkpoint(PASSIVE)",
            "PRAGMA wal_checkpoint(RESTART)",
            "PRAGMA wal_checkpoint(TRUNCATE)",
            "PRAGMA incremental_vacuum(5)",
            "VACUUM",
        ];
        match self.dice.roll(200) {
            chore @ 0..5 => self.chore(chores[usize::try_from(chore).unwrap()]),
            _ => self.transact(),
        }
    }

    /// Others may be in the way of one of these, and then it does not matter.
    fn chore(&self, sql: &str) {
        let done = self.connection.prepare(sql).and_then(|mut statement| {
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok(())
        });
        if let Err(error) = done {
            let code = error.sqlite_error_code();
            let harmless =
                matches!(code, Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked));
            assert!(harmless, "{sql}: {error}");
        }
    }

    /// No error is tolerated: within the limit every lock must come.
    fn transact(&mut self) {
        let began = Instant::now();
        self.run("BEGIN IMMEDIATE");
        let (seq, before): (i64, i64) = self
            .connection
            .query_row("SELECT seq, chain FROM head", [], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        let (seq, nonce) = (seq + 1, self.dice.roll(u64::MAX).cast_signed());
        let chain = chained(before, seq, nonce);
        self.run(&format!("INSERT INTO entry VALUES ({seq}, {nonce}, {chain})"));
        self.move_money();
        self.move_pages();
        self.run(&format!(
            "UPDATE head SET seq = {seq}, chain = {chain}, filler = (SELECT count(*) FROM filler)"
        ));
        // Without a journal nothing can be taken back.
        if self.dice.roll(20) == 0 && self.may_roll_back {
            return self.run("ROLLBACK");
        }
        self.note(&format!("will {seq} {chain}\n"));
        self.run("COMMIT");
        self.note(&format!("did {seq}\n"));
        self.commits += 1;
        self.slowest = self.slowest.max(began.elapsed());
    }

    fn move_money(&mut self) {
        let (from, to) = (self.dice.roll(ACCOUNTS), self.dice.roll(ACCOUNTS));
        self.run(&format!(
            "UPDATE account SET balance = balance - 3 WHERE id = {from};
             UPDATE account SET balance = balance + 3, note = hex(randomblob(20)) WHERE id = {to};"
        ));
    }

    /// Rows of up to some pages come and go; now and then so many that the cache spills in the middle of the transaction.
    fn move_pages(&mut self) {
        let rows = if self.dice.roll(30) == 0 { 25 } else { 1 + self.dice.roll(3) };
        let (bytes, keep) = (1 + self.dice.roll(3000), 10 + self.dice.roll(40));
        self.run(&format!(
            "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < {rows})
             INSERT INTO filler (bytes) SELECT randomblob({bytes}) FROM k;
             DELETE FROM filler WHERE id NOT IN (SELECT id FROM filler ORDER BY random() LIMIT {keep});"
        ));
    }

    fn run(&self, sql: &str) {
        self.connection.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    fn note(&mut self, line: &str) {
        self.log.write_all(line.as_bytes()).unwrap();
    }
}
