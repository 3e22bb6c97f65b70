//! Bringing a forgotten snapshot back: its packs, a segment for them, and last its record.
//!
//! Cut off anywhere, the snapshot is still forgotten, and what came back is
//! for the next prune.

use std::collections::BTreeSet;

use crate::codec::index::Place;
use crate::host::Host;
use crate::id::{BlobId, PackId, SnapshotId};
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::facts::Facts;
use crate::repo::foreign::sync_trash;
use crate::repo::index::write::stage_segment;
use crate::repo::index::{Index, open_segment, segment_damage};
use crate::repo::layout;
use crate::repo::locks::Patience;
use crate::repo::pack::read::directory;
use crate::repo::prune::Walk;
use crate::repo::prune::maintainer::Maintainer;
use crate::repo::prune::standing::Standing;
use crate::repo::prune::survey::list_packs;
use crate::repo::prune::trash::{Discarded, discarded};
use crate::repo::repository::Repository;
use crate::repo::snapshots::{Snapshot, read_trashed};

/// What became of a forgotten snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undone {
    /// It is a snapshot again.
    Back(Box<Snapshot>),
    /// It was not forgotten: its record is in its place.
    There,
    /// Its record is not in the trash (any more).
    NotInTrash,
    /// Its record is in the trash, and something that it needs is nowhere.
    Incomplete(Damage),
}

/// Brings a forgotten snapshot back while everything that it needs is still there.
pub fn undo(
    repository: &Repository,
    id: SnapshotId,
    walk: &mut dyn Walk,
    host: &dyn Host,
    patience: Patience<'_>,
) -> Result<Undone> {
    let maintainer = Maintainer::begin(repository, host, patience)?;
    let _held = maintainer.share()?;
    let backend = repository.backend();
    match backend.stat(&layout::snapshot(&id)) {
        // An undo that was cut off may have named it just now: who is told that it is there relies on that.
        Ok(_) => {
            sync_trash(backend)?;
            backend.sync(layout::SNAPSHOTS)?;
            return Ok(Undone::There);
        }
        Err(error) if error.is_not_found() => {}
        Err(error) => return Err(error.into()),
    }
    let trash = discarded(backend)?;
    let Some(from) = trash.iter().rfind(|it| it.snapshots.contains(&id)) else {
        return Ok(Undone::NotInTrash);
    };
    let record = match damage_apart(read_trashed(repository, &from.directory, id))? {
        Ok(Some(record)) => record,
        Ok(None) => return Ok(Undone::NotInTrash),
        Err(damage) => return Ok(Undone::Incomplete(damage)),
    };
    let snapshot = Snapshot { id, record };
    bring_packs(&maintainer, &trash)?;
    if let Err(damage) = needs_met(&maintainer, &snapshot, walk)? {
        return Ok(Undone::Incomplete(damage));
    }
    // The record relies on names that others may have left unsynced, also where this run moved and wrote nothing.
    sync_trash(backend)?;
    backend.sync(layout::PACKS)?;
    backend.sync(layout::INDEX)?;
    backend.rename(&layout::trashed_snapshot(&from.directory, &id), &layout::snapshot(&id))?;
    backend.sync(layout::SNAPSHOTS)?;
    backend.sync(&from.directory)?;
    Ok(Undone::Back(Box::new(snapshot)))
}

/// Damage is an answer, everything else a failure.
fn damage_apart<T>(result: Result<T>) -> Result<std::result::Result<T, Damage>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(RepoError::Damaged(damage)) => Ok(Err(damage)),
        Err(error) => Err(error),
    }
}

/// Every discarded pack comes back, then a segment for those whose directory can be read. Which of them the snapshot needs can only be
/// told through its manifest, which may lie in them.
fn bring_packs(maintainer: &Maintainer<'_>, trash: &[Discarded]) -> Result<()> {
    let backend = maintainer.repository.backend();
    for discarded in trash.iter().filter(|it| !it.packs.is_empty()) {
        for (id, _) in &discarded.packs {
            backend.rename(&layout::trashed_pack(&discarded.directory, id), &layout::pack(id))?;
        }
        backend.sync(layout::PACKS)?;
        backend.sync(&discarded.directory)?;
    }
    list_unlisted(maintainer)
}

/// Lists packs that no segment names: those just brought, and those that a run brought which was cut off.
fn list_unlisted(maintainer: &Maintainer<'_>) -> Result<()> {
    let repository = maintainer.repository;
    let (backend, keys) = (repository.backend(), repository.keys());
    let index = Index::load(backend, keys)?;
    let named: BTreeSet<PackId> = index.packs().flatten().map(|(id, _)| id).collect();
    let (packs, _) = list_packs(backend)?;
    let mut listed: Vec<(PackId, u64)> = Vec::new();
    let mut places: Vec<(BlobId, Place)> = Vec::new();
    for (id, len) in packs.into_iter().filter(|(id, _)| !named.contains(id)) {
        let found = damage_apart(directory(backend, keys, repository.id(), (&id, len)))?;
        // A pack that cannot say what it holds serves nobody; whether anything is missed is asked below.
        let Ok(found) = found else { continue };
        places.extend(found.entries.iter().map(|entry| (entry.id, Place::of_entry(id, entry))));
        listed.push((id, len));
    }
    if listed.is_empty() {
        return Ok(());
    }
    let stage = maintainer.stage()?;
    let (id, len) = stage_segment(&*stage, keys, repository.id(), &listed, places.into_iter())?;
    stage.barrier()?;
    match open_segment(backend, keys, id, len)? {
        Some(_) => Ok(()),
        None => Err(segment_damage(&id, "was just written, and cannot be found".into()).into()),
    }
}

/// Whether every blob of the snapshot is in a pack that is there, and listed.
fn needs_met(
    maintainer: &Maintainer<'_>,
    snapshot: &Snapshot,
    walk: &mut dyn Walk,
) -> Result<std::result::Result<(), Damage>> {
    let repository = maintainer.repository;
    let index = Index::load(repository.backend(), repository.keys())?;
    let damaged = Facts::read(repository)?.damaged_places();
    let (packs, _) = list_packs(repository.backend())?;
    let segments = index.segments().iter().collect();
    let standing = Standing { segments, packs: &packs, damaged: &damaged };
    damage_apart(walk.mark(std::slice::from_ref(snapshot), &standing))
}
