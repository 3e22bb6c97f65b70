//! What a statement over captured bytes may do, and for how long.
//!
//! Invariant: whatever a query or a crafted schema says, it reads the one database of its connection and nothing else,
//! changes nothing, and ends. Memory is bounded by the process (`helper`), time here.

use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, ffi};

use crate::sqlite::protocol::tame;
use crate::sqlite::reporter::Reporter;

/// Virtual machine steps between two looks at the clock: some milliseconds even when each step reads a page.
const STEPS: i32 = 2_000;

/// The longest value that a query may make or read, in bytes. Paths and hashes are far shorter; functions whose time is the product
/// of two lengths stay bearable.
const MAX_VALUE_BYTES: i32 = 1024 * 1024;

/// The longest pattern of a LIKE or GLOB, in bytes; their time grows with it exponentially.
const MAX_PATTERN_BYTES: i32 = 1024;

/// The most instructions of one statement.
const MAX_INSTRUCTIONS: i32 = 100_000;

/// A huge database gets a second more for each of these bytes.
const BYTES_PER_SECOND: u64 = 64 * 1024 * 1024;

/// Functions that reach beyond the database, in this build or in others.
const FAR_REACHING: [&str; 6] =
    ["load_extension", "fts3_tokenizer", "readfile", "writefile", "edit", "sqlite_log"];

/// Whose statement it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asker {
    /// This program's own.
    Ourselves,
    /// A query of the configuration.
    Query,
}

/// Lets the connection do what this asker needs.
pub(super) fn allow(connection: &mut Connection, asker: Asker) -> rusqlite::Result<()> {
    connection.authorizer(Some(move |context: rusqlite::hooks::AuthContext<'_>| {
        if permits(&context.action, asker) { Authorization::Allow } else { Authorization::Deny }
    }))
}

/// Limits for everything that is asked once the check is done. The check itself must be able to read what was stored.
pub(super) fn tighten(connection: &Connection) -> rusqlite::Result<()> {
    // A misspelt column would silently be a text.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    for (limit, most) in [
        (Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES),
        (Limit::SQLITE_LIMIT_LIKE_PATTERN_LENGTH, MAX_PATTERN_BYTES),
        (Limit::SQLITE_LIMIT_VDBE_OP, MAX_INSTRUCTIONS),
    ] {
        connection.set_limit(limit, most)?;
    }
    Ok(())
}

fn permits(action: &AuthAction<'_>, asker: Asker) -> bool {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Recursive => true,
        AuthAction::Function { function_name } => {
            !FAR_REACHING.iter().any(|name| name.eq_ignore_ascii_case(function_name))
        }
        AuthAction::Pragma { pragma_name, pragma_value } => {
            permits_pragma(pragma_name, pragma_value.is_some(), asker)
        }
        AuthAction::Transaction { .. } => asker == Asker::Ourselves,
        _ => false,
    }
}

/// Full-text and R-tree tables ask for the first two when they are opened.
fn permits_pragma(name: &str, has_value: bool, asker: Asker) -> bool {
    let is = |names: &[&str]| names.iter().any(|it| it.eq_ignore_ascii_case(name));
    (!has_value && is(&["data_version", "page_size"]))
        || (asker == Asker::Ourselves
            && is(&["quick_check", "table_list", "table_xinfo", "schema_version", "query_only"]))
}

/// A stretch of time that several statements share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    ends: Instant,
}

impl Budget {
    /// This patience, and more for a large database.
    pub(super) fn new(patience: Duration, database_bytes: u64) -> Self {
        let most = patience.saturating_add(Duration::from_secs(database_bytes / BYTES_PER_SECOND));
        let now = Instant::now();
        Self { ends: now.checked_add(most).unwrap_or(now) }
    }

    /// What one statement may take: half of what is left, so that a slow one leaves time for the others.
    pub(super) fn share(&self) -> Duration {
        self.ends.saturating_duration_since(Instant::now()) / 2
    }
}

/// Ends the next statements of the connection after `most`, or when there is nobody to tell any more.
pub(super) fn limit_time(
    connection: &mut Connection,
    most: Duration,
    reporter: &Reporter,
) -> rusqlite::Result<()> {
    let (started, reporter) = (Instant::now(), reporter.clone());
    let stop = move || reporter.alive().is_err() || started.elapsed() >= most;
    connection.progress_handler(STEPS, Some(stop))
}

