//! Files that have the names of those beside a database.

use std::fs;
use std::path::Path;

use larder::codec::snapshot::{DatabaseLabel, Outcome};
use larder::observe::Unobserved;
use larder::ops::backup::BackupOptions;
use larder_testkit::compare::differences;
use rusqlite::Connection;

use crate::round_trip::World;

/// The header of a write-ahead log, and noise.
fn log() -> Vec<u8> {
    let mut log = vec![0x37, 0x7f, 0x06, 0x82];
    log.resize(4096, 1);
    log
}

/// A closed database in WAL mode; nothing stands beside it.
fn database(path: &Path, what: &str) {
    let connection = Connection::open(path).unwrap();
    let sql =
        format!("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES ('{what}');");
    connection.execute_batch(&sql).unwrap();
    connection.close().unwrap();
}

fn content(path: &Path) -> String {
    let connection = Connection::open(path).unwrap();
    connection.query_row("SELECT a FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn files_that_only_have_the_names_of_side_files_are_saved_and_left_alone() {
    let world = World::new(11);
    let source = world.path("source");
    database(&source.join("app"), "app");
    database(&source.join("app-shm"), "precious");
    for (name, text) in [("app-wal", "notes about a wal"), ("app-journal", "dear diary")] {
        fs::write(source.join(name), text).unwrap();
    }
    let before: Vec<_> =
        ["app-shm", "app-wal", "app-journal"].map(|it| fs::read(source.join(it)).unwrap()).into();
    let report = world.backup();
    let databases = &report.record.databases;
    assert_eq!(
        databases.iter().map(|it| &*it.path).collect::<Vec<_>>(),
        [b"app".as_slice(), b"app-shm"]
    );
    let after: Vec<_> =
        ["app-shm", "app-wal", "app-journal"].map(|it| fs::read(source.join(it)).unwrap()).into();
    assert!(before == after, "the source was written to");
    let restored = world.restore("restored");
    assert_eq!(fs::read_to_string(restored.join("app-wal")).unwrap(), "notes about a wal");
    assert_eq!(fs::read_to_string(restored.join("app-journal")).unwrap(), "dear diary");
    for name in ["app-wal", "app-journal"] {
        fs::remove_file(restored.join(name)).unwrap();
    }
    assert_eq!(content(&restored.join("app-shm")), "precious");
    fs::rename(restored.join("app-shm"), restored.join("precious")).unwrap();
    assert_eq!(content(&restored.join("app")), "app");
    // They are known from the night before.
    let again = world.backup();
    let counts = again.record.counts;
    assert_eq!((counts.new_files, counts.changed_files, counts.removed_files), (0, 0, 0));
}

#[test]
fn a_broken_database_makes_sqlite_write_over_no_file_beside_it() {
    let world = World::new(12);
    let source = world.path("source");
    database(&source.join("z"), "broken");
    let mut bytes = fs::read(source.join("z")).unwrap();
    bytes[100..].fill(0x5a);
    fs::write(source.join("z"), bytes).unwrap();
    database(&source.join("z-shm"), "precious");
    fs::write(source.join("z-wal"), log()).unwrap();
    let precious = fs::read(source.join("z-shm")).unwrap();
    let report = world.backup();
    assert_eq!(report.record.databases.len(), 2, "{:?}", report.record);
    assert!(fs::read(source.join("z-shm")).unwrap() == precious, "it was written to");
    let restored = world.restore("restored");
    assert_eq!(content(&restored.join("z-shm")), "precious");
    assert_eq!(fs::read(restored.join("z-wal")).unwrap(), log());
}

#[test]
fn what_sqlite_has_done_with_is_left_out() {
    let world = World::new(13);
    let source = world.path("source");
    database(&source.join("a"), "a");
    fs::write(source.join("a-journal"), [vec![0; 28], vec![7; 1000]].concat()).unwrap();
    fs::write(source.join("a-wal"), "").unwrap();
    fs::write(source.join("a-shm"), "").unwrap();
    world.backup();
    let restored = world.restore("restored");
    assert_eq!(fs::read_dir(&restored).unwrap().count(), 1);
    assert_eq!(content(&restored.join("a")), "a");
}

#[test]
fn a_log_gives_its_database_away_in_the_first_run_and_when_it_is_excluded() {
    for excludes in [Vec::new(), vec!["*-wal".to_owned()]] {
        let world = World::new(14);
        let source = world.path("source");
        fs::write(source.join("sealed.db"), [0x5a; 8192]).unwrap();
        fs::write(source.join("sealed.db-wal"), log()).unwrap();
        let options = BackupOptions { excludes, ..world.options() };
        let report = world.try_backup(&options, &world.helper(), &Unobserved).unwrap();
        assert_eq!(report.record.outcome, Outcome::WithFindings);
        let labels: Vec<_> = report.record.databases.iter().map(|it| it.label).collect();
        assert_eq!(labels, [DatabaseLabel::Opaque]);
        let mut lost = differences(&source, &world.restore("restored"));
        lost.retain(|difference| !difference.contains("sealed.db-wal"));
        assert_eq!(lost, Vec::<String>::new());
    }
}
