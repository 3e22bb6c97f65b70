//! Records that say nothing, for tests that set what they are about.

use crate::codec::snapshot::{
    CaptureMethod, CheckResult, Counts, DatabaseLabel, DatabaseRecord, JournalMode, Knowledge,
    Outcome, Siblings, SnapshotRecord, TableRows,
};
use crate::id::BlobId;

/// A clean record of a source, as of 1970.
pub(crate) fn record(source: &str, sequence: u64) -> SnapshotRecord {
    SnapshotRecord {
        sequence,
        time_ns: 0,
        started_ns: 0,
        finished_ns: 0,
        zone: "UTC".to_owned(),
        source: source.to_owned(),
        roots: Vec::new(),
        host: String::new(),
        user: String::new(),
        version: String::new(),
        parent: None,
        manifest: BlobId::from_bytes([0; 32]),
        outcome: Outcome::Clean,
        counts: Counts::default(),
        databases: Vec::new(),
        tags: Vec::new(),
        findings: Vec::new(),
        findings_total: 0,
        siblings: Siblings { present: Vec::new() },
        extensions: Vec::new(),
    }
}

/// A sound database of one page.
pub(crate) fn database(path: &str, knowledge: Option<Knowledge>) -> DatabaseRecord {
    DatabaseRecord {
        root: 0,
        path: path.into(),
        label: DatabaseLabel::Committed,
        method: CaptureMethod::OnlineBackup,
        page_size: 4096,
        page_count: 1,
        len: 4096,
        journal_mode: JournalMode::Wal,
        check: CheckResult::QuickOk,
        captured_at_ns: 0,
        identity: None,
        version: None,
        knowledge,
        references: Vec::new(),
        extensions: Vec::new(),
    }
}

/// A database in which there are these tables, and so many that were left out.
pub(crate) fn knowledge(tables: &[(&str, u64)], tables_left_out: u32) -> Knowledge {
    let table = |(name, rows): &(&str, u64)| TableRows { name: (*name).to_owned(), rows: *rows };
    Knowledge {
        application_id: 0,
        user_version: 0,
        schema: None,
        alembic_revision: None,
        tables: tables.iter().map(table).collect(),
        tables_left_out,
    }
}
