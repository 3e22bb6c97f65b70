//! Accepting the findings of a snapshot: when they come again, they no longer count.

use std::collections::BTreeSet;

use crate::codec::fact::{Statement, Subject};
use crate::codec::snapshot::FindingKind;
use crate::error::Result;
use crate::host::Host;
use crate::id::FindingId;
use crate::ops::catalog::Catalog;
use crate::repo::snapshots::Snapshot;

/// Whether findings of this kind can be accepted at all.
///
/// Only those whose text is the whole state of one named thing: another thing, or another state, is another finding. What says
/// that nothing was looked up, or that what was saved is torn, says the same whatever is behind it, and counts every time.
pub fn is_acceptable(kind: FindingKind) -> bool {
    match kind {
        FindingKind::Dangling
        | FindingKind::Unreadable
        | FindingKind::Opaque
        | FindingKind::Row => true,
        FindingKind::Source | FindingKind::Database | FindingKind::Reference => false,
    }
}

/// What became of a snapshot's findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcceptReport {
    /// Different findings that are accepted from now on.
    pub accepted: u64,
    /// Different findings that were accepted before.
    pub already: u64,
    /// Findings that the record counts and does not list: they cannot be accepted, and go on to count.
    pub unlisted: u64,
    /// Listed findings of a kind that cannot be accepted: they go on to count.
    pub unacceptable: u64,
}

/// Accepts every acceptable finding that the snapshot's record lists, for its source; durable on return. Where nothing is new, nothing is written.
pub fn accept(catalog: &Catalog<'_>, snapshot: &Snapshot, host: &dyn Host) -> Result<AcceptReport> {
    let (record, facts) = (&snapshot.record, catalog.facts());
    let keys = catalog.repository().keys();
    let before = facts.accepted(&record.source);
    let (acceptable, others): (Vec<_>, Vec<_>) =
        record.findings.iter().partition(|finding| is_acceptable(finding.kind));
    let findings: BTreeSet<FindingId> =
        acceptable.iter().map(|finding| keys.finding_id(&finding.said())).collect();
    let already = findings.iter().filter(|id| before.contains(id)).count() as u64;
    let report = AcceptReport {
        accepted: findings.len() as u64 - already,
        already,
        unlisted: record.findings_total.saturating_sub(record.findings.len() as u64),
        unacceptable: others.len() as u64,
    };
    if report.accepted > 0 {
        // All of them, also what other snapshots' facts accept: those facts may go one day, with what they are about.
        let (source, findings) = (record.source.clone(), findings.into_iter().collect());
        let subject = Subject::Accepted { snapshot: snapshot.id };
        let statement = Statement::Findings { source, findings };
        facts.publish(catalog.repository(), vec![(subject, statement)], host)?;
    }
    Ok(report)
}
