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

/// For each lost blob, the snapshots that need it.
pub(super) type Needing = BTreeMap<(BlobType, BlobId), Vec<Affected>>;

/// Walks every manifest again, each on its own, and notes who leads to a lost blob. Costs nothing when nothing is lost.
pub(super) fn needing(
    catalog: &Catalog<'_>,
    reader: &Reader<'_>,
    lost: &BTreeSet<(BlobType, BlobId)>,
) -> Result<Needing> {
    let mut needing = Needing::new();
    if lost.is_empty() {
        return Ok(needing);
    }
    for snapshot in &catalog.listing().snapshots {
        let mut search = Search { lost, snapshot: snapshot.id, found: &mut needing };
        Reach::new().walk(reader, &snapshot.record.manifest, &mut search)?;
    }
    Ok(needing)
}

struct Search<'a> {
    lost: &'a BTreeSet<(BlobType, BlobId)>,
    snapshot: SnapshotId,
    found: &'a mut Needing,
}

impl Visitor for Search<'_> {
    fn reached(&mut self, blob: Reached<'_>) {
        let key = (blob.blob_type, blob.id);
        if !self.lost.contains(&key) {
            return;
        }
        let affected = self.found.entry(key).or_default();
        if affected.last().is_none_or(|last| last.snapshot != self.snapshot) {
            affected.push(Affected { snapshot: self.snapshot, paths: Vec::new(), total: 0 });
        }
        if let Some(last) = affected.last_mut() {
            last.note(first_path(blob.paths));
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

impl Affected {
    fn note(&mut self, path: Option<EntryKey>) {
        if path.as_ref().is_some_and(|path| self.paths.last() == Some(path)) {
            return;
        }
        self.total += 1;
        if self.paths.len() < NAMED_PATHS {
            self.paths.extend(path);
        }
    }
}

/// The snapshots that need any of these blobs.
pub(super) fn merge(needing: &Needing, blobs: &BTreeSet<(BlobType, BlobId)>) -> Vec<Affected> {
    let mut merged: BTreeMap<SnapshotId, Affected> = BTreeMap::new();
    for affected in blobs.iter().filter_map(|blob| needing.get(blob)).flatten() {
        let into = merged.entry(affected.snapshot).or_insert_with(|| Affected {
            snapshot: affected.snapshot,
            paths: Vec::new(),
            total: 0,
        });
        into.total += affected.total;
        let room = NAMED_PATHS.saturating_sub(into.paths.len());
        into.paths.extend(affected.paths.iter().take(room).cloned());
    }
    merged.into_values().collect()
}
