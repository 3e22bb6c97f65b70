//! What a backup says to programs.

use std::time::Duration;

use larder::ops::backup::BackupReport;
use larder::ops::backup::rows::{DatabaseRows, RowChange};
use serde::Serialize;

use crate::cli::exit::Exit;
use crate::cli::output::json::Path;
use crate::cli::output::json::snapshot::{Clock, SnapshotBody};
use crate::cli::output::progress::millis;

/// How and when it ended.
pub(super) struct Ended {
    pub(super) took: Duration,
    pub(super) exit: Exit,
}

/// The last line of a backup.
#[derive(Serialize)]
pub(super) struct Summary {
    snapshot: SnapshotBody,
    dry_run: bool,
    rows: Vec<RowsBody>,
    damage_total: usize,
    elapsed_ms: u64,
    exit_code: u8,
}

/// Tables of one database that have more or fewer rows than in the snapshot before.
#[derive(Serialize)]
struct RowsBody {
    root: u32,
    #[serde(flatten)]
    path: Path,
    tables: Vec<RowChangeBody>,
}

#[derive(Serialize)]
struct RowChangeBody {
    table: String,
    before: Option<u64>,
    after: Option<u64>,
}

impl RowsBody {
    fn of(rows: &DatabaseRows) -> Self {
        let table = |it: &RowChange| RowChangeBody {
            table: it.table.clone(),
            before: it.before,
            after: it.after,
        };
        Self {
            root: rows.root,
            path: Path::of(&rows.path),
            tables: rows.tables.iter().map(table).collect(),
        }
    }
}

impl Summary {
    /// The summary of a finished backup.
    pub(super) fn of(done: &BackupReport, ended: &Ended, clock: Clock<'_>) -> Self {
        let id = done.id.map(|id| id.to_string());
        Self {
            snapshot: SnapshotBody::of_record(id, &done.record, clock),
            dry_run: done.id.is_none(),
            rows: done.row_changes.iter().map(RowsBody::of).collect(),
            damage_total: done.damage.len(),
            elapsed_ms: millis(ended.took),
            exit_code: ended.exit.code(),
        }
    }
}
