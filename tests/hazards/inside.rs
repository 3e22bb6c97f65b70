//! What a capture tells of the inside of a database: knowledge and samples; and schemas that mean harm.

use std::fs;
use std::path::Path;

use larder::codec::snapshot::{DatabaseLabel, TableRows};
use larder::sqlite::inspect::inspect;
use larder::sqlite::questions::{Answer, Content, built_in};
use rusqlite::Connection;

use super::asking::{assert_good, known, made, named, query, rows, why};
use super::torture_writer::Dice;
use crate::sqlite_rig::{Rig, make_ledger, now_ns};

const APPLICATION: &str = "
    PRAGMA application_id = -7; PRAGMA user_version = 12;
    CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL);
    INSERT INTO alembic_version VALUES ('7cb259170036');
    CREATE TABLE components (id TEXT PRIMARY KEY) WITHOUT ROWID;
    INSERT INTO components VALUES ('a'), ('b'), ('c');
    CREATE TABLE empty (x);
    CREATE VIRTUAL TABLE components_fts USING fts5(id);
    CREATE VIEW v AS SELECT * FROM components;
    CREATE TRIGGER t AFTER INSERT ON components BEGIN INSERT INTO empty VALUES (1); END;";

#[test]
fn a_snapshot_knows_what_is_inside() {
    let rig = Rig::new();
    let captured = rig.capture_at_rest(&made(&rig, APPLICATION));
    assert_good(&captured);
    let known = known(&captured);
    assert_eq!((known.application_id, known.user_version), (-7, 12));
    assert_eq!(known.alembic_revision.as_deref(), Some("7cb259170036"));
    assert_eq!(rows(known), [("alembic_version", 1), ("components", 3), ("empty", 0)]);
    assert_eq!(known.tables_left_out, 0);
}

#[test]
fn the_schema_hash_follows_the_schema_alone() {
    let rig = Rig::new();
    let path = made(&rig, APPLICATION);
    let hash = |rig: &Rig| known(&rig.capture(&path)).schema;
    let before = hash(&rig);
    Connection::open(&path).unwrap().execute_batch("INSERT INTO empty VALUES (1)").unwrap();
    assert_eq!(hash(&rig), before);
    Connection::open(&path).unwrap().execute_batch("CREATE INDEX i ON empty (x)").unwrap();
    assert_ne!(hash(&rig), before);
}

#[test]
fn of_what_cannot_be_read_only_the_header_is_known() {
    let rig = Rig { questions: built_in(), ..Rig::new() };
    let path = made(&rig, "PRAGMA user_version = 5; CREATE TABLE t (x)");
    let mut torn = fs::read(&path).unwrap();
    torn[100..].fill(0xff);
    fs::write(&path, &torn).unwrap();
    let captured = rig.capture(&path);
    assert_eq!(captured.label, DatabaseLabel::SourceCorrupt);
    let known = known(&captured);
    assert_eq!((known.user_version, known.tables.len(), known.schema), (5, 0, None));
    fs::write(&path, [7; 8192]).unwrap();
    fs::write(rig.path("a.db-wal"), [0x37, 0x7f, 6, 0x82]).unwrap();
    let captured = rig.capture(&path);
    assert_eq!(captured.label, DatabaseLabel::Opaque);
    assert!(captured.knowledge.is_none() && captured.answers.is_empty());
}

/// A schema is text of whoever wrote the file. Nothing of it runs, and none of it costs the bytes.
#[test]
fn a_schema_that_means_harm_is_only_captured() {
    let bomb = "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k)";
    let long = "y".repeat(900_000);
    let schema = format!(
        "CREATE TABLE t (a TEXT, g AS (upper(a)), CHECK (length(a) < 100));
         CREATE INDEX i ON t (lower(a)); INSERT INTO t (a) VALUES ('x'), ('y');
         CREATE TABLE victim (x); INSERT INTO victim VALUES (1);
         CREATE VIEW bomb AS {bomb} SELECT i FROM k;
         CREATE VIEW loads AS SELECT load_extension('/tmp/x');
         CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM victim; SELECT load_extension('/tmp/x'); END;
         CREATE TABLE \"{long}\" (x); CREATE TABLE wide (x DEFAULT '{long}');
         CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('x');
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES ('table', 'odd', 'odd', 0, 'CREATE VIRTUAL TABLE odd USING nobody(''x'')');
         INSERT INTO sqlite_schema VALUES ('trigger', 'tr', 't', 0, 'CREATE TRIGGER tr BEFORE DELETE ON t BEGIN SELECT 1; END');"
    );
    let queries = ["SELECT a FROM t", "SELECT x FROM odd", "SELECT i FROM bomb", "SELECT a FROM f"];
    let rig = Rig { questions: queries.map(query).into(), ..Rig::new() };
    let path = made(&rig, &schema);
    let captured = rig.capture_at_rest(&path);
    assert_good(&captured);
    let known = known(&captured);
    assert_eq!(rows(known), [("t", 2), ("victim", 1), ("wide", 0)]);
    assert_eq!(known.tables_left_out, 1, "the table with a name that no record can hold");
    let files =
        |paths: &[&str]| paths.iter().map(|path| named(path.as_bytes(), None, None)).collect();
    assert_eq!(captured.answers[0], Answer::Named { files: files(&["x", "y"]), without_text: 0 });
    assert!(why(&captured.answers[1]).contains("no such module"));
    assert!(!why(&captured.answers[2]).is_empty(), "views are off");
    assert_eq!(captured.answers[3], Answer::Named { files: files(&["x"]), without_text: 0 });
}

