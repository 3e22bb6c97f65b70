//! The helper's look at what is inside a captured database: schema, revision, tables and their rows.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::codec::names::MAX_NAME_BYTES;
use crate::codec::snapshot::MAX_TABLES;
use crate::sqlite::guard::{Budget, limit_time, quoted};
use crate::sqlite::protocol::{Known, Piece, ProtocolError, Reply};
use crate::sqlite::reporter::Reporter;

/// Tables a line: even with names that JSON makes six times as long they fit.
const TABLES_PER_LINE: usize = 32;

/// Where Alembic keeps its revision.
const ALEMBIC: (&str, &str) = ("alembic_version", "version_num");

/// The ordinary tables of a database: those that hold rows of the application's.
pub(super) struct Tables {
    /// Names that a record can hold, ascending, at most [`MAX_TABLES`].
    pub(super) names: Vec<String>,
    /// How many more there are.
    pub(super) left_out: u32,
}

/// Tells what is known. An error is the pipe's; what `SQLite` cannot say is left out.
pub(super) fn tell(
    connection: &mut Connection,
    (tables, schema): (&Tables, Option<[u8; 32]>),
    budget: Budget,
    reporter: &Reporter,
) -> Result<(), ProtocolError> {
    let mut left_out = tables.left_out;
    for names in tables.names.chunks(TABLES_PER_LINE) {
        let mut counted = Vec::with_capacity(names.len());
        for name in names {
            match count(connection, name, budget, reporter) {
                Ok(rows) => counted.push((name.clone(), rows)),
                Err(_) => left_out = left_out.saturating_add(1),
            }
        }
        reporter.send(&Reply::Tells(Piece::Tables(counted)))?;
    }
    let alembic = limit_time(connection, budget.share(), reporter)
        .and_then(|()| alembic_revision(connection, tables));
    reporter.send(&Reply::Tells(Piece::Known(Known {
        schema,
        alembic_revision: alembic.unwrap_or_default(),
        tables_left_out: left_out,
    })))
}

/// Lists the ordinary tables: not views, not virtual tables or what is behind them, not `SQLite`'s own.
pub(super) fn ordinary_tables(connection: &Connection) -> rusqlite::Result<Tables> {
    let mut statement = connection.prepare("PRAGMA main.table_list")?;
    let mut rows = statement.query([])?;
    let (mut names, mut left_out) = (Vec::new(), 0_u32);
    while let Some(row) = rows.next()? {
        let ordinary = row.get_ref(2)? == ValueRef::Text(b"table");
        let (schema, name) = (row.get_ref(0)?, row.get_ref(1)?);
        let own =
            name.as_bytes().is_ok_and(|name| name.to_ascii_lowercase().starts_with(b"sqlite_"));
        if !ordinary || own || schema != ValueRef::Text(b"main") {
            continue;
        }
        match name.as_str() {
            Ok(name) if name.len() <= MAX_NAME_BYTES => names.push(name.to_owned()),
            _ => left_out = left_out.saturating_add(1),
        }
    }
    names.sort_unstable();
    let too_many = names.len().saturating_sub(MAX_TABLES);
    names.truncate(MAX_TABLES);
    let too_many = u32::try_from(too_many).unwrap_or(u32::MAX);
    Ok(Tables { names, left_out: left_out.saturating_add(too_many) })
}

fn count(
    connection: &mut Connection,
    table: &str,
    budget: Budget,
    reporter: &Reporter,
) -> rusqlite::Result<u64> {
    limit_time(connection, budget.share(), reporter)?;
    let sql = format!("SELECT count(*) FROM main.{}", quoted(table));
    let rows: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok(u64::try_from(rows).unwrap_or_default())
}

/// The one revision; an unfinished merge has several, and then there is none to name.
fn alembic_revision(connection: &Connection, tables: &Tables) -> rusqlite::Result<Option<String>> {
    let (table, column) = ALEMBIC;
    if tables.names.binary_search_by(|name| name.as_str().cmp(table)).is_err() {
        return Ok(None);
    }
    let sql = format!("SELECT {column} FROM main.{table} LIMIT 2");
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let first = rows.next()?.map(|row| row.get_ref(0).map(revision)).transpose()?.flatten();
    Ok(first.filter(|_| rows.next().is_ok_and(|second| second.is_none())))
}

fn revision(value: ValueRef<'_>) -> Option<String> {
    let text = value.as_str().ok()?;
    is_revision(text).then(|| text.to_owned())
}

/// True for a text that a record can hold and a terminal can show.
pub(super) fn is_revision(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len()) && !text.contains(char::is_control)
}

/// BLAKE3 of the schema's rows, each text with its length before it.
pub(super) fn schema_hash(connection: &Connection) -> rusqlite::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut statement = connection
        .prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        for column in 0..4 {
            let text = row.get_ref(column)?.as_str_or_null().ok().flatten().unwrap_or_default();
            hasher.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
        }
    }
    Ok(*hasher.finalize().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn revision_of(sql: &str) -> Option<String> {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        let tables = ordinary_tables(&connection).unwrap();
        alembic_revision(&connection, &tables).unwrap_or_default()
    }

    #[test]
    fn only_what_is_surely_the_revision_is_one() {
        let table = "CREATE TABLE alembic_version (version_num); ";
        let with = |values: &str| {
            revision_of(&format!("{table} INSERT INTO alembic_version VALUES {values}"))
        };
        assert_eq!(with("('7cb259170036')").as_deref(), Some("7cb259170036"));
        for other in [
            "('a'), ('b')",
            "(NULL)",
            "(7)",
            "('')",
            "(x'41')",
            "('a' || char(27))",
            "(hex(zeroblob(128)))",
        ] {
            assert_eq!(with(other), None, "{other}");
        }
        assert_eq!(revision_of(table), None);
        assert_eq!(revision_of(""), None);
        assert_eq!(revision_of("CREATE TABLE alembic_version (other)"), None);
        assert_eq!(revision_of("CREATE VIEW alembic_version AS SELECT 'x' AS version_num"), None);
    }

    #[test]
    fn tables_are_the_applications_own() {
        let connection = Connection::open_in_memory().unwrap();
        let long = "n".repeat(MAX_NAME_BYTES);
        connection
            .execute_batch(&format!(
                "CREATE TABLE b (i INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE A (x PRIMARY KEY) WITHOUT ROWID;
                 CREATE TABLE \"\" (x); CREATE TABLE \"{long}\" (x); CREATE TABLE \"{long}x\" (x);
                 CREATE VIEW v AS SELECT 1; CREATE VIRTUAL TABLE f USING fts5(a); CREATE TEMP TABLE t (x);"
            ))
            .unwrap();
        let tables = ordinary_tables(&connection).unwrap();
        assert_eq!(tables.names, ["", "A", "b", &long]);
        assert_eq!(tables.left_out, 1);
    }

    #[test]
    fn more_tables_than_a_record_holds_are_left_out() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("BEGIN").unwrap();
        for i in 0..MAX_TABLES + 3 {
            connection.execute_batch(&format!("CREATE TABLE t{i:05} (x)")).unwrap();
        }
        let tables = ordinary_tables(&connection).unwrap();
        assert_eq!((tables.names.len(), tables.left_out), (MAX_TABLES, 3));
        assert_eq!(tables.names.last().map(String::as_str), Some("t02047"));
    }
}
