//! Queries for the files that rows name: each answer, and what becomes of those that mean harm or simply do not work.

use std::time::Duration;

use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel};
use larder::sqlite::options::HelperCommand;
use larder::sqlite::questions::{Answer, MAX_HASH_BYTES, MAX_PATH_BYTES, MAX_QUERIES, built_in};

use super::asking::{answer, asked, assert_good, known, made, named, query, rows, why};
use crate::sqlite_rig::{Application, Rig, bytes, make_ledger, prove};

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
fn partshub_is_recognised_by_its_columns() {
    let schema = "CREATE TABLE attachments (id, component_id, file_path VARCHAR, thumbnail_path VARCHAR, file_size INTEGER);
        INSERT INTO attachments VALUES (1, 7, 'ab/x.pdf', NULL, 17), (2, 7, 'ab/y.jpg', 'ab/y_thumb.jpg', 5);";
    let files = vec![
        named(b"ab/x.pdf", Some(17), None),
        named(b"ab/y.jpg", Some(5), None),
        named(b"ab/y_thumb.jpg", None, None),
    ];
    assert_eq!(asked(schema, built_in()), [Answer::Named { files, without_text: 0 }]);
    let other = "CREATE TABLE attachments (message_id, file_path, thumbnail_path, file_size)";
    assert_eq!(asked(other, built_in()), [Answer::DoesNotApply]);
    assert_eq!(asked("CREATE TABLE t (x)", built_in()), [Answer::DoesNotApply]);
}

/// Versions before thumbnails, or before sizes, have attachments too.
#[test]
fn older_schemas_of_partshub_are_asked_for_what_they_have() {
    let sized = [named(b"x", Some(3), None)];
    let plain = [named(b"x", None, None)];
    let thumbnailed = [named(b"x", None, None), named(b"x_thumb", None, None)];
    for (columns, row, files) in [
        ("", "", plain.as_slice()),
        (", file_size INTEGER", ", 3", &sized),
        (", thumbnail_path VARCHAR", ", 'x_thumb'", &thumbnailed),
    ] {
        let schema = format!(
            "CREATE TABLE attachments (id VARCHAR PRIMARY KEY, component_id, file_path VARCHAR{columns});
             INSERT INTO attachments VALUES ('a', 'c', 'x'{row});"
        );
        let expected = Answer::Named { files: files.to_vec(), without_text: 0 };
        assert_eq!(asked(&schema, built_in()), [expected], "{columns}");
    }
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
fn a_query_that_never_ends_is_given_up() {
    let endless = "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k)";
    let queries = vec![
        query(&format!("{endless} SELECT count(*) FROM k")),
        query(&format!("{endless} SELECT i FROM k")),
    ];
    // Half of it is for all queries, half of that for the first.
    let rig = Rig { questions: queries, silence: Duration::from_secs(4), ..Rig::new() };
    let captured = rig.capture_at_rest(&made(&rig, "CREATE TABLE f (p)"));
    assert_good(&captured);
    assert!(captured.answers.iter().all(|answer| why(answer) == "it takes too long"));
}

#[test]
fn a_query_of_millions_of_rows_or_of_huge_texts_is_given_up() {
    let queries = vec![
        query(
            "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k) SELECT 'attachments/' || i FROM k",
        ),
        query(
            "WITH RECURSIVE k(s) AS (SELECT 'x' UNION ALL SELECT s || s FROM k) SELECT max(s) FROM k",
        ),
        query("SELECT p FROM f"),
    ];
    let answers = asked("CREATE TABLE f (p); INSERT INTO f VALUES ('a')", queries);
    assert!(why(&answers[0]).contains("more files than can be held"), "{:?}", answers[0]);
    assert!(why(&answers[1]).contains("too big"), "{:?}", answers[1]);
    let files = vec![named(b"a", None, None)];
    assert_eq!(answers[2], Answer::Named { files, without_text: 0 });
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
        let helper = HelperCommand { program: "/bin/sh".into(), args };
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

/// More than a pipe holds, to a helper that does not read: it is given up like any that says nothing.
#[test]
fn a_helper_that_does_not_listen_holds_nobody_up() {
    let long = query(&format!("SELECT 1 -- {}", "x".repeat(60_000)));
    let script = "echo '{\"hello\":{\"protocol\":3}}'; exec sleep 1000";
    let helper =
        HelperCommand { program: "/bin/sh".into(), args: vec!["-c".into(), script.into()] };
    let silence = Duration::from_millis(400);
    let rig = Rig { helper, silence, questions: vec![long; 10], ..Rig::new() };
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    let captured = rig.capture(&path);
    assert_eq!(captured.label, DatabaseLabel::Opaque);
    assert!(matches!(captured.check, CheckResult::NotRun(why) if why.contains("nothing for")));
}
