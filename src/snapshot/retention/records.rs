//! Records for the tests of this room.

use crate::codec::snapshot::{
    Counts, DatabaseRecord, Finding, FindingKind, References, SnapshotRecord, blank,
};

/// A clean record of a source with so many files of 1 KiB.
pub(super) fn record(source: &str, sequence: u64, files: u64) -> SnapshotRecord {
    let counts = Counts { files, bytes: files << 10, ..Counts::default() };
    SnapshotRecord { counts, ..blank::record(source, sequence) }
}

/// A sound database with these tables.
pub(super) fn database(tables: &[(&str, u64)]) -> DatabaseRecord {
    blank::database("app.db", Some(blank::knowledge(tables, 0)))
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
