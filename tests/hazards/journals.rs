//! Every way in which a database keeps its journal and its free pages, and changes of them between two captures.

use std::fs;
use std::sync::{Arc, Mutex};

use larder::codec::snapshot::{CheckResult, DatabaseLabel};
use larder::observe::{Observer, Phase, Total, Warning};
use larder::sqlite::captured::Captured;
use larder::sqlite::options::HelperCommand;
use rusqlite::Connection;

use crate::sqlite_rig::{Application, Rig, make_ledger, prove, restored};

fn assert_committed(captured: &Captured) {
    let got = (captured.label, &captured.check);
    assert_eq!(got, (DatabaseLabel::Committed, &CheckResult::QuickOk));
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

/// What a kill in the middle of its last transaction does not touch: whatever the mode left beside the database stays as it is.
#[test]
fn every_journal_mode_is_captured_at_rest() {
    for journal_mode in ["DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF", "WAL"] {
        let rig = Rig::new();
        let path = rig.path("a.db");
        make_ledger(&path, journal_mode, 4096);
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch(&format!(
                "PRAGMA journal_mode = {journal_mode}; UPDATE counter SET n = 3; UPDATE counter SET n = 0;"
            ))
            .unwrap();
        connection.close().unwrap();
        let persists = matches!(journal_mode, "TRUNCATE" | "PERSIST");
        assert_eq!(rig.path("a.db-journal").exists(), persists, "{journal_mode}");
        let captured = rig.capture_at_rest(&path);
        assert_committed(&captured);
        assert_eq!(prove(&captured), 0);
    }
}

#[test]
fn every_auto_vacuum_mode_and_its_free_pages_are_kept() {
    for (mode, code) in [("NONE", 0), ("FULL", 1), ("INCREMENTAL", 2)] {
        for page_size in [512, 4096, 65_536] {
            let rig = Rig::new();
            let path = rig.path("a.db");
            let connection = Connection::open(&path).unwrap();
            connection
                .execute_batch(&format!(
                    "PRAGMA page_size = {page_size}; PRAGMA auto_vacuum = {mode}; CREATE TABLE t (b);
                     WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 60)
                     INSERT INTO t SELECT randomblob(9000) FROM k; DELETE FROM t WHERE rowid % 3 = 0;"
                ))
                .unwrap();
            let free = number(&connection, "PRAGMA freelist_count");
            assert_eq!(free > 0, mode != "FULL", "{mode} {page_size}");
            connection.close().unwrap();
            let captured = rig.capture_at_rest(&path);
            assert_committed(&captured);
            let (_dir, copy) = restored(&captured);
            assert_eq!(number(&copy, "PRAGMA auto_vacuum"), code);
            assert_eq!(number(&copy, "PRAGMA freelist_count"), free);
            assert_eq!(number(&copy, "PRAGMA page_size"), page_size);
        }
    }
}

#[test]
fn a_vacuum_and_another_page_size_between_two_captures_are_just_another_state() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "DELETE", 4096);
    let mut sizes = Vec::new();
    for change in [
        "SELECT 1",
        "DELETE FROM account WHERE id > 800; UPDATE account SET moves = 0; VACUUM",
        "PRAGMA page_size = 512; VACUUM",
        "PRAGMA page_size = 65536; PRAGMA auto_vacuum = FULL; VACUUM",
        "PRAGMA journal_mode = WAL",
    ] {
        let connection = Connection::open(&path).unwrap();
        connection.execute_batch(change).unwrap();
        connection.close().unwrap();
        let captured = rig.capture_at_rest(&path);
        assert_committed(&captured);
        assert_eq!(prove(&captured), 0, "{change}");
        sizes.push((captured.page_size, captured.len));
    }
    assert!(sizes[1].1 < sizes[0].1, "the VACUUM shrank nothing: {sizes:?}");
    assert_eq!(sizes.iter().map(|it| it.0).collect::<Vec<_>>(), [4096, 4096, 512, 65_536, 65_536]);
}

/// M10: what is only in the log is in the capture, though the file itself does not know of it.
#[test]
fn what_is_only_in_the_log_is_captured() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    let application = Application::start("commit-into-the-log", &path);
    let bare = rig.spool.path().join("bare.db");
    fs::copy(&path, &bare).unwrap();
    let alone = Connection::open(&bare).unwrap();
    assert_eq!(number(&alone, "SELECT n FROM counter"), 0, "the case proves nothing");
    alone.close().unwrap();
    for entry in fs::read_dir(rig.spool.path()).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    assert_eq!(prove(&rig.capture_at_rest(&path)), 20);
    application.stop();
}

struct Heard(Arc<Mutex<Vec<String>>>);

impl Observer for Heard {
    fn begin(&self, _: Phase, _: Option<Total>) {}
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, warning: Warning) {
        self.0.lock().unwrap().push(warning.to_string());
    }
}

/// The real helper; only the figure that it reports is another.
#[test]
fn a_log_that_grows_much_under_a_capture_is_said() {
    for (grew, said) in [(0_u64, 0), (268_435_456, 0), (268_435_457, 1), (3_000_000_000, 1)] {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let script = format!(
            "'{}' capture-helper | sed -u 's/\"log_grew_bytes\":0/\"log_grew_bytes\":{grew}/'",
            env!("CARGO_BIN_EXE_larder")
        );
        let args = vec!["-c".into(), script.into()];
        let helper = HelperCommand { program: "/bin/sh".into(), args };
        let observer = Box::new(Heard(Arc::clone(&heard)));
        let rig = Rig { helper, observer, ..Rig::new() };
        let path = rig.path("a.db");
        make_ledger(&path, "WAL", 4096);
        assert_committed(&rig.capture(&path));
        let heard = heard.lock().unwrap();
        assert_eq!(heard.len(), said, "{heard:?}");
        assert!(heard.iter().all(|it| it.contains("write-ahead log grew by")), "{heard:?}");
    }
}
