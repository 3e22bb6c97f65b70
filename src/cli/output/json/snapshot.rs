//! A snapshot in JSON.

use jiff::tz::TimeZone;
use larder::codec::snapshot::{Finding, FindingKind, Outcome, SnapshotRecord};
use larder::repo::snapshots::Snapshot;
use serde::Serialize;

use crate::cli::output::json::Path;
use crate::cli::output::json::database::DatabaseBody;
use crate::cli::output::times;

/// Which snapshot something is about.
#[derive(Debug, Serialize)]
pub(crate) struct SnapshotRef {
    id: String,
    time: String,
    zone: String,
    source: String,
}

impl SnapshotRef {
    /// This snapshot.
    pub(crate) fn of(snapshot: &Snapshot, clock: Clock<'_>) -> Self {
        Self {
            id: snapshot.id.to_string(),
            time: times::rfc3339(snapshot.record.time_ns, clock.zone),
            zone: clock.name.to_owned(),
            source: snapshot.record.source.clone(),
        }
    }
}

/// A snapshot.
#[derive(Debug, Serialize)]
pub(crate) struct SnapshotBody {
    /// In full; `null` after a dry run.
    id: Option<String>,
    time: String,
    zone: String,
    source: String,
    sequence: u64,
    roots: Vec<Path>,
    host: String,
    user: String,
    version: String,
    parent: Option<String>,
    started: String,
    finished: String,
    outcome: &'static str,
    tags: Vec<String>,
    files: u64,
    dirs: u64,
    others: u64,
    size_bytes: u64,
    new_files: u64,
    changed_files: u64,
    removed_files: u64,
    new_plain_bytes: u64,
    new_stored_bytes: u64,
    databases: Vec<DatabaseBody>,
    findings_total: u64,
    findings: Vec<FindingBody>,
}

/// A finding.
#[derive(Debug, Serialize)]
pub(crate) struct FindingBody {
    kind: &'static str,
    #[serde(flatten)]
    path: Path,
    message: String,
    accepted: bool,
}

impl FindingBody {
    /// A finding of a record.
    pub(crate) fn of(finding: &Finding) -> Self {
        Self {
            kind: match finding.kind {
                FindingKind::Source => "source",
                FindingKind::Database => "database",
                FindingKind::Dangling => "dangling",
                FindingKind::Reference => "reference",
                FindingKind::Unreadable => "unreadable",
                FindingKind::Opaque => "opaque",
                FindingKind::Row => "row",
            },
            path: Path::of(&finding.subject),
            message: finding.message.clone(),
            accepted: finding.accepted,
        }
    }
}

/// In which zone times are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock<'z> {
    /// The zone.
    pub(crate) zone: &'z TimeZone,
    /// Its name.
    pub(crate) name: &'z str,
}

impl SnapshotBody {
    /// A saved snapshot with the tags that it carries now.
    pub(crate) fn of(snapshot: &Snapshot, tags: &[String], clock: Clock<'_>) -> Self {
        Self {
            tags: tags.to_vec(),
            ..Self::of_record(Some(snapshot.id.to_string()), &snapshot.record, clock)
        }
    }

    /// A record, saved under this id or not.
    pub(crate) fn of_record(id: Option<String>, record: &SnapshotRecord, clock: Clock<'_>) -> Self {
        let time = |ns| times::rfc3339(ns, clock.zone);
        let counts = record.counts;
        Self {
            id,
            time: time(record.time_ns),
            zone: clock.name.to_owned(),
            source: record.source.clone(),
            sequence: record.sequence,
            roots: record.roots.iter().map(|root| Path::of(&root.path)).collect(),
            host: record.host.clone(),
            user: record.user.clone(),
            version: record.version.clone(),
            parent: record.parent.map(|id| id.to_string()),
            started: time(record.started_ns),
            finished: time(record.finished_ns),
            outcome: match record.outcome {
                Outcome::Clean => "clean",
                Outcome::WithFindings => "with_findings",
            },
            tags: record.tags.clone(),
            files: counts.files,
            dirs: counts.dirs,
            others: counts.others,
            size_bytes: counts.bytes,
            new_files: counts.new_files,
            changed_files: counts.changed_files,
            removed_files: counts.removed_files,
            new_plain_bytes: counts.new_plain_bytes,
            new_stored_bytes: counts.new_stored_bytes,
            databases: record.databases.iter().map(|it| DatabaseBody::of(it, clock.zone)).collect(),
            findings_total: record.findings_total,
            findings: record.findings.iter().map(FindingBody::of).collect(),
        }
    }
}