/// What an error says to people.
pub(super) fn said(error: &rusqlite::Error) -> String {
    match error.sqlite_error_code() {
        Some(ffi::ErrorCode::OperationInterrupted) => "it takes too long".to_owned(),
        Some(ffi::ErrorCode::AuthorizationForStatementDenied) => {
            "it does more than read this database".to_owned()
        }
        Some(ffi::ErrorCode::OutOfMemory) => "it takes too much memory".to_owned(),
        _ => tame(&error.to_string()),
    }
}

/// A name as SQL has it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded(asker: Asker) -> Connection {
        let mut connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('x');
                 CREATE VIRTUAL TABLE f USING fts5(a); CREATE VIRTUAL TABLE r USING rtree(id, x, y);
                 CREATE VIRTUAL TABLE g USING fts4(a);",
            )
            .unwrap();
        allow(&mut connection, asker).unwrap();
        tighten(&connection).unwrap();
        connection
    }

    fn runs(connection: &Connection, sql: &str) -> Result<(), String> {
        let mut statement = connection.prepare(sql).map_err(|error| said(&error))?;
        let mut rows = statement.query([]).map_err(|error| said(&error))?;
        while rows.next().map_err(|error| said(&error))?.is_some() {}
        Ok(())
    }

    #[test]
    fn a_query_reads_and_does_nothing_else() {
        let connection = guarded(Asker::Query);
        for sql in [
            "SELECT a, upper(a) FROM t",
            "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 9) SELECT i FROM k",
            "SELECT * FROM f WHERE f MATCH 'x'",
            "SELECT * FROM g WHERE g MATCH 'x'",
            "SELECT id FROM r WHERE x > 1",
            "SELECT json_extract('{\"a\":1}', '$.a')",
        ] {
            assert_eq!(runs(&connection, sql), Ok(()), "{sql}");
        }
        for sql in [
            "INSERT INTO t VALUES ('y')",
            "DELETE FROM t",
            "UPDATE t SET a = 1",
            "CREATE TABLE u (a)",
            "CREATE TEMP TABLE u (a)",
            "DROP TABLE t",
            "ATTACH ':memory:' AS m",
            "DETACH main",
            "BEGIN",
            "SAVEPOINT s",
            "VACUUM",
            "VACUUM INTO '/nonexistent/x'",
            "REINDEX",
            "ANALYZE",
            "PRAGMA quick_check",
            "PRAGMA journal_mode = WAL",
            "PRAGMA page_size = 512",
            "SELECT * FROM pragma_table_info('t')",
            "SELECT load_extension('x')",
            "SELECT FTS3_TOKENIZER('simple')",
        ] {
            assert!(runs(&connection, sql).is_err(), "{sql}");
        }
        assert_eq!(
            runs(&connection, "ATTACH ':memory:' AS m"),
            Err("it does more than read this database".to_owned())
        );
    }

    #[test]
    fn our_own_questions_are_allowed() {
        let connection = guarded(Asker::Ourselves);
        for sql in [
            "PRAGMA query_only = ON",
            "BEGIN",
            "PRAGMA schema_version",
            "PRAGMA quick_check(5)",
            "PRAGMA main.table_list",
            "PRAGMA main.table_xinfo(\"t\")",
            "COMMIT",
        ] {
            assert_eq!(runs(&connection, sql), Ok(()), "{sql}");
        }
        assert!(runs(&connection, "PRAGMA writable_schema = ON").is_err());
        assert!(runs(&connection, "DELETE FROM t").is_err());
    }

    #[test]
    fn a_text_in_double_quotes_is_a_column() {
        let connection = guarded(Asker::Query);
        assert!(
            runs(&connection, "SELECT \"no such column\" FROM t")
                .unwrap_err()
                .contains("no such column")
        );
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }

    #[test]
    fn what_never_ends_is_ended() {
        let mut connection = guarded(Asker::Query);
        let reporter = Reporter::new(std::io::sink());
        limit_time(&mut connection, Duration::from_millis(20), &reporter).unwrap();
        let endless = "WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k) SELECT count(*) FROM k";
        assert_eq!(runs(&connection, endless), Err("it takes too long".to_owned()));
        let big = "SELECT length(hex(zeroblob(2000000)))";
        assert!(runs(&connection, big).unwrap_err().contains("too big"));
    }

    #[test]
    fn a_budget_is_shared_by_halves() {
        let budget = Budget::new(Duration::from_mins(1), 640 * 1024 * 1024);
        assert!(
            budget.share() <= Duration::from_secs(35) && budget.share() > Duration::from_secs(30)
        );
        assert_eq!(Budget::new(Duration::ZERO, 0).share(), Duration::ZERO);
        assert!(Budget::new(Duration::MAX, u64::MAX).share() < Duration::MAX);
    }
}
