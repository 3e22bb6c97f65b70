//! Accepting the findings of a snapshot: when they come again, they no longer count.

use std::collections::BTreeSet;

use crate::codec::fact::{Statement, Subject};
use crate::error::Result;
use crate::host::Host;
use crate::id::FindingId;
use crate::ops::catalog::Catalog;
use crate::repo::snapshots::Snapshot;

/// What became of a snapshot's findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AcceptReport {
    /// Different findings that are accepted from now on.
    pub accepted: u64,
    /// Different findings that were accepted before.
    pub already: u64,
    /// Findings that the record counts and does not list: they cannot be accepted, and go on to count.
    pub unlisted: u64,
}

/// Accepts every finding that the snapshot's record lists, for its source; durable on return. Where nothing is new, nothing is written.
pub fn accept(catalog: &Catalog<'_>, snapshot: &Snapshot, host: &dyn Host) -> Result<AcceptReport> {
    let (record, facts) = (&snapshot.record, catalog.facts());
    let keys = catalog.repository().keys();
    let before = facts.accepted(&record.source);
    let findings: BTreeSet<FindingId> =
        record.findings.iter().map(|finding| keys.finding_id(&finding.said())).collect();
    let already = findings.iter().filter(|id| before.contains(id)).count() as u64;
    let report = AcceptReport {
        accepted: findings.len() as u64 - already,
        already,
        unlisted: record.findings_total.saturating_sub(record.findings.len() as u64),
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
