//! Proof of transaction boundaries, kept inside the database.
//!
//! Every commit of this crate also, in the same transaction, adds one line to
//! `writer_log`, moves a quantity between two of the `writer_account` rows, and
//! advances the counter and the hash chain in `writer_ledger`. Triggers keep the
//! application's row counts and its stock total there too, whoever changes them.
//! The ledger's page lies at the front of the file, accounts and log lie behind
//! the bulk load: a copy made of pages of different commits contradicts itself,
//! although `SQLite`'s own integrity check may find nothing wrong with it.

use rusqlite::{Connection, TransactionBehavior, params};

use crate::error::Error;
use crate::moment::Moment;
use crate::rng::{Rng, mix};

pub(crate) const ACCOUNTS: i64 = 16;
pub(crate) const START_QUANTITY: i64 = 1_000;
/// Keeps accounts few to a page, so that they lie on several.
const FILLER_BYTES: i64 = 900;

/// Created before every other table, so that it lies on page 2.
pub(crate) const LEDGER_TABLE: &str = "
CREATE TABLE writer_ledger (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  commits INTEGER NOT NULL,
  chain INTEGER NOT NULL,
  balance INTEGER NOT NULL,
  seed INTEGER NOT NULL,
  start_unix_s INTEGER NOT NULL,
  stock_rows INTEGER NOT NULL,
  stock_units INTEGER NOT NULL,
  attachment_rows INTEGER NOT NULL
);";

/// What a commit was for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Stock = 1,
    Move = 2,
    Balanced = 3,
    Upload = 4,
    Delete = 5,
    Login = 6,
    Day = 7,
}

/// The one row of `writer_ledger`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) commits: i64,
    pub(crate) chain: i64,
    pub(crate) balance: i64,
    pub(crate) seed: i64,
    pub(crate) start_unix_s: i64,
    pub(crate) stock_rows: i64,
    pub(crate) stock_units: i64,
    pub(crate) attachment_rows: i64,
}

impl Head {
    pub(crate) fn start(&self) -> Moment {
        Moment(self.start_unix_s)
    }

    /// The chain's value before the first commit.
    pub(crate) fn genesis(&self) -> i64 {
        mix(self.seed.cast_unsigned() ^ mix(self.start_unix_s.cast_unsigned())).cast_signed()
    }
}

/// One row of `writer_log`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) seq: i64,
    pub(crate) kind: i64,
    pub(crate) debit: i64,
    pub(crate) credit: i64,
    pub(crate) quantity: i64,
}

impl Line {
    /// The chain after this line, from the chain before it.
    pub(crate) fn link(&self, chain: i64) -> i64 {
        [self.seq, self.kind, self.debit, self.credit, self.quantity]
            .iter()
            .fold(chain.cast_unsigned(), |hash, field| mix(hash ^ field.cast_unsigned()))
            .cast_signed()
    }
}

/// Fills the ledger from what the bulk load made, and arms the triggers.
pub(crate) fn install(conn: &Connection, seed: u64, start: Moment) -> Result<(), Error> {
    let doing = "install the ledger";
    conn.execute_batch(include_str!("ledger.sql")).map_err(Error::sql(doing))?;
    conn.execute(
        "INSERT INTO writer_account (id, quantity, filler)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1)
         SELECT i, ?2, zeroblob(?3) FROM n",
        params![ACCOUNTS, START_QUANTITY, FILLER_BYTES],
    )
    .map_err(Error::sql(doing))?;
    conn.execute(
        "INSERT INTO writer_ledger SELECT 1, 0, 0, ?1, ?2, ?3,
           (SELECT count(*) FROM stock_transactions),
           (SELECT coalesce(sum(quantity_on_hand), 0) FROM component_locations),
           (SELECT count(*) FROM attachments)",
        params![ACCOUNTS * START_QUANTITY, seed.cast_signed(), start.0],
    )
    .map_err(Error::sql(doing))?;
    let genesis = head(conn).map_err(Error::sql(doing))?.genesis();
    conn.execute("UPDATE writer_ledger SET chain = ?1", [genesis]).map_err(Error::sql(doing))?;
    Ok(())
}

pub(crate) fn head(conn: &Connection) -> rusqlite::Result<Head> {
    conn.query_one(
        "SELECT commits, chain, balance, seed, start_unix_s, stock_rows, stock_units,
                attachment_rows FROM writer_ledger WHERE id = 1",
        [],
        |row| {
            Ok(Head {
                commits: row.get(0)?,
                chain: row.get(1)?,
                balance: row.get(2)?,
                seed: row.get(3)?,
                start_unix_s: row.get(4)?,
                stock_rows: row.get(5)?,
                stock_units: row.get(6)?,
                attachment_rows: row.get(7)?,
            })
        },
    )
}

/// Does `work` and its ledger line in one transaction.
pub(crate) fn commit<T>(
    conn: &mut Connection,
    rng: &mut Rng,
    kind: Kind,
    work: impl FnOnce(&Connection, &mut Rng) -> Result<T, Error>,
) -> Result<T, Error> {
    // IMMEDIATE: the ledger is read and then written; a deferred transaction could
    // not be upgraded after another process's commit.
    let transaction = conn
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(Error::sql("begin a transaction"))?;
    let value = work(&transaction, rng)?;
    append(&transaction, rng, kind).map_err(Error::sql("write the ledger line"))?;
    transaction.commit().map_err(Error::sql("commit"))?;
    Ok(value)
}

fn append(conn: &Connection, rng: &mut Rng, kind: Kind) -> rusqlite::Result<()> {
    let before = head(conn)?;
    let debit = rng.between(1, ACCOUNTS);
    let line = Line {
        seq: before.commits + 1,
        kind: kind as i64,
        debit,
        credit: debit % ACCOUNTS + 1,
        quantity: rng.between(1, 9),
    };
    conn.execute(
        "INSERT INTO writer_log (seq, kind, debit, credit, quantity) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![line.seq, line.kind, line.debit, line.credit, line.quantity],
    )?;
    let account = "UPDATE writer_account SET quantity = quantity + ?2 WHERE id = ?1";
    conn.execute(account, [line.debit, -line.quantity])?;
    conn.execute(account, [line.credit, line.quantity])?;
    conn.execute(
        "UPDATE writer_ledger SET commits = ?1, chain = ?2",
        [line.seq, line.link(before.chain)],
    )?;
    Ok(())
}
