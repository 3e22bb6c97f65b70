//! Captures that must be one committed state, and leave the source as it was.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::sync::{Arc, Mutex};

use larder::codec::snapshot::JournalMode;
use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel};
use larder::observe::{Observer, Phase, Total, Warning};
use rusqlite::Connection;

use crate::sqlite_rig::{Application, Rig, bytes, make_ledger, prove, restored};

fn assert_committed(captured: &larder::sqlite::captured::Captured, method: CaptureMethod) {
    assert_eq!(captured.label, DatabaseLabel::Committed);
    assert_eq!(captured.check, CheckResult::QuickOk);
    assert_eq!(captured.method, method);
    assert!(captured.knowledge.as_ref().is_some_and(|known| known.schema.is_some()));
    assert!(!captured.needs_side_files());
}

fn busy_writer(journal_mode: &str, rounds: usize, least_per_second: u64) {
    let rig = Rig::new();
    let path = rig.path("live.db");
    // Small pages, so that a copy takes several steps and commits fall between them.
    make_ledger(&path, journal_mode, 512);
    let writer = Application::start("write", &path);
    let mut last = -1;
    for round in 0..rounds {
        let captured = rig.capture(&path);
        assert_committed(&captured, CaptureMethod::OnlineBackup);
        assert_eq!(captured.identity, None, "it changes all the time");
        assert!(captured.page_count > 2048, "one step would do");
        let transactions = prove(&captured);
        assert!(transactions >= last, "capture {round} is older than the one before");
        last = transactions;
    }
    let report = writer.stop();
    let figures: Vec<u64> = report.split(' ').skip(1).map(|n| n.parse().unwrap()).collect();
    let [commits, errors, millis] = figures[..] else { panic!("{report}") };
    assert_eq!(errors, 0, "{report}");
    assert!(commits * 1000 >= least_per_second * millis, "too slow to prove anything: {report}");
    assert!((1..=commits).contains(&u64::try_from(last).unwrap()));
}

#[test]
fn every_capture_beside_a_busy_writer_is_a_transaction_boundary() {
    busy_writer("WAL", 60, 200);
}

/// A rollback writer waits while we copy; it must not fail.
#[test]
fn a_rollback_writer_is_captured_between_two_transactions() {
    busy_writer("DELETE", 6, 1);
    busy_writer("TRUNCATE", 2, 1);
    busy_writer("PERSIST", 2, 1);
}

#[test]
fn a_stopped_application_is_captured_without_a_trace() {
    let rig = Rig::new();
    for page_size in [512, 1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] {
        for (journal_mode, method, expected) in [
            ("WAL", CaptureMethod::Immutable, JournalMode::Wal),
            ("DELETE", CaptureMethod::OnlineBackup, JournalMode::Rollback),
        ] {
            let path = rig.path(&format!("{journal_mode}-{page_size}.db"));
            make_ledger(&path, journal_mode, page_size);
            let captured = rig.capture_at_rest(&path);
            assert_committed(&captured, method);
            assert_eq!((captured.page_size, captured.journal_mode), (page_size, expected));
            assert_eq!(prove(&captured), 0);
            assert_eq!(captured.len, fs::metadata(&path).unwrap().len());
        }
    }
}

/// Of the header three fields are the backup's own; every other byte is the source's.
#[test]
fn a_capture_has_the_pages_of_the_source() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    let ours = |mut bytes: Vec<u8>| {
        for own in [24..28, 40..44, 92..100] {
            bytes[own].fill(0);
        }
        bytes
    };
    let source = ours(fs::read(&path).unwrap());
    let first = rig.capture(&path);
    assert!(ours(bytes(&first)) == source);
    assert!(bytes(&first) == bytes(&rig.capture(&path)), "two captures of one state differ");
}

#[test]
fn a_killed_application_leaves_its_commits_in_the_log() {
    let rig = Rig::new();
    let path = rig.path("killed.db");
    make_ledger(&path, "WAL", 4096);
    Application::start("commit-into-the-log", &path).kill();
    assert!(rig.path("killed.db-wal").exists() && rig.path("killed.db-shm").exists());
    let captured = rig.capture_at_rest(&path);
    assert_committed(&captured, CaptureMethod::OnlineBackup);
    assert_eq!(prove(&captured), 20);
}

#[test]
fn an_idle_application_is_joined_and_left_alone() {
    let rig = Rig::new();
    let path = rig.path("idle.db");
    make_ledger(&path, "WAL", 4096);
    let application = Application::start("commit-into-the-log", &path);
    let captured = rig.capture_at_rest(&path);
    assert_committed(&captured, CaptureMethod::OnlineBackup);
    assert_eq!(prove(&captured), 20);
    application.stop();
}

#[test]
fn a_stale_index_alone_is_neither_used_nor_joined_by_a_log() {
    let rig = Rig::new();
    let path = rig.path("stale.db");
    make_ledger(&path, "WAL", 4096);
    let foreign = vec![0xa5; 32_768];
    fs::write(rig.path("stale.db-shm"), &foreign).unwrap();
    let captured = rig.capture_at_rest(&path);
    assert_committed(&captured, CaptureMethod::Immutable);
    assert_eq!(prove(&captured), 0);
    // What does not look like an index may be anybody's, and is not written over.
    fs::write(rig.path("stale.db-wal"), b"").unwrap();
    assert_committed(&rig.capture(&path), CaptureMethod::Immutable);
    assert_eq!(fs::read(rig.path("stale.db-shm")).unwrap(), foreign);
    let stale = [3_007_000_u32.to_le_bytes().as_slice(), &foreign].concat();
    fs::write(rig.path("stale.db-shm"), stale).unwrap();
    let captured = rig.capture(&path);
    assert_committed(&captured, CaptureMethod::OnlineBackup);
    assert_eq!(fs::read(rig.path("stale.db-wal")).unwrap(), b"");
}

