//! What a copy of a sample is worth: is it exactly one commit of its writers, and
//! do its rows have their files?
//!
//! Everything in the copy is distrusted. The ledger must agree with the rows it
//! counts, and the log, replayed from the beginning, must give the accounts and
//! the chain that are stored. Nothing here writes to the database; a `-shm` file
//! may appear beside one that has a write-ahead log.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::error::Error;
use crate::ledger::{self, ACCOUNTS, Head, Line, START_QUANTITY};
use crate::schema::{self, ATTACHMENTS};

/// The commit that a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Boundary {
    /// Commits since the sample was made.
    pub commits: u64,
    /// Hash of all of them, in order.
    pub chain: u64,
    /// Rows in `stock_transactions`.
    pub stock_rows: u64,
    /// Rows in `attachments`.
    pub attachment_rows: u64,
}

/// Why a database is no commit of its writers.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Torn {
    /// `SQLite` cannot read it: malformed, not a database, tables missing.
    #[error("sqlite cannot read it")]
    Unreadable(#[from] rusqlite::Error),
    /// `SQLite`'s integrity check found something.
    #[error("integrity check: {0}")]
    Integrity(String),
    /// A row refers to a row that is not there.
    #[error("a row of {0} has no parent")]
    ForeignKey(String),
    /// The ledger and the rows that it counts are of different commits.
    #[error("{what}: the ledger says {ledger}, the rows say {rows}")]
    Count {
        /// What was counted.
        what: &'static str,
        /// The ledger's figure.
        ledger: i64,
        /// The figure by the rows.
        rows: i64,
    },
    /// The log is not the numbers 1, 2, 3, ... with sensible lines.
    #[error("log line {0} is missing or impossible")]
    Log(i64),
    /// The stored chain is not the one that the log gives.
    #[error("the chain of {0} log lines is not the stored one")]
    Chain(i64),
}

/// Whether the database at `db_path` (with its `-wal`, if it has one) is exactly one commit.
///
/// ```no_run
/// let boundary = larder_sample::oracle::check("copy/partshub.db".as_ref())?;
/// println!("commit {}", boundary.commits);
/// # Ok::<(), larder_sample::oracle::Torn>(())
/// ```
pub fn check(db_path: &Path) -> Result<Boundary, Torn> {
    let mut conn = open_read_only(db_path)?;
    // One read transaction: on a live database all questions are about one commit.
    let conn = conn.transaction()?;
    intact(&conn)?;
    let head = ledger::head(&conn)?;
    counts(&conn, &head)?;
    let (accounts, chain) = replay(&conn, &head)?;
    balances(&conn, &head, &accounts)?;
    if chain != head.chain {
        return Err(Torn::Chain(head.commits));
    }
    Ok(Boundary {
        commits: head.commits.cast_unsigned(),
        chain: head.chain.cast_unsigned(),
        stock_rows: head.stock_rows.cast_unsigned(),
        attachment_rows: head.attachment_rows.cast_unsigned(),
    })
}

/// Whether `boundary` is one of the commits that led to the database at `later_db`, by its log.
pub fn led_to(boundary: &Boundary, later_db: &Path) -> Result<bool, Torn> {
    let conn = open_read_only(later_db)?;
    let head = ledger::head(&conn)?;
    let Ok(commits) = i64::try_from(boundary.commits) else { return Ok(false) };
    if commits > head.commits {
        return Ok(false);
    }
    let (_, chain) = replay(&conn, &Head { commits, ..head })?;
    Ok(chain.cast_unsigned() == boundary.chain)
}

/// Reads without leaving a trace where there is no log to read with.
fn open_read_only(path: &Path) -> rusqlite::Result<Connection> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let live = fs::metadata(&wal).is_ok_and(|log| log.len() > 0);
    let conn = Connection::open_with_flags(
        uri(path, if live { "mode=ro" } else { "mode=ro&immutable=1" }),
        OpenFlags::SQLITE_OPEN_READ_ONLY
            | OpenFlags::SQLITE_OPEN_URI
            | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(std::time::Duration::from_secs(10))?;
    Ok(conn)
}

/// The path as a `SQLite` URI, every byte but plain ones escaped.
fn uri(path: &Path, query: &str) -> String {
    use std::fmt::Write;
    let mut text = String::from("file:");
    for byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-".contains(byte) {
            text.push(char::from(*byte));
        } else {
            write!(text, "%{byte:02x}").expect("invariant: writing to memory");
        }
    }
    format!("{text}?{query}")
}

fn intact(conn: &Connection) -> Result<(), Torn> {
    let verdict: String = conn.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if verdict != "ok" {
        return Err(Torn::Integrity(verdict));
    }
    let mut orphans = conn.prepare("PRAGMA foreign_key_check")?;
    let mut rows = orphans.query([])?;
    match rows.next()? {
        Some(row) => Err(Torn::ForeignKey(row.get(0)?)),
        None => Ok(()),
    }
}

