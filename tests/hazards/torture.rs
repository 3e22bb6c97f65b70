//! Torture: captures beside one to eight writers that commit, roll back, checkpoint, VACUUM and are killed, in every journal
//! mode. Each captured database must be sound and exactly one commit that a writer logged.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use larder::codec::snapshot::{CheckResult, DatabaseLabel};
use larder::sqlite::captured::Captured;
use larder_testkit::campaign::seeds;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::torture_writer::{self, ACCOUNTS, Dice, Style, chained};
use crate::sqlite_rig::{Application, Rig, bytes};

/// Captures of one database, before the next is made.
const CAPTURES: u64 = 25;

/// Those in which a killed writer leaves a database whole; MEMORY and OFF promise nothing of the kind.
const DURABLE: [&str; 4] = ["WAL", "DELETE", "TRUNCATE", "PERSIST"];
const JOURNAL_MODES: [&str; 8] =
    ["WAL", "DELETE", "WAL", "TRUNCATE", "WAL", "PERSIST", "MEMORY", "OFF"];
const PAGE_SIZES: [u32; 8] = [4096, 512, 1024, 2048, 8192, 16_384, 32_768, 65_536];
const AUTO_VACUUM: [&str; 3] = ["NONE", "FULL", "INCREMENTAL"];

/// What the writers of a round have said so far.
#[derive(Default)]
struct Logs {
    /// Every commit that was to be made: its number and the hash of all up to it.
    intended: HashSet<(i64, i64)>,
    /// The newest that was made for sure.
    made: i64,
}

impl Logs {
    /// A killed writer's last line may have no end.
    fn read(dir: &Path) -> Self {
        let mut logs = Self::default();
        for entry in fs::read_dir(dir).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            let whole = text.rfind('\n').map_or("", |end| &text[..end]);
            for line in whole.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                match words[..] {
                    ["will", seq, chain] => {
                        logs.intended.insert((seq.parse().unwrap(), chain.parse().unwrap()));
                    }
                    ["did", seq] => logs.made = logs.made.max(seq.parse().unwrap()),
                    _ => panic!("{line}"),
                }
            }
        }
        logs
    }
}

/// Writers beside a database; they are killed and followed by others until they are told to end.
struct Writers<'a> {
    path: &'a Path,
    style: &'a Style,
    logs: &'a Path,
    dice: Dice,
    started: u64,
    running: Vec<Application>,
    killed: u64,
}

impl Writers<'_> {
    fn start(&mut self) {
        self.started += 1;
        let log = self.logs.join(self.started.to_string());
        let seed = self.dice.roll(u64::MAX);
        self.running.push(torture_writer::start(self.path, self.style, seed, &log));
    }

    /// Kills one at some moment, or all of them, and starts as many again.
    fn kill_until(&mut self, told: &Receiver<()>) {
        loop {
            let moment = Duration::from_millis(10 + self.dice.roll(90));
            if told.recv_timeout(moment) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let all = self.dice.roll(4) == 0;
            let count = if all { self.running.len() } else { 1 };
            for _ in 0..count {
                let victim = self.dice.roll(self.running.len() as u64);
                self.running.swap_remove(usize::try_from(victim).unwrap()).kill();
                self.killed += 1;
            }
            (0..count).for_each(|_| self.start());
        }
    }

    /// Ends them; returns the commits of those that were not killed.
    fn finish(&mut self) -> u64 {
        let reports = self.running.drain(..).map(Application::stop);
        let commits = reports.map(|report| {
            let words: Vec<u64> =
                report.split(' ').skip(1).map(|word| word.parse().unwrap()).collect();
            let [commits, slowest_ms] = words[..] else { panic!("{report}") };
            assert!(slowest_ms < 60_000, "a writer waited without a bound: {report}");
            commits
        });
        commits.sum()
    }
}

struct Round {
    rig: Rig,
    path: PathBuf,
    logs: TempDir,
    aside: TempDir,
    style: Style,
    last: i64,
    recovered: u64,
}