#[test]
fn names_are_names_and_never_addresses() {
    let rig = Rig::new();
    let names: [&[u8]; 5] = [
        b"file:x.db",
        b"file:y.db?immutable=1&mode=rwc",
        b"a b%20#.db",
        b"\xff\n'.db",
        b":memory:",
    ];
    for name in names {
        for journal_mode in ["WAL", "DELETE"] {
            let made = rig.path("made.db");
            make_ledger(&made, journal_mode, 4096);
            let path = rig.source.path().join(OsStr::from_bytes(name));
            fs::rename(&made, &path).unwrap();
            assert_eq!(prove(&rig.capture_at_rest(&path)), 0, "{}", name.escape_ascii());
        }
    }
}

#[test]
fn a_link_to_a_database_is_followed_to_its_log() {
    let rig = Rig::new();
    let path = rig.path("real.db");
    make_ledger(&path, "WAL", 4096);
    let elsewhere = tempfile::tempdir().unwrap();
    let link = elsewhere.path().join("link.db");
    symlink(&path, &link).unwrap();
    let application = Application::start("commit-into-the-log", &path);
    let captured = rig.capture_at_rest(&link);
    assert_eq!(prove(&captured), 20);
    assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 1);
    application.stop();
}

#[test]
fn a_database_that_another_takes_the_name_of_is_one_of_the_two() {
    let rig = Rig::new();
    let (path, other) = (rig.path("a.db"), rig.path("b.db"));
    make_ledger(&path, "DELETE", 4096);
    make_ledger(&other, "DELETE", 8192);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let spare = rig.path("spare.db");
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                fs::copy(&other, &spare).unwrap();
                fs::rename(&spare, &path).unwrap();
            }
        });
        for _ in 0..8 {
            let captured = rig.capture(&path);
            assert_eq!(prove(&captured), 0);
            let label = captured.label;
            assert!(
                matches!(label, DatabaseLabel::Committed | DatabaseLabel::CrashImage),
                "{label:?}"
            );
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
}

#[test]
fn a_settled_database_can_be_recognised_unchanged() {
    let rig = Rig::new();
    let path = rig.path("old.db");
    make_ledger(&path, "WAL", 4096);
    let fresh = rig.capture(&path);
    assert_eq!(fresh.identity, None, "a change within the coarsest stamp would not show");
    let later = Rig { source: rig.source, ..Rig::new() };
    let identity = larder::sqlite::identity::observe(&path).unwrap();
    let captured = later.capture_later(&path, 3_000_000_000);
    assert_eq!(captured.identity, Some(identity));
}

#[test]
fn a_schema_that_cannot_be_read_is_captured_and_said() {
    let rig = Rig::new();
    let path = rig.path("odd.db");
    make_ledger(&path, "DELETE", 4096);
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = 'CREATE TABLE counter(n FUTURE SYNTAX(' WHERE name = 'counter';",
        )
        .unwrap();
    connection.close().unwrap();
    let captured = rig.capture_at_rest(&path);
    assert_eq!(captured.label, DatabaseLabel::SourceCorrupt);
    assert!(matches!(&captured.check, CheckResult::Failed(text) if text.contains("malformed")));
    assert_eq!(captured.method, CaptureMethod::OnlineBackup);
}

/// A foreign collation cannot be checked here, which is no fault of the database.
#[test]
fn what_this_library_lacks_is_no_damage() {
    let rig = Rig::new();
    let path = rig.path("icu.db");
    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(
            "CREATE TABLE t (a TEXT COLLATE NOCASE); CREATE INDEX i ON t (a);
             INSERT INTO t VALUES ('x'), ('y');
             PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET sql = replace(sql, 'NOCASE', 'dutch');",
        )
        .unwrap();
    connection.close().unwrap();
    let captured = rig.capture_at_rest(&path);
    assert_eq!(captured.label, DatabaseLabel::Committed);
    let (_dir, connection) = restored(&captured);
    let rows: i64 = connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap();
    assert_eq!(rows, 2);
}

struct Heard(Arc<Mutex<Vec<Warning>>>);

impl Observer for Heard {
    fn begin(&self, _: Phase, _: Option<Total>) {}
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, warning: Warning) {
        self.0.lock().unwrap().push(warning);
    }
}

#[test]
fn a_second_name_of_the_file_is_warned_of() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let rig = Rig { observer: Box::new(Heard(Arc::clone(&heard))), ..Rig::new() };
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    rig.capture(&path);
    assert_eq!(heard.lock().unwrap().len(), 0);
    fs::hard_link(&path, rig.path("b.db")).unwrap();
    rig.capture(&path);
    let heard = heard.lock().unwrap();
    assert!(matches!(&heard[..], [one] if one.to_string().contains("hard links")));
}
