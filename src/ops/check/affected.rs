//! Which snapshots and paths need blobs that are gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::manifest::EntryKey;
use crate::error::Result;
use crate::id::{BlobId, BlobType, SnapshotId};
use crate::ops::catalog::Catalog;
use crate::ops::check::Affected;
use crate::repo::error::Damage;
use crate::repo::read::Reader;
use crate::snapshot::reach::{Paths, Reach, Reached, Visitor};

/// So many paths are named; more are counted.
const NAMED_PATHS: usize = 10;

/// For each lost blob, who needs it.
pub(super) type Needing = BTreeMap<(BlobType, BlobId), Vec<Hit>>;

/// What a snapshot needs a lost blob for.
pub(super) struct Hit {
    snapshot: SnapshotId,
    /// The first few paths.
    paths: Vec<EntryKey>,
    /// All of them, by number: every path of a snapshot that needs anything lost has one.
    numbers: Vec<u32>,
}

/// Walks every manifest again, each on its own, and notes who leads to a lost blob. Costs nothing when nothing is lost.
pub(super) fn needing(
    catalog: &Catalog<'_>,
    reader: &Reader<'_>,
    lost: &BTreeSet<(BlobType, BlobId)>,
) -> Result<Needing> {
    let mut found = Needing::new();
    if lost.is_empty() {
        return Ok(found);
    }
    for snapshot in &catalog.listing().snapshots {
        let (snapshot, root) = (snapshot.id, &snapshot.record.manifest);
        let mut search = Search { lost, snapshot, found: &mut found, last: None, number: 0 };
        // Files that share what is lost are named each: two databases on one base, say.
        Reach::of_each_file().walk(reader, root, &mut search)?;
    }
    Ok(found)
}

struct Search<'a> {
    lost: &'a BTreeSet<(BlobType, BlobId)>,
    snapshot: SnapshotId,
    found: &'a mut Needing,
    /// The last path that needs something lost, and its number. Paths ascend, so each has one number.
    last: Option<EntryKey>,
    number: u32,
}

impl Visitor for Search<'_> {
    fn reached(&mut self, blob: Reached<'_>) {
        let key = (blob.blob_type, blob.id);
        if !self.lost.contains(&key) {
            return;
        }
        let path = first_path(blob.paths);
        if self.number == 0 || self.last != path {
            self.number = self.number.saturating_add(1);
            self.last.clone_from(&path);
        }
        let hits = self.found.entry(key).or_default();
        if hits.last().is_none_or(|last| last.snapshot != self.snapshot) {
            let (paths, numbers) = (Vec::new(), Vec::new());
            hits.push(Hit { snapshot: self.snapshot, paths, numbers });
        }
        if let Some(hit) = hits.last_mut().filter(|hit| hit.numbers.last() != Some(&self.number)) {
            hit.numbers.push(self.number);
            let room = NAMED_PATHS.saturating_sub(hit.paths.len());
            hit.paths.extend(path.into_iter().take(room));
        }
    }

    fn unreadable(&mut self, _: Reached<'_>, _: &Damage) {}
}

fn first_path(paths: Paths<'_>) -> Option<EntryKey> {
    match paths {
        Paths::Entry(entry) => Some(entry.key.clone()),
        Paths::Span { first, .. } => first.cloned(),
    }
}

/// The snapshots that need any of these blobs, each path once.
pub(super) fn merge(needing: &Needing, blobs: &BTreeSet<(BlobType, BlobId)>) -> Vec<Affected> {
    let mut merged: BTreeMap<SnapshotId, (BTreeSet<&EntryKey>, BTreeSet<u32>)> = BTreeMap::new();
    for hit in blobs.iter().filter_map(|blob| needing.get(blob)).flatten() {
        let (paths, numbers) = merged.entry(hit.snapshot).or_default();
        // The first of all are among the first of each.
        paths.extend(&hit.paths);
        while paths.len() > NAMED_PATHS {
            paths.pop_last();
        }
        numbers.extend(&hit.numbers);
    }
    let affected = |(snapshot, (paths, numbers)): (_, (BTreeSet<&EntryKey>, BTreeSet<u32>))| {
        let paths = paths.into_iter().cloned().collect();
        Affected { snapshot, paths, total: numbers.len() as u64 }
    };
    merged.into_iter().map(affected).collect()
}
