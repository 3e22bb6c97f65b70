//! What the tests of questions share: databases made of SQL, queries, answers.

use std::path::PathBuf;

use larder::codec::snapshot::{CheckResult, DatabaseLabel, Knowledge};
use larder::sqlite::captured::Captured;
use larder::sqlite::questions::{Answer, BaseDir, Named, ReferenceQuery};
use rusqlite::Connection;

use crate::sqlite_rig::Rig;

pub(super) fn query(sql: &str) -> ReferenceQuery {
    ReferenceQuery {
        name: "q".to_owned(),
        database: None,
        needs: Vec::new(),
        base: BaseDir::BelowRoot(Vec::new()),
        sql: sql.to_owned(),
    }
}

pub(super) fn made(rig: &Rig, sql: &str) -> PathBuf {
    let path = rig.path("a.db");
    let connection = Connection::open(&path).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.close().unwrap();
    path
}

/// Captures a sound database and puts these queries to it; whatever becomes of them, the capture is good.
pub(super) fn asked(sql: &str, queries: Vec<ReferenceQuery>) -> Vec<Answer> {
    let count = queries.len();
    let rig = Rig { questions: queries, ..Rig::new() };
    let captured = rig.capture_at_rest(&made(&rig, sql));
    assert_good(&captured);
    assert_eq!(captured.answers.len(), count);
    captured.answers
}

pub(super) fn assert_good(captured: &Captured) {
    assert_eq!(
        (captured.label, &captured.check),
        (DatabaseLabel::Committed, &CheckResult::QuickOk)
    );
    assert!(captured.knowledge.as_ref().is_some_and(|known| known.schema.is_some()));
}

pub(super) fn answer(sql: &str, sql_of_query: &str) -> Answer {
    asked(sql, vec![query(sql_of_query)]).remove(0)
}

pub(super) fn named(path: &[u8], size_bytes: Option<u64>, hash: Option<&str>) -> Named {
    Named { path: path.into(), size_bytes, hash: hash.map(Into::into) }
}

pub(super) fn why(answer: &Answer) -> &str {
    match answer {
        Answer::Failed(why) => why,
        other => panic!("{other:?}"),
    }
}

pub(super) fn known(captured: &Captured) -> &Knowledge {
    captured.knowledge.as_ref().unwrap()
}

pub(super) fn rows(known: &Knowledge) -> Vec<(&str, u64)> {
    known.tables.iter().map(|table| (table.name.as_str(), table.rows)).collect()
}
