//! Captures a database for a look at it: what is in the columns that may name files, beside what every capture tells.
//!
//! For `doctor`, which proposes references: it takes the texts of each column for paths, looks them up in the tree, and
//! may then put a query of its own through [`CaptureOptions::questions`]. Nothing is stored of it.

use std::cell::RefCell;
use std::path::Path;

use crate::sqlite::capture::capture_sampling;
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::options::CaptureOptions;
use crate::sqlite::questions::ColumnSample;

/// A database that was looked at.
#[derive(Debug)]
pub struct Inspected {
    /// Its capture, with label, journal mode, knowledge and answers; drop it when the bytes are not wanted.
    pub captured: Captured,
    /// Columns of its ordinary tables that may hold paths or sizes, by table, in the order of the table's columns. None when `SQLite`
    /// cannot read the database.
    pub columns: Vec<ColumnSample>,
}

/// The version of the library that is part of this program, as `3.51.3`.
pub fn library_version() -> &'static str {
    rusqlite::version()
}

/// Captures the database at `path` and samples its columns.
///
/// Fails as [`crate::sqlite::capture::capture`] does, only when there are no bytes at all.
pub fn inspect(options: &CaptureOptions<'_>, path: &Path) -> Result<Inspected, CaptureError> {
    let columns = RefCell::default();
    let captured = capture_sampling(options, path, Some(&columns))?;
    Ok(Inspected { captured, columns: columns.into_inner() })
}
