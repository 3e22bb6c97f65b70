//! What a snapshot knows of the inside of a database, and of the files that its rows name.

use serde::{Deserialize, Serialize};

use crate::codec::ByteString;
use crate::codec::names::{MAX_NAME_BYTES, length_fault, required_fault};

/// The most tables whose rows a record counts.
pub const MAX_TABLES: usize = 2048;

/// The most sets of references of one database.
pub const MAX_REFERENCES: usize = 64;

/// How the writers of a database work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum JournalMode {
    /// A rollback journal.
    Rollback,
    /// A write-ahead log.
    Wal,
    /// Version bytes that this program does not know.
    Unknown,
}

/// What `SQLite` said about the captured bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knowledge {
    /// `PRAGMA application_id`.
    pub application_id: i32,
    /// `PRAGMA user_version`.
    pub user_version: i32,
    /// BLAKE3 of the schema; `None` when it could not be read.
    pub schema: Option<[u8; 32]>,
    /// The revision in Alembic's table, when there is one.
    pub alembic_revision: Option<String>,
    /// Rows of each ordinary table, by name; at most [`MAX_TABLES`].
    pub tables: Vec<TableRows>,
    /// Tables that are not among them: too many, names too long, or no time to count.
    pub tables_left_out: u32,
}

/// How many rows a table has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// Its name.
    pub name: String,
    /// Its rows.
    pub rows: u64,
}

/// How a set of references of one database came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct References {
    /// Which set: the name of a built-in profile, or of a `[[reference]]`.
    pub name: String,
    /// The directory below which the files are, relative to the database's root.
    pub base: ByteString,
    /// Different files that rows name.
    pub named: u64,
    /// Of those, how many are in the snapshot as the rows say.
    pub present: u64,
    /// Of those that are not, how many a person has accepted.
    pub accepted: u64,
    /// Of the present, how many were written after the database was captured, and no row says enough to tell.
    pub newer: u64,
    /// Files below the base that no row names.
    pub orphans: u64,
    /// Captures until nothing was missing any more, or always the same.
    pub rounds: u32,
    /// Why they could not be looked up; the numbers then say nothing.
    pub failure: Option<String>,
}

impl Knowledge {
    pub(super) fn broken_rule(&self) -> Option<&'static str> {
        if self.tables.len() > MAX_TABLES {
            return Some("more tables than a record counts");
        }
        if !self.tables.is_sorted_by(|before, after| before.name < after.name) {
            return Some("tables that do not ascend");
        }
        let names = self.tables.iter().map(|table| &table.name).chain(&self.alembic_revision);
        names.into_iter().find_map(|name| length_fault(name, MAX_NAME_BYTES))
    }
}

impl References {
    pub(super) fn broken_rule(&self) -> Option<&'static str> {
        let missing = self.named.checked_sub(self.present);
        if missing.is_none_or(|missing| self.accepted > missing) || self.newer > self.present {
            return Some("references that do not add up");
        }
        required_fault(&self.name, MAX_NAME_BYTES)
            .or_else(|| crate::codec::names::path_fault(&self.base))
    }
}
