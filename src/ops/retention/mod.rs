//! What retention makes of a repository: its snapshots as the rules see them, and the sources on which the brake is.
//!
//! Here lives what `forget`, `snapshots` and `accept` have in common; `rules` is which policy counts. Not here: the rules
//! themselves (`snapshot::retention`) and removing anything (`forget`).

use std::collections::{BTreeMap, HashSet};

use crate::codec::fact::Subject;
use crate::codec::snapshot::SnapshotRecord;
use crate::id::{FindingId, SnapshotId};
use crate::ops::catalog::Catalog;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::retention::brake::{Brake, Limits, Seen, brakes};
use crate::snapshot::retention::standing::Standing;
use crate::snapshot::retention::{Pin, Point};

pub mod rules;

/// Every snapshot of a repository, as retention sees it.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// The snapshots.
    pub points: Vec<Point>,
    /// Sources of which nothing may expire, and why.
    pub brakes: BTreeMap<String, Brake>,
}

/// Looks at every snapshot of a catalog.
pub fn judge(catalog: &Catalog<'_>, limits: &Limits) -> Judged {
    let mut accepted = AcceptedFindings::default();
    let mut point = |(snapshot, tags): (&Snapshot, &[String])| {
        let record = &snapshot.record;
        let seen = is_accepted(catalog, snapshot.id) || accepted.cover(catalog, record);
        Point {
            id: snapshot.id,
            source: record.source.clone(),
            sequence: record.sequence,
            time_ns: record.time_ns,
            tags: tags.iter().cloned().collect(),
            pins: pins_of(catalog, snapshot.id),
            standing: Standing::of(record, seen),
        }
    };
    let points = catalog.snapshots().map(&mut point).collect();
    Judged { points, brakes: brakes_of(catalog, None, limits) }
}

/// The brakes, as they would be if this snapshot, too, had been accepted.
pub fn brakes_of(
    catalog: &Catalog<'_>,
    also_accepted: Option<SnapshotId>,
    limits: &Limits,
) -> BTreeMap<String, Brake> {
    let mut history = Vec::new();
    for Snapshot { id, record } in &catalog.listing().snapshots {
        let accepted = also_accepted == Some(*id) || is_accepted(catalog, *id);
        history.push(Seen { id: *id, record, accepted });
    }
    brakes(&history, limits)
}

/// The pins on a snapshot, also those whose time is over.
pub fn pins_of(catalog: &Catalog<'_>, snapshot: SnapshotId) -> Vec<Pin> {
    let pins = catalog.facts().pins_of(snapshot).into_iter();
    pins.map(|(name, until_ns)| Pin { name: name.to_owned(), until_ns }).collect()
}

/// A person has accepted this snapshot as it is.
fn is_accepted(catalog: &Catalog<'_>, id: SnapshotId) -> bool {
    catalog.facts().about(&Subject::Accepted { snapshot: id }).is_some()
}

/// The accepted findings of each source, looked up once.
#[derive(Default)]
struct AcceptedFindings {
    of_source: BTreeMap<String, HashSet<FindingId>>,
}

impl AcceptedFindings {
    /// Everything that is said of the snapshot was accepted since, in another one. A list that is not whole proves nothing.
    fn cover(&mut self, catalog: &Catalog<'_>, record: &SnapshotRecord) -> bool {
        let is_whole = u64::try_from(record.findings.len()) == Ok(record.findings_total);
        if record.findings.is_empty() || !is_whole {
            return false;
        }
        if !self.of_source.contains_key(&record.source) {
            let accepted = catalog.facts().accepted(&record.source);
            self.of_source.insert(record.source.clone(), accepted);
        }
        let keys = catalog.repository().keys();
        let known = self.of_source.get(&record.source);
        let is_known = |id| known.is_some_and(|known| known.contains(&id));
        record
            .findings
            .iter()
            .all(|finding| finding.accepted || is_known(keys.finding_id(&finding.said())))
    }
}
