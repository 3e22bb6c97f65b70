//! The helper's answer to one query for the files that rows name.
//!
//! A query comes from a configuration and runs over bytes that may be anybody's, so all that it says is bounded, and a
//! failure is an answer like others.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row as SqlRow};

use crate::sqlite::guard::{quoted, said};
use crate::sqlite::protocol::{Base64, Outcome, Piece, ProtocolError, Question, Reply, Row};
use crate::sqlite::questions::{MAX_HASH_BYTES, MAX_PATH_BYTES, ROW_BYTES};
use crate::sqlite::reporter::Reporter;

/// What a line of rows may come to before base64 and JSON, which make at most six times as much of it, and more only of hashes.
const LINE_BYTES: usize = 8 * 1024;

/// Whole numbers are exact in a floating-point value up to here.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// Why there is no complete answer.
enum Failure {
    /// The query's fault.
    Query(String),
    /// Nobody listens.
    Pipe(ProtocolError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Query(said(&error))
    }
}

impl From<ProtocolError> for Failure {
    fn from(error: ProtocolError) -> Self {
        Self::Pipe(error)
    }
}

/// Puts the question and tells the answer, of at most `room` bytes; returns how many they were.
pub(super) fn answer(
    connection: &Connection,
    question: &Question,
    room: usize,
    reporter: &Reporter,
) -> Result<usize, ProtocolError> {
    let mut lines = Lines { reporter, rows: Vec::new(), line: 0, used: 0, room };
    let outcome = match ask(connection, question, &mut lines) {
        Ok(outcome) => outcome,
        Err(Failure::Query(why)) => Outcome::Failed(why),
        Err(Failure::Pipe(error)) => return Err(error),
    };
    let kept = if matches!(outcome, Outcome::Complete { .. }) { lines.used } else { 0 };
    reporter.send(&Reply::Tells(Piece::Answered(outcome)))?;
    Ok(kept)
}

fn ask(
    connection: &Connection,
    question: &Question,
    lines: &mut Lines<'_>,
) -> Result<Outcome, Failure> {
    let mut statement = connection.prepare(&question.sql)?;
    if statement.is_explain() != 0 || !statement.readonly() {
        return Err(Failure::Query("it is no SELECT".to_owned()));
    }
    let columns = statement.column_count();
    if !(1..=3).contains(&columns) {
        let why = format!("it gives {columns} columns; path, size and hash are expected");
        return Err(Failure::Query(why));
    }
    let mut rows = statement.query([])?;
    let mut without_text = 0;
    while let Some(row) = rows.next()? {
        match row.get_ref(0)? {
            ValueRef::Null | ValueRef::Text([]) => {}
            ValueRef::Text(path) => lines.add(path, size(row, columns)?, hash(row, columns)?)?,
            _ => without_text += 1,
        }
    }
    lines.flush()?;
    Ok(Outcome::Complete { without_text })
}

/// True when the database has every column that the question needs.
pub(super) fn applies(connection: &Connection, question: &Question) -> rusqlite::Result<bool> {
    for (table, column) in &question.needs {
        if !has_column(connection, table, column)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn has_column(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<bool> {
    let sql = format!("PRAGMA main.table_xinfo({})", quoted(table));
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if row.get_ref(1)?.as_str().is_ok_and(|name| name.eq_ignore_ascii_case(column)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Anything but a whole number that is not negative says nothing.
fn size(row: &SqlRow<'_>, columns: usize) -> rusqlite::Result<Option<u64>> {
    if columns < 2 {
        return Ok(None);
    }
    Ok(match row.get_ref(1)? {
        ValueRef::Integer(size) => u64::try_from(size).ok(),
        ValueRef::Real(size) if (0.0..=EXACT).contains(&size) && size.fract() == 0.0 => {
            format!("{size:.0}").parse().ok()
        }
        _ => None,
    })
}

fn hash(row: &SqlRow<'_>, columns: usize) -> rusqlite::Result<Option<String>> {
    if columns < 3 {
        return Ok(None);
    }
    Ok(match row.get_ref(2)? {
        ValueRef::Text([]) | ValueRef::Blob([]) => None,
        ValueRef::Text(text) => Some(cut(&String::from_utf8_lossy(first(text, MAX_HASH_BYTES)))),
        ValueRef::Blob(bytes) => Some(hex(first(bytes, MAX_HASH_BYTES / 2))),
        _ => None,
    })
}

fn first(bytes: &[u8], most: usize) -> &[u8] {
    bytes.get(..most).unwrap_or(bytes)
}

/// What stood for broken characters may have made it longer again.
fn cut(text: &str) -> String {
    text.get(..text.floor_char_boundary(MAX_HASH_BYTES)).unwrap_or_default().to_owned()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;

    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("invariant: a String takes every write");
        text
    })
}

/// Rows on their way to the parent.
struct Lines<'a> {
    reporter: &'a Reporter,
    rows: Vec<Row>,
    /// Bytes of the rows that are not sent yet.
    line: usize,
    used: usize,
    room: usize,
}

impl Lines<'_> {
    fn add(&mut self, path: &[u8], size: Option<u64>, hash: Option<String>) -> Result<(), Failure> {
        let path = first(path, MAX_PATH_BYTES);
        let bytes = path.len() + hash.as_ref().map_or(0, String::len) + ROW_BYTES;
        if self.line + bytes > LINE_BYTES {
            self.flush()?;
        }
        self.used += bytes;
        if self.used > self.room {
            return Err(Failure::Query("it names more files than can be held".to_owned()));
        }
        self.line += bytes;
        self.rows.push(Row(Base64(path.into()), size, hash));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), ProtocolError> {
        self.line = 0;
        let rows = std::mem::take(&mut self.rows);
        if rows.is_empty() { Ok(()) } else { self.reporter.send(&Reply::Tells(Piece::Rows(rows))) }
    }
}
