//! Records for the tests of this room.

use crate::codec::snapshot::{
    CaptureMethod, CheckResult, Counts, DatabaseLabel, DatabaseRecord, Finding, FindingKind,
    JournalMode, Knowledge, Outcome, References, Siblings, SnapshotRecord, TableRows,
};
use crate::id::BlobId;

/// A clean record of a source with so many files of 1 KiB.
pub(super) fn record(source: &str, sequence: u64, files: u64) -> SnapshotRecord {
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
        counts: Counts { files, bytes: files << 10, ..Counts::default() },
        databases: Vec::new(),
        tags: Vec::new(),
        findings: Vec::new(),
        findings_total: 0,
        siblings: Siblings { present: Vec::new() },
        extensions: Vec::new(),
    }
}

/// A sound database with these tables.
pub(super) fn database(tables: &[(&str, u64)]) -> DatabaseRecord {
    let rows = |(name, rows): &(&str, u64)| TableRows { name: (*name).to_owned(), rows: *rows };
    DatabaseRecord {
        root: 0,
        path: "app.db".into(),
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
        knowledge: Some(Knowledge {
            application_id: 0,
            user_version: 0,
            schema: None,
            alembic_revision: None,
            tables: tables.iter().map(rows).collect(),
            tables_left_out: 0,
        }),
        references: Vec::new(),
        extensions: Vec::new(),
    }
}

/// A set of references.
pub(super) fn references(named: u64, present: u64, accepted: u64) -> References {
    References {
        name: "files".to_owned(),
        base: "files".into(),
        named,
        present,
        accepted,
        newer: 0,
        orphans: 0,
        rounds: 1,
        failure: None,
    }
}

/// What is found about a database.
pub(super) fn finding(accepted: bool) -> Finding {
    let message = "corrupt".to_owned();
    Finding { kind: FindingKind::Database, subject: "app.db".into(), message, accepted }
}
