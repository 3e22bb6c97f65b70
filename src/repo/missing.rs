//! Snapshots that should be there and are not.
//!
//! A lost record of a kilobyte must not turn into a decision to delete a night.
//! Every record names the snapshots of its source that were there when it was
//! taken, and so does the fact that explains a forgotten one. The newest of
//! these statements counts: what it names, absent and not forgotten, is missing.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::fact::{Statement, Subject};
use crate::id::SnapshotId;
use crate::repo::facts::Facts;
use crate::repo::snapshots::Listing;

/// A snapshot that is absent without having been forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Missing {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its source.
    pub source: String,
}

/// Every missing snapshot, by source.
pub fn missing_snapshots(listing: &Listing, facts: &Facts) -> Vec<Missing> {
    let there: BTreeSet<SnapshotId> = listing.ids.iter().copied().collect();
    let forgotten: BTreeSet<SnapshotId> = forgotten(facts).map(|(id, ..)| id).collect();
    let mut missing = Vec::new();
    for (source, (_, named)) in newest_statements(listing, facts) {
        let absent = named.into_iter().filter(|id| !there.contains(id) && !forgotten.contains(id));
        missing.extend(absent.map(|id| Missing { id, source: source.to_owned() }));
    }
    missing
}

/// The snapshots that the next record of a source names, ascending. What is missing, or there and unreadable, is named on until it is
/// forgotten: else the night after a loss would be the last to know of it.
pub fn names_for_next(listing: &Listing, facts: &Facts, source: &str) -> Vec<SnapshotId> {
    let mut names: BTreeSet<SnapshotId> =
        listing.of_source(source).map(|snapshot| snapshot.id).collect();
    let gone: BTreeSet<SnapshotId> = forgotten(facts).map(|(id, ..)| id).collect();
    let stated = newest_statements(listing, facts).remove(source).map(|(_, named)| named);
    names.extend(stated.unwrap_or_default().into_iter().filter(|id| !gone.contains(id)));
    names.into_iter().collect()
}

type Rank = (u64, SnapshotId);

fn newest_statements<'a>(
    listing: &'a Listing,
    facts: &'a Facts,
) -> BTreeMap<&'a str, (Rank, Vec<SnapshotId>)> {
    let mut newest: BTreeMap<&str, (Rank, Vec<SnapshotId>)> = BTreeMap::new();
    let mut consider =
        |source: &'a str, rank: Rank, named: Vec<SnapshotId>| match newest.get(source) {
            Some((best, _)) if *best >= rank => {}
            _ => drop(newest.insert(source, (rank, named))),
        };
    for snapshot in &listing.snapshots {
        let record = &snapshot.record;
        consider(&record.source, (record.sequence, snapshot.id), record.siblings.present.clone());
    }
    for (id, source, sequence, present) in forgotten(facts) {
        consider(source, (sequence, id), present.to_vec());
    }
    newest
}

fn forgotten(facts: &Facts) -> impl Iterator<Item = (SnapshotId, &str, u64, &[SnapshotId])> {
    facts.subjects().filter_map(|(subject, fact)| match (subject, &fact.statement) {
        (Subject::Forgotten { snapshot }, Statement::Record { source, sequence, present }) => {
            Some((*snapshot, source.as_str(), *sequence, present.as_slice()))
        }
        _ => None,
    })
}

/// Facts about forgotten snapshots that explain nothing any more: the snapshot is there (it was brought back, or its forgetting was cut
/// off), or the newest statement about its source, another one, does not name it.
pub fn idle_forgotten(listing: &Listing, facts: &Facts) -> Vec<SnapshotId> {
    let newest = newest_statements(listing, facts);
    let is_idle = |id: SnapshotId, source: &str| match newest.get(source) {
        Some(((_, by), named)) => *by != id && !named.contains(&id),
        None => false,
    };
    forgotten(facts)
        .filter(|(id, source, ..)| listing.ids.contains(id) || is_idle(*id, source))
        .map(|(id, ..)| id)
        .collect()
}

/// The source that the newest statements say an absent or unreadable snapshot belongs to.
pub fn stated_source<'a>(
    listing: &'a Listing,
    facts: &'a Facts,
    id: SnapshotId,
) -> Option<&'a str> {
    let newest = newest_statements(listing, facts);
    newest.into_iter().find(|(_, (_, named))| named.contains(&id)).map(|(source, _)| source)
}

/// The sequence for the next snapshot of a source: one more than any that was ever seen.
pub fn next_sequence(listing: &Listing, facts: &Facts, source: &str) -> u64 {
    let recorded = listing.of_source(source).map(|snapshot| snapshot.record.sequence);
    let gone =
        forgotten(facts).filter(|(_, of, ..)| *of == source).map(|(_, _, sequence, _)| sequence);
    let trashed = listing.trashed.iter().filter(|(of, _)| of == source).map(|(_, it)| *it);
    recorded.chain(gone).chain(trashed).max().map_or(1, |highest| highest + 1)
}
