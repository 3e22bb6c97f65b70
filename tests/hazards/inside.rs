//! What a capture tells of the inside of a database: knowledge, named files, samples; and schemas and queries that mean harm.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel, Knowledge, TableRows};
use larder::sqlite::captured::Captured;
use larder::sqlite::inspect::inspect;
use larder::sqlite::questions::{
    Answer, BaseDir, Content, MAX_HASH_BYTES, MAX_PATH_BYTES, MAX_QUERIES, Named, ReferenceQuery,
    built_in,
};
use rusqlite::Connection;

use crate::sqlite_rig::{Application, Rig, bytes, make_ledger, now_ns, prove};

fn query(sql: &str) -> ReferenceQuery {
    ReferenceQuery {
        name: "q".to_owned(),
        database: None,
        needs: Vec::new(),
        base: BaseDir::BelowRoot(Vec::new()),
        sql: sql.to_owned(),
    }
}

fn made(rig: &Rig, sql: &str) -> PathBuf {
    let path = rig.path("a.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
    path
}

/// Captures a sound database and puts these queries to it; whatever becomes of them, the capture is good.
fn asked(sql: &str, queries: Vec<ReferenceQuery>) -> Vec<Answer> {
    let count = queries.len();
    let rig = Rig { questions: queries, ..Rig::new() };
    let captured = rig.capture_at_rest(&made(&rig, sql));
    assert_good(&captured);
    assert_eq!(captured.answers.len(), count);
    captured.answers
}

fn assert_good(captured: &Captured) {
    assert_eq!(
        (captured.label, &captured.check),
        (DatabaseLabel::Committed, &CheckResult::QuickOk)
    );
    assert!(captured.knowledge.as_ref().is_some_and(|known| known.schema.is_some()));
}

fn answer(sql: &str, sql_of_query: &str) -> Answer {
    asked(sql, vec![query(sql_of_query)]).remove(0)
}

fn named(path: &[u8], size_bytes: Option<u64>, hash: Option<&str>) -> Named {
    Named { path: path.into(), size_bytes, hash: hash.map(Into::into) }
}

fn why(answer: &Answer) -> &str {
    match answer {
        Answer::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

fn known(captured: &Captured) -> &Knowledge {
    captured.knowledge.as_ref().unwrap()
}

fn rows(known: &Knowledge) -> Vec<(&str, u64)> {
    known.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect()
}

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

/// Whatever way the bytes came, when `SQLite` could look at them it tells what is inside.
#[test]
fn a_recovered_database_is_known_as_well() {
    let rig = Rig { questions: vec![query("SELECT 'x', n FROM counter")], ..Rig::new() };
    let path = rig.path("a.db");
    make_ledger(&path, "DELETE", 4096);
    Application::start("spill-half-a-transaction", &path).kill();
    let captured = rig.capture(&path);
    assert_eq!(captured.label, DatabaseLabel::Recovered);
    assert_eq!(captured.method, CaptureMethod::PrivateRecovery);
    assert_eq!(rows(known(&captured)), [("account", 1600), ("counter", 1)]);
    let files = vec![named(b"x", Some(0), None)];
    assert_eq!(captured.answers, [Answer::Named { files, without_text: 0 }]);
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

#[test]
fn partshub_is_recognised_by_its_columns() {
    let schema = "CREATE TABLE attachments (id, file_path VARCHAR, thumbnail_path VARCHAR, file_size INTEGER);
        INSERT INTO attachments VALUES (1, 'ab/x.pdf', NULL, 17), (2, 'ab/y.jpg', 'ab/y_thumb.jpg', 5);";
    let files = vec![
        named(b"ab/x.pdf", Some(17), None),
        named(b"ab/y.jpg", Some(5), None),
        named(b"ab/y_thumb.jpg", None, None),
    ];
    assert_eq!(asked(schema, built_in()), [Answer::Named { files, without_text: 0 }]);
    let other = "CREATE TABLE attachments (file_path, thumbnail_path)";
    assert_eq!(asked(other, built_in()), [Answer::DoesNotApply]);
    assert_eq!(asked("CREATE TABLE t (x)", built_in()), [Answer::DoesNotApply]);
}

#[test]
fn each_column_of_a_row_is_taken_for_what_it_is() {
    let schema = "CREATE TABLE f (p, s, h);
        INSERT INTO f VALUES (NULL, 1, 'x'), ('', 1, 'x'), (7, 1, 'x'), (x'6162', 1, 'x'), (1.5, 1, 'x'),
            ('a', 0, 'AB'), ('b', -1, ''), ('c', 12.0, x'00ff'), ('d', 12.5, 7), ('e', '12', NULL), ('f', 1e300, x''),
            (CAST(x'ff2f0a' AS TEXT), 9223372036854775807, CAST(x'ff' AS TEXT)), ('../../etc/passwd', NULL, NULL), ('/abs', NULL, NULL);";
    let files = vec![
        named(b"a", Some(0), Some("AB")),
        named(b"b", None, None),
        named(b"c", Some(12), Some("00ff")),
        named(b"d", None, None),
        named(b"e", None, None),
        named(b"f", None, None),
        named(b"\xff/\n", Some(i64::MAX.unsigned_abs()), Some("\u{fffd}")),
        named(b"../../etc/passwd", None, None),
        named(b"/abs", None, None),
    ];
    let all = answer(schema, "SELECT p, s, h FROM f");
    assert_eq!(all, Answer::Named { files, without_text: 3 });
    let one = answer(schema, "SELECT p FROM f WHERE p = 'a' -- only one column");
    assert_eq!(one, Answer::Named { files: vec![named(b"a", None, None)], without_text: 0 });
}

#[test]
fn long_texts_are_cut_where_they_cannot_be_right_any_more() {
    let schema = "CREATE TABLE f (p, h); INSERT INTO f VALUES (hex(zeroblob(10000)), hex(zeroblob(1000))), ('b', zeroblob(1000));";
    let Answer::Named { files, .. } = answer(schema, "SELECT p, NULL, h FROM f") else { panic!() };
    assert_eq!(files[0].path.len(), MAX_PATH_BYTES);
    let lengths = files.iter().map(|file| file.hash.as_ref().unwrap().len());
    assert!(lengths.eq([MAX_HASH_BYTES; 2]));
}

#[test]
fn many_rows_come_in_their_order() {
    let schema = "CREATE TABLE f (p, s); WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 50000)
        INSERT INTO f SELECT printf('dir/%06d.bin', i), i FROM k;";
    let Answer::Named { files, .. } = answer(schema, "SELECT p, s FROM f ORDER BY s") else {
        panic!()
    };
    assert_eq!(files.len(), 50_000);
    assert!(files.iter().zip(1..).all(|(file, i)| {
        file.size_bytes == Some(i) && *file.path == *format!("dir/{i:06}.bin").as_bytes()
    }));
}

#[test]
fn a_query_that_is_wrong_costs_only_its_answer() {
    let schema = "CREATE TABLE f (p); INSERT INTO f VALUES ('a'); CREATE VIEW v AS SELECT p FROM f;
        CREATE TABLE fts_data (x); CREATE TABLE hurt (x); INSERT INTO hurt VALUES (1);";
    let cases = [
        ("SELECT p FROM missing", "no such table"),
        ("SELECT \"misspelt\" FROM f", "no such column"),
        ("nonsense", "syntax error"),
        ("", ""),
        ("SELECT p FROM f; SELECT p FROM f", "ultiple"),
        ("SELECT p, 1, 'x', 4 FROM f", "4 columns"),
        ("DELETE FROM hurt", "more than read"),
        ("INSERT INTO hurt SELECT p FROM f RETURNING x", "more than read"),
        ("ATTACH '/etc/passwd' AS a", "more than read"),
        ("PRAGMA journal_mode = WAL", "more than read"),
        ("VACUUM INTO '/nonexistent/x'", ""),
        ("EXPLAIN SELECT p FROM f", "no SELECT"),
        ("EXPLAIN QUERY PLAN SELECT p FROM f", "no SELECT"),
        ("SELECT load_extension('x')", ""),
        ("SELECT p FROM v", "view"),
        ("SELECT hex(zeroblob(2000000))", "too big"),
        ("SELECT p FROM f WHERE p = ?1", "parameters"),
        ("SELECT p\0 FROM f", ""),
    ];
    let mut queries: Vec<_> = cases.iter().map(|(sql, _)| query(sql)).collect();
    queries.push(query("SELECT p FROM f"));
    let answers = asked(schema, queries);
    for ((sql, expected), answer) in cases.iter().zip(&answers) {
        assert!(why(answer).contains(expected), "{sql}: {answer:?}");
    }
    let files = vec![named(b"a", None, None)];
    assert_eq!(answers.last(), Some(&Answer::Named { files, without_text: 0 }));
}

#[test]
fn a_query_that_never_ends_or_has_millions_of_rows_is_given_up() {
    let endless = "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k)";
    let queries = vec![
        query(&format!("{endless} SELECT count(*) FROM k")),
        query(&format!("{endless} SELECT 'attachments/' || i FROM k")),
        query(
            "WITH RECURSIVE k(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM k) SELECT max(s) FROM k",
        ),
        query("SELECT p FROM f"),
    ];
    let silence = Duration::from_secs(4);
    let rig = Rig { questions: queries, silence, ..Rig::new() };
    let captured =
        rig.capture_at_rest(&made(&rig, "CREATE TABLE f (p); INSERT INTO f VALUES ('a')"));
    assert_good(&captured);
    assert_eq!(why(&captured.answers[0]), "it takes too long");
    assert!(
        why(&captured.answers[1]).contains("more files than can be held"),
        "{:?}",
        captured.answers[1]
    );
    assert!(why(&captured.answers[2]).contains("too big"), "{:?}", captured.answers[2]);
    let files = vec![named(b"a", None, None)];
    assert_eq!(captured.answers[3], Answer::Named { files, without_text: 0 });
}

#[test]
fn queries_that_cannot_be_put_are_answered_too() {
    let mut queries = vec![query("SELECT p FROM f"); MAX_QUERIES + 2];
    queries[1] = query(&format!("SELECT p FROM f -- {}", "x".repeat(100_000)));
    let answers = asked("CREATE TABLE f (p)", queries);
    assert_eq!(why(&answers[1]), "the query is too long");
    for (place, answer) in answers.iter().enumerate() {
        match (place, answer) {
            (1, Answer::Failed(_)) => {}
            (0..MAX_QUERIES, Answer::Named { files, .. }) => assert!(files.is_empty()),
            (MAX_QUERIES.., Answer::Failed(why)) => assert_eq!(why, "there are too many queries"),
            other => panic!("{other:?}"),
        }
    }
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

/// The source's bytes: version bytes included, which say otherwise while `SQLite` looks.
#[test]
fn asking_changes_no_byte_of_the_capture() {
    let rig = Rig::new();
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    let plain = bytes(&rig.capture(&path));
    assert_eq!(plain[18..20], [2, 2]);
    let rig = Rig { questions: vec![query("SELECT note FROM account")], ..rig };
    let captured = rig.capture_at_rest(&path);
    assert!(bytes(&captured) == plain);
    assert!(matches!(&captured.answers[..], [Answer::Named { files, .. }] if files.len() == 1600));
    assert_eq!(prove(&captured), 0);
}

/// A helper that dies of a question: the bytes and their label stay, and every question has an answer.
#[test]
fn a_helper_that_breaks_down_over_a_question_costs_the_answers_alone() {
    let real = format!("'{}' capture-helper", env!("CARGO_BIN_EXE_larder"));
    for (filter, expected) in [
        ("sed -u '/tells/,$d'", "ended without an answer"),
        ("sed -u 's/\"end\"/nonsense/; /answered/d'", "nonsense"),
        ("sed -u 's/{\"tells\":{\"known\".*/\"began\"/'", "it said Began"),
        (
            "sed -u 's/{\"tells\":{\"known\".*/{\"tells\":{\"tables\":[[\"a\",1]]}}/'",
            "tables that cannot be",
        ),
    ] {
        let args = vec!["-c".into(), format!("{real} | {filter}").into()];
        let helper = larder::sqlite::options::HelperCommand { program: "/bin/sh".into(), args };
        let rig = Rig { helper, questions: vec![query("SELECT 1"); 3], ..Rig::new() };
        let path = rig.path("a.db");
        make_ledger(&path, "WAL", 4096);
        let captured = rig.capture_at_rest(&path);
        assert_eq!(
            (captured.label, &captured.check),
            (DatabaseLabel::Committed, &CheckResult::QuickOk)
        );
        assert_eq!(prove(&captured), 0);
        assert_eq!(captured.answers.len(), 3);
        assert!(
            captured.answers.iter().all(|answer| why(answer).contains(expected)),
            "{filter}: {:?}",
            captured.answers
        );
    }
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
