//! The helper's samples of columns, from which `doctor` tells which of them name files.

use rusqlite::Connection;
use rusqlite::types::ValueRef;

use crate::codec::names::MAX_NAME_BYTES;
use crate::sqlite::guard::{Budget, limit_time, quoted};
use crate::sqlite::knowledge::Tables;
use crate::sqlite::protocol::{Base64, Piece, ProtocolError, Reply};
use crate::sqlite::questions::{MAX_SAMPLE_BYTES, MAX_SAMPLE_VALUES, MAX_SAMPLED_COLUMNS};
use crate::sqlite::reporter::Reporter;

/// Texts of a column that are looked at for different ones.
const TEXTS: usize = 5000;

/// Words in the declared types of columns that hold no paths.
const OTHER_TYPES: [&str; 9] =
    ["REAL", "FLOA", "DOUB", "BLOB", "BOOL", "NUM", "DEC", "DATE", "TIME"];

/// What a column is declared to hold. `SQLite` holds nobody to it, and knows fewer types than people declare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Texts,
    Integers,
    Other,
}

/// Tells a sample of every column that may hold paths or sizes. A column that cannot be read is left out.
pub(super) fn tell(
    connection: &mut Connection,
    tables: &Tables,
    budget: Budget,
    reporter: &Reporter,
) -> Result<(), ProtocolError> {
    let mut left = MAX_SAMPLED_COLUMNS;
    for table in &tables.names {
        for (column, kind) in columns(connection, table).unwrap_or_default() {
            if left == 0 {
                return Ok(());
            }
            let texts = match kind {
                Kind::Texts => {
                    let texts = limit_time(connection, budget.share(), reporter)
                        .and_then(|()| texts(connection, table, &column));
                    texts.ok().map(Some)
                }
                Kind::Integers => Some(None),
                Kind::Other => None,
            };
            if let Some(texts) = texts {
                left -= 1;
                let table = table.clone();
                reporter.send(&Reply::Tells(Piece::Sampled { table, column, texts }))?;
            }
        }
    }
    Ok(())
}

fn columns(connection: &Connection, table: &str) -> rusqlite::Result<Vec<(String, Kind)>> {
    let mut statement =
        connection.prepare(&format!("PRAGMA main.table_xinfo({})", quoted(table)))?;
    let mut rows = statement.query([])?;
    let mut columns = Vec::new();
    while let Some(row) = rows.next()? {
        let (Ok(name), Ok(declared)) = (row.get_ref(1)?.as_str(), row.get_ref(2)?.as_str()) else {
            continue;
        };
        let kind = kind_of(declared);
        if name.len() <= MAX_NAME_BYTES && kind != Kind::Other {
            columns.push((name.to_owned(), kind));
        }
    }
    Ok(columns)
}

fn kind_of(declared: &str) -> Kind {
    let declared = declared.to_ascii_uppercase();
    if declared.contains("CHAR") || declared.contains("TEXT") || declared.contains("CLOB") {
        Kind::Texts
    } else if declared.contains("INT") {
        Kind::Integers
    } else if OTHER_TYPES.iter().any(|word| declared.contains(word)) {
        Kind::Other
    } else {
        Kind::Texts
    }
}

/// Different texts of the first [`TEXTS`] that are there.
fn texts(connection: &Connection, table: &str, column: &str) -> rusqlite::Result<Vec<Base64>> {
    let (table, column) = (quoted(table), quoted(column));
    let sql = format!(
        "SELECT DISTINCT v FROM (SELECT t.{column} AS v FROM main.{table} AS t \
         WHERE typeof(t.{column}) = 'text' AND octet_length(t.{column}) BETWEEN 1 AND {MAX_SAMPLE_BYTES} \
         LIMIT {TEXTS}) LIMIT {MAX_SAMPLE_VALUES}"
    );
    let mut statement = connection.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut texts = Vec::new();
    while let Some(row) = rows.next()? {
        // A database in UTF-16 counts other bytes than it gives.
        if let ValueRef::Text(text @ [_, ..]) = row.get_ref(0)?
            && text.len() <= MAX_SAMPLE_BYTES
        {
            texts.push(Base64(text.into()));
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_types_are_sorted() {
        for declared in ["TEXT", "varchar(255)", "", "STRING", "uuid", "JSON", "NCHAR(5)", "CLOB"] {
            assert_eq!(kind_of(declared), Kind::Texts, "{declared}");
        }
        for declared in ["INTEGER", "bigint", "UNSIGNED BIG INT"] {
            assert_eq!(kind_of(declared), Kind::Integers, "{declared}");
        }
        for declared in ["REAL", "blob", "DATETIME", "DECIMAL(10,5)", "BOOLEAN", "NUMERIC"] {
            assert_eq!(kind_of(declared), Kind::Other, "{declared}");
        }
    }

    #[test]
    fn a_sample_has_different_short_texts() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE \"t\"\"1\" (\"c d\" TEXT);
                 WITH RECURSIVE k(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM k WHERE i < 9999)
                 INSERT INTO \"t\"\"1\" SELECT CASE i % 5 WHEN 0 THEN 'p' || (i % 500) WHEN 1 THEN NULL
                     WHEN 2 THEN x'41' WHEN 3 THEN '' ELSE hex(zeroblob(300)) END FROM k;",
            )
            .unwrap();
        let found = texts(&connection, "t\"1", "c d").unwrap();
        assert_eq!(found.len(), MAX_SAMPLE_VALUES);
        assert!(found.iter().all(|text| text.0.starts_with(b"p")));
        assert!(texts(&connection, "t\"1", "none").is_err());
    }
}