fn counts(conn: &Connection, head: &Head) -> Result<(), Torn> {
    for (what, ledger, sql) in [
        ("stock rows", head.stock_rows, "SELECT count(*) FROM stock_transactions"),
        ("attachments", head.attachment_rows, "SELECT count(*) FROM attachments"),
        (
            "pieces in stock",
            head.stock_units,
            "SELECT coalesce(sum(quantity_on_hand), 0) FROM component_locations",
        ),
        ("commits", head.commits, "SELECT count(*) FROM writer_log"),
    ] {
        let rows = conn.query_one(sql, [], |row| row.get(0))?;
        same(what, ledger, rows)?;
    }
    Ok(())
}

fn same(what: &'static str, ledger: i64, rows: i64) -> Result<(), Torn> {
    if ledger == rows { Ok(()) } else { Err(Torn::Count { what, ledger, rows }) }
}

/// Accounts and chain after the first `head.commits` lines of the log.
fn replay(conn: &Connection, head: &Head) -> Result<(Vec<i64>, i64), Torn> {
    let slots = usize::try_from(ACCOUNTS).expect("invariant: a small constant");
    let (mut accounts, mut chain) = (vec![START_QUANTITY; slots], head.genesis());
    let mut lines = conn.prepare(
        "SELECT seq, kind, debit, credit, quantity FROM writer_log WHERE seq <= ?1 ORDER BY seq",
    )?;
    let mut rows = lines.query([head.commits])?;
    for expected in 1..=head.commits {
        let row = rows.next()?.ok_or(Torn::Log(expected))?;
        let line = Line {
            seq: row.get(0)?,
            kind: row.get(1)?,
            debit: row.get(2)?,
            credit: row.get(3)?,
            quantity: row.get(4)?,
        };
        apply(&mut accounts, &line, expected).ok_or(Torn::Log(expected))?;
        chain = line.link(chain);
    }
    Ok((accounts, chain))
}

fn apply(accounts: &mut [i64], line: &Line, expected: i64) -> Option<()> {
    if line.seq != expected {
        return None;
    }
    for (account, change) in
        [(line.debit, line.quantity.checked_neg()?), (line.credit, line.quantity)]
    {
        let slot = usize::try_from(account.checked_sub(1)?).ok()?;
        let quantity = accounts.get_mut(slot)?;
        *quantity = quantity.checked_add(change)?;
    }
    Some(())
}

/// Each account is what the log makes of it, and so is their sum.
fn balances(conn: &Connection, head: &Head, replayed: &[i64]) -> Result<(), Torn> {
    let mut stored = conn.prepare("SELECT quantity FROM writer_account ORDER BY id")?;
    let stored = stored.query_map([], |row| row.get(0))?.collect::<Result<Vec<i64>, _>>()?;
    let sum = stored.iter().try_fold(0_i64, |sum, quantity| sum.checked_add(*quantity));
    same("balance", head.balance, sum.unwrap_or(i64::MIN))?;
    same("accounts", ACCOUNTS, i64::try_from(stored.len()).unwrap_or(i64::MAX))?;
    replayed.iter().zip(stored).try_for_each(|(log, row)| same("an account", *log, row))
}

/// A row whose file is not as the row says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dangling {
    /// The row's id in `attachments`.
    pub attachment: String,
    /// `file_path` or `thumbnail_path`.
    pub column: &'static str,
    /// The path, relative to `attachments/`.
    pub path: String,
    /// The size that the row records, in bytes; none for thumbnails.
    pub recorded_bytes: Option<u64>,
    /// The size of the file; none when there is no file.
    pub found_bytes: Option<u64>,
}

/// The rows of the database whose files `size_of` does not know, or knows with another size.
/// `size_of` gets a path relative to `attachments/` and answers in bytes.
pub fn dangling(
    db_path: &Path,
    mut size_of: impl FnMut(&str) -> Option<u64>,
) -> Result<Vec<Dangling>, Error> {
    let mut found = named_files(db_path).map_err(Error::sql("read the attachments"))?;
    found.retain_mut(|row| {
        row.found_bytes = size_of(&row.path);
        row.found_bytes.is_none()
            || row.recorded_bytes.is_some_and(|size| Some(size) != row.found_bytes)
    });
    Ok(found)
}

/// [`dangling`] for a whole data directory, such as a restored one.
pub fn dangling_in(data_dir: &Path) -> Result<Vec<Dangling>, Error> {
    let root = data_dir.join(ATTACHMENTS);
    dangling(&schema::database_path(data_dir), |path| {
        fs::metadata(root.join(path)).ok().filter(fs::Metadata::is_file).map(|file| file.len())
    })
}

/// Every file that a row names, by path.
fn named_files(db_path: &Path) -> rusqlite::Result<Vec<Dangling>> {
    let conn = open_read_only(db_path)?;
    let mut query = conn.prepare(
        "SELECT id, 0, file_path, file_size FROM attachments
         UNION ALL
         SELECT id, 1, thumbnail_path, NULL FROM attachments WHERE thumbnail_path IS NOT NULL
         ORDER BY 3",
    )?;
    let rows = query.query_map([], |row| {
        let thumbnail: bool = row.get(1)?;
        Ok(Dangling {
            attachment: row.get(0)?,
            column: if thumbnail { "thumbnail_path" } else { "file_path" },
            path: row.get(2)?,
            // A negative size is no size: such a row dangles whatever the file is.
            recorded_bytes: row.get::<_, Option<i64>>(3)?.map(i64::cast_unsigned),
            found_bytes: None,
        })
    })?;
    rows.collect()
}