impl Round {
    fn new(seed: u64, dice: &mut Dice) -> Self {
        let rig = Rig { wait: Duration::from_mins(1), ..Rig::new() };
        let place = usize::try_from(seed % 8).unwrap();
        let auto_vacuum = AUTO_VACUUM[usize::try_from(dice.roll(3)).unwrap()];
        let page_size = PAGE_SIZES[usize::try_from(dice.roll(8)).unwrap()];
        let style = Style { journal_mode: JOURNAL_MODES[place], page_size, auto_vacuum };
        let path = rig.path("tortured.db");
        torture_writer::make(&path, &style);
        let (logs, aside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        Self { rig, path, logs, aside, style, last: 0, recovered: 0 }
    }

    /// One capture beside the writers: no older than what was committed before it, and one of the commits.
    fn capture(&mut self) {
        let before = Logs::read(self.logs.path());
        let captured = self.rig.capture(&self.path);
        let seq = self.prove(&captured, &before);
        assert!(seq >= self.last, "older than the capture before: {seq} of {}", self.last);
        self.last = seq;
    }

    fn prove(&mut self, captured: &Captured, before: &Logs) -> i64 {
        let label = captured.label;
        let known = matches!(label, DatabaseLabel::Committed | DatabaseLabel::Recovered);
        assert!(known, "{label:?} {:?} {:?}", captured.check, self.style);
        assert_eq!(captured.check, CheckResult::QuickOk);
        self.recovered += u64::from(label == DatabaseLabel::Recovered);
        let (seq, chain) = read(captured, &self.aside.path().join("captured.db"));
        assert!(seq >= before.made, "commit {} was made before, {seq} was captured", before.made);
        let logs = Logs::read(self.logs.path());
        let logged = seq == 0 || logs.intended.contains(&(seq, chain));
        assert!(logged, "{seq} {chain} was never committed: {:?}", self.style);
        seq
    }
}

/// Opens the captured bytes aside; returns number and hash of the last commit, when everything in them agrees.
fn read(captured: &Captured, aside: &Path) -> (i64, i64) {
    fs::write(aside, bytes(captured)).unwrap();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", aside.display());
    let connection = Connection::open_with_flags(uri, flags).unwrap();
    let number = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let verdict: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(verdict, "ok");
    let mut entries =
        connection.prepare("SELECT seq, nonce, chain FROM entry ORDER BY seq").unwrap();
    let mut rows = entries.query([]).unwrap();
    let (mut seq, mut chain) = (0, 0);
    while let Some(row) = rows.next().unwrap() {
        seq += 1;
        chain = chained(chain, seq, row.get(1).unwrap());
        assert_eq!((row.get(0), row.get(2)), (Ok(seq), Ok(chain)), "the entries do not agree");
    }
    assert_eq!((number("SELECT seq FROM head"), number("SELECT chain FROM head")), (seq, chain));
    assert_eq!(number("SELECT filler FROM head"), number("SELECT count(*) FROM filler"));
    assert_eq!(number("SELECT sum(balance) FROM account"), 0, "half a transaction");
    let told = captured.knowledge.as_ref().unwrap();
    let told = told.tables.iter().map(|table| (table.name.as_str(), table.rows));
    let filler = number("SELECT count(*) FROM filler").cast_unsigned();
    let expected =
        [("account", ACCOUNTS), ("entry", seq.cast_unsigned()), ("filler", filler), ("head", 1)];
    assert!(told.eq(expected), "the rows that were told are not those of the bytes");
    (seq, chain)
}

/// The judge of the torture must notice what it is to notice.
#[test]
fn torture_judges_see_what_is_no_commit() {
    let mut dice = Dice(7);
    let round = Round::new(0, &mut dice);
    let chain = chained(0, 1, 5);
    let change = |sql: &str| Connection::open(&round.path).unwrap().execute_batch(sql).unwrap();
    let judged = || {
        let captured = round.rig.capture(&round.path);
        std::panic::catch_unwind(|| read(&captured, &round.aside.path().join("judged.db")))
    };
    assert_eq!(judged().unwrap(), (0, 0));
    change(&format!("INSERT INTO entry VALUES (1, 5, {chain})"));
    assert!(judged().is_err(), "an entry without its head");
    change(&format!("UPDATE head SET seq = 1, chain = {chain}"));
    assert_eq!(judged().unwrap(), (1, chain));
    change("UPDATE account SET balance = 3 WHERE id = 1");
    assert!(judged().is_err(), "half a transfer");
    change("UPDATE account SET balance = 0; UPDATE entry SET nonce = 6");
    assert!(judged().is_err(), "another transaction than the one in the chain");
    change("UPDATE entry SET nonce = 5; INSERT INTO filler VALUES (1, 'x')");
    assert!(judged().is_err(), "rows that the head does not count");
    fs::write(round.logs.path().join("1"), format!("will 1 {chain}\ndid 1\nwill 2 7")).unwrap();
    let logs = Logs::read(round.logs.path());
    assert_eq!((logs.made, logs.intended), (1, HashSet::from([(1, chain)])));
}

/// What a round came to.
#[derive(Default)]
struct Figures {
    captures: u64,
    commits: i64,
    killed: u64,
    recovered: u64,
}

fn round(seed: u64, captures: u64) -> Figures {
    let mut dice = Dice(seed);
    let mut round = Round::new(seed, &mut dice);
    let logs = round.logs.path().to_owned();
    let (path, style) = (round.path.clone(), round.style.clone());
    let mut writers = Writers {
        path: &path,
        style: &style,
        logs: &logs,
        started: 0,
        running: Vec::new(),
        killed: 0,
        dice,
    };
    let count = 1 + writers.dice.roll(8);
    (0..count).for_each(|_| writers.start());
    let (tell, told) = channel();
    std::thread::scope(|scope| {
        let killing = DURABLE.contains(&style.journal_mode);
        let writers = &mut writers;
        scope.spawn(move || {
            if killing {
                writers.kill_until(&told);
            }
        });
        (0..captures.saturating_sub(1)).for_each(|_| round.capture());
        drop(tell);
    });
    writers.finish();
    // Nobody writes any more: now it shows whether anything of the source changes.
    let before = Logs::read(&logs);
    let captured = round.rig.capture_at_rest(&path);
    let seq = round.prove(&captured, &before);
    Figures { captures, commits: seq, killed: writers.killed, recovered: round.recovered }
}

#[test]
fn torture_every_captured_database_is_a_logged_commit() {
    let seeds = seeds("torture", 500);
    let mut sum = Figures::default();
    let mut from = seeds.start;
    while from < seeds.end {
        let captures = CAPTURES.min(seeds.end - from);
        let figures = round(from / CAPTURES, captures);
        sum.captures += figures.captures;
        sum.commits += figures.commits;
        sum.killed += figures.killed;
        sum.recovered += figures.recovered;
        from += captures;
    }
    eprintln!(
        "{} captured databases, {} commits, {} writers killed, {} captures recovered",
        sum.captures, sum.commits, sum.killed, sum.recovered
    );
    assert!(sum.commits.cast_unsigned() > sum.captures, "the writers stood still");
}