#[test]
fn columns_are_sampled_for_who_looks_for_references() {
    let rig = Rig::new();
    let path = made(
        &rig,
        "CREATE TABLE files (id INTEGER PRIMARY KEY, path VARCHAR(500), size BIGINT, at DATETIME, raw BLOB);
         INSERT INTO files VALUES (1, 'a/b.pdf', 7, 'now', 'x'), (2, 'a/c.pdf', 8, 'now', 'x'), (3, 'a/b.pdf', 7, 'now', 'x');
         CREATE TABLE \"odd \"\"name\" (\"c d\"); INSERT INTO \"odd \"\"name\" VALUES (CAST(x'ff' AS TEXT)), (7), (hex(zeroblob(300)));",
    );
    let inspected = inspect(&rig.options(&now_ns), &path).unwrap();
    assert_good(&inspected.captured);
    let texts = |texts: &[&[u8]]| Content::Texts(texts.iter().map(|text| (*text).into()).collect());
    let found: Vec<_> = inspected
        .columns
        .iter()
        .map(|it| (it.table.as_str(), it.column.as_str(), it.content.clone()))
        .collect();
    let expected = [
        ("files", "id", Content::Integers),
        ("files", "path", texts(&[b"a/b.pdf", b"a/c.pdf"])),
        ("files", "size", Content::Integers),
        ("odd \"name", "c d", texts(&[b"\xff"])),
    ];
    assert_eq!(found, expected);
    assert_eq!(fs::read_dir(rig.spool.path()).unwrap().count(), 0);
}

/// Whatever is wrong with the bytes, the helper looks inside as far as it goes, and ends in good order.
#[test]
fn mutated_databases_are_looked_into_as_far_as_that_goes() {
    let rig = Rig { questions: vec![query("SELECT note FROM account")], ..Rig::new() };
    let path = rig.path("mutated.db");
    make_ledger(&path, "DELETE", 1024);
    let sound = fs::read(&path).unwrap();
    let (mut answered, mut failed) = (0, 0);
    for seed in 0..60 {
        let mut dice = Dice(seed);
        let mut content = sound.clone();
        let within = if seed % 3 == 0 { 3000 } else { content.len() as u64 };
        for _ in 0..8 {
            let at = usize::try_from(100 + dice.roll(within - 100)).unwrap();
            content[at] = u8::try_from(dice.roll(256)).unwrap();
        }
        fs::write(&path, content).unwrap();
        let inspected = inspect(&rig.options(&now_ns), &path).unwrap();
        match &inspected.captured.answers[..] {
            [Answer::Failed(why)] => {
                assert!(!why.contains("helper failed"), "seed {seed}: {why}");
                failed += 1;
            }
            [Answer::Named { .. }] => answered += 1,
            other => assert!(other.is_empty(), "{other:?}"),
        }
    }
    assert!(answered > 5 && failed > 5, "too mild or too harsh: {answered} {failed}");
}

#[test]
fn a_database_that_cannot_be_read_has_no_samples() {
    let rig = Rig::new();
    let path = rig.path("sealed.db");
    fs::write(&path, [0x5a; 8192]).unwrap();
    let inspected = inspect(&rig.options(&now_ns), &path).unwrap();
    assert_eq!(inspected.captured.label, DatabaseLabel::Opaque);
    assert!(inspected.columns.is_empty());
    assert!(inspect(&rig.options(&now_ns), Path::new("/nonexistent/a.db")).is_err());
}

#[test]
fn tables_ascend_as_the_record_has_them() {
    let rig = Rig::new();
    let captured =
        rig.capture(&made(&rig, "CREATE TABLE b (x); CREATE TABLE A (x); CREATE TABLE \"\" (x);"));
    let names = ["", "A", "b"].map(|name| TableRows { name: name.to_owned(), rows: 0 });
    assert_eq!(known(&captured).tables, names);
}
