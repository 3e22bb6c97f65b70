//! A database of a snapshot in JSON.

use jiff::tz::TimeZone;
use larder::codec::snapshot::{
    CaptureMethod, CheckResult, DatabaseRecord, JournalMode, Knowledge, References,
};
use serde::Serialize;

use crate::cli::output::json::Path;
use crate::cli::output::known::{hex, label};
use crate::cli::output::times;

/// A database of a snapshot.
#[derive(Debug, Serialize)]
pub(crate) struct DatabaseBody {
    root: u32,
    #[serde(flatten)]
    path: Path,
    label: &'static str,
    method: &'static str,
    journal_mode: &'static str,
    page_size_bytes: u32,
    page_count: u64,
    size_bytes: u64,
    check: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    check_detail: Option<String>,
    captured: String,
    version: Option<String>,
    knowledge: Option<KnowledgeBody>,
    references: Vec<ReferencesBody>,
}

/// What is inside of it.
#[derive(Debug, Serialize)]
pub(crate) struct KnowledgeBody {
    application_id: i32,
    user_version: i32,
    schema_hash: Option<String>,
    alembic_revision: Option<String>,
    tables: Vec<TableBody>,
    tables_left_out: u32,
}

#[derive(Debug, Serialize)]
struct TableBody {
    name: String,
    rows: u64,
}

/// How a set of references came out.
#[derive(Debug, Serialize)]
struct ReferencesBody {
    name: String,
    base: Path,
    named: u64,
    present: u64,
    accepted: u64,
    newer: u64,
    orphans: u64,
    rounds: u32,
    failure: Option<String>,
}

impl DatabaseBody {
    /// All that the snapshot knows of it.
    pub(crate) fn of(record: &DatabaseRecord, zone: &TimeZone) -> Self {
        let (check, check_detail) = check(&record.check);
        Self {
            root: record.root,
            path: Path::of(&record.path),
            label: label(record.label),
            method: method(record.method),
            journal_mode: journal_mode(record.journal_mode),
            page_size_bytes: record.page_size,
            page_count: record.page_count,
            size_bytes: record.len,
            check,
            check_detail,
            captured: times::rfc3339(record.captured_at_ns, zone),
            version: record.version.map(|id| id.to_string()),
            knowledge: record.knowledge.as_ref().map(KnowledgeBody::of),
            references: record.references.iter().map(ReferencesBody::of).collect(),
        }
    }
}

/// What a check said, and the detail of it.
pub(crate) fn check(result: &CheckResult) -> (&'static str, Option<String>) {
    match result {
        CheckResult::QuickOk => ("quick_check_ok", None),
        CheckResult::Failed(detail) => ("failed", Some(detail.clone())),
        CheckResult::NotRun(detail) => ("not_run", Some(detail.clone())),
    }
}

/// How a database was captured, in JSON.
pub(crate) fn method(method: CaptureMethod) -> &'static str {
    match method {
        CaptureMethod::OnlineBackup => "online_backup",
        CaptureMethod::Immutable => "immutable",
        CaptureMethod::PrivateRecovery => "private_recovery",
        CaptureMethod::RawCopy => "raw_copy",
    }
}

/// How its writers work, in JSON.
pub(crate) fn journal_mode(mode: JournalMode) -> &'static str {
    match mode {
        JournalMode::Rollback => "rollback",
        JournalMode::Wal => "wal",
        JournalMode::Unknown => "unknown",
    }
}

impl KnowledgeBody {
    /// What is known.
    pub(crate) fn of(knowledge: &Knowledge) -> Self {
        let tables = knowledge.tables.iter();
        Self {
            application_id: knowledge.application_id,
            user_version: knowledge.user_version,
            schema_hash: knowledge.schema.as_ref().map(|schema| hex(schema)),
            alembic_revision: knowledge.alembic_revision.clone(),
            tables: tables
                .map(|table| TableBody { name: table.name.clone(), rows: table.rows })
                .collect(),
            tables_left_out: knowledge.tables_left_out,
        }
    }
}

impl ReferencesBody {
    fn of(references: &References) -> Self {
        Self {
            name: references.name.clone(),
            base: Path::of(&references.base),
            named: references.named,
            present: references.present,
            accepted: references.accepted,
            newer: references.newer,
            orphans: references.orphans,
            rounds: references.rounds,
            failure: references.failure.clone(),
        }
    }
}
