//! Accepting a snapshot as it is: its findings no longer count when they come again, and it no longer puts the brake on.

use std::collections::BTreeSet;

use crate::codec::fact::{Statement, Subject};
use crate::codec::snapshot::FindingKind;
use crate::error::Result;
use crate::host::Host;
use crate::id::FindingId;
use crate::ops::catalog::Catalog;
use crate::ops::retention::brakes_of;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::retention::brake::{Brake, Limits};

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

/// What became of a snapshot's findings, and of the brake on its source.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AcceptReport {
    /// Different findings that are accepted from now on.
    pub accepted: u64,
    /// Different findings that were accepted before.
    pub already: u64,
    /// Findings that the record counts and does not list: they cannot be accepted, and go on to count.
    pub unlisted: u64,
    /// Listed findings of a kind that cannot be accepted: they go on to count.
    pub unacceptable: u64,
    /// The brake that was on until now and is off.
    pub released: Option<Brake>,
    /// The brake that is on all the same.
    pub braked: Option<Brake>,
}

/// Accepts a snapshot, and every acceptable finding that its record lists, for its source; durable on return. Where that
/// changes nothing, nothing is written. What cannot be accepted goes on to count, but no longer keeps snapshots from expiring as long
/// as this one is the newest.
pub fn accept(catalog: &Catalog<'_>, snapshot: &Snapshot, host: &dyn Host) -> Result<AcceptReport> {
    let (record, facts) = (&snapshot.record, catalog.facts());
    let keys = catalog.repository().keys();
    let before = facts.accepted(&record.source);
    let (acceptable, others): (Vec<_>, Vec<_>) =
        record.findings.iter().partition(|finding| is_acceptable(finding.kind));
    let findings: BTreeSet<FindingId> =
        acceptable.iter().map(|finding| keys.finding_id(&finding.said())).collect();
    let already = findings.iter().filter(|id| before.contains(id)).count() as u64;
    let brake = |also| brakes_of(catalog, also, &Limits::default()).remove(&record.source);
    let (was_on, is_on) = (brake(None), brake(Some(snapshot.id)));
    let moves_brake = was_on != is_on;
    let report = AcceptReport {
        accepted: findings.len() as u64 - already,
        already,
        unlisted: record.findings_total.saturating_sub(record.findings.len() as u64),
        unacceptable: others.len() as u64,
        released: was_on.filter(|_| is_on.is_none()),
        braked: is_on,
    };
    if report.accepted > 0 || moves_brake {
        // All of them, also what other snapshots' facts accept: those facts may go one day, with what they are about.
        let (source, findings) = (record.source.clone(), findings.into_iter().collect());
        let subject = Subject::Accepted { snapshot: snapshot.id };
        let statement = Statement::Findings { source, findings };
        facts.publish(catalog.repository(), vec![(subject, statement)], host)?;
    }
    Ok(report)
}
