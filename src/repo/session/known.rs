//! What a session may deduplicate against.
//!
//! Invariant: a blob counts as stored only at a place in a verified index page,
//! in a pack that this run's own listing shows with exactly the length that the
//! segment recorded, and that no fact calls damaged. Whatever is relied upon is
//! remembered, and looked for once more before the commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::codec::index::{BlobKey, Place};
use crate::id::{BlobId, BlobType, PackId, SegmentId};
use crate::repo::backend::Backend;
use crate::repo::distrust::Distrusted;
use crate::repo::error::{Damage, Result};
use crate::repo::facts::Facts;
use crate::repo::index::{Index, Lookup, Segment, lookup, segment_damage};
use crate::repo::layout;
use crate::repo::prune::trash::discarded;
use crate::repo::repository::Repository;

/// Packs by id, with their length.
pub(super) type PackListing = BTreeMap<PackId, u64>;

/// The index as it was at the beginning, plus the session's own segments.
pub(super) struct Known {
    pub(super) index: Arc<Index>,
    /// Segments of the session itself.
    own: RwLock<Vec<Segment>>,
    sound: RwLock<PackListing>,
    /// Packs that segments name, and that are not there with their length.
    lost: BTreeMap<PackId, String>,
    pub(super) distrusted: Arc<Distrusted>,
    relied_upon: Mutex<BTreeSet<PackId>>,
    /// Damage for which a blob was not found.
    met: Mutex<Vec<Damage>>,
    /// A blob that is listed was not found, since no place of it is trusted: it is stored again.
    replaced: AtomicBool,
}

impl Known {
    pub(super) fn load(repository: &Repository, facts: &Facts) -> Result<Self> {
        let index = Index::load(repository.backend(), repository.keys())?;
        let listed = list_packs(repository.backend())?;
        let (mut sound, mut lost) = (PackListing::new(), BTreeMap::new());
        // A pack whose table entry cannot be read is simply not deduplicated against: the lookups that would lead to it say so.
        for (id, len) in index.packs().flatten() {
            match listed.get(&id) {
                Some(there) if *there == len => drop(sound.insert(id, len)),
                there => drop(lost.insert(id, loss(there.copied(), len))),
            }
        }
        let distrusted = Arc::new(Distrusted::by(facts).and_lost(lost.keys().copied().collect()));
        if !lost.is_empty() {
            forgive_discarded(repository.backend(), &mut lost)?;
        }
        Ok(Self {
            index: Arc::new(index),
            own: RwLock::default(),
            sound: RwLock::new(sound),
            distrusted,
            lost,
            relied_upon: Mutex::default(),
            met: Mutex::default(),
            replaced: AtomicBool::new(false),
        })
    }

    /// True when the blob is stored at a place that may be relied upon.
    pub(super) fn has(&self, blob_type: BlobType, id: &BlobId) -> bool {
        self.find(blob_type, id).is_some()
    }

    /// The place that is relied upon from now on.
    pub(super) fn find(&self, blob_type: BlobType, id: &BlobId) -> Option<Place> {
        let own = self.own.read().unwrap_or_else(PoisonError::into_inner);
        let mut found = self.index.lookup(blob_type, id);
        let of_own = lookup(&own, blob_type, id);
        found.places.extend(of_own.places);
        found.damage.extend(of_own.damage);
        let sound = self.sound.read().unwrap_or_else(PoisonError::into_inner);
        let usable =
            |place: &&Place| sound.contains_key(&place.pack) && !self.distrusted.contains(place);
        let Some(place) = found.places.iter().find(usable) else {
            if !found.places.is_empty() {
                self.replaced.store(true, Ordering::Relaxed);
            }
            self.meet(found);
            return None;
        };
        self.relied_upon.lock().unwrap_or_else(PoisonError::into_inner).insert(place.pack);
        Some(*place)
    }

    /// True when a blob had to be stored again although the index lists it.
    pub(super) fn has_replaced(&self) -> bool {
        self.replaced.load(Ordering::Relaxed)
    }

    /// Remembers why a blob that the index lists, or may list, has to be stored again. A pack that is lost is said only as long as
    /// something in it is missed: what was stored again since is not.
    fn meet(&self, found: Lookup) {
        let lost = |place: &Place| {
            let reason = self.lost.get(&place.pack)?.clone();
            Some(Damage::Object { object: layout::pack(&place.pack).to_string(), reason })
        };
        let damage: Vec<_> = found.places.iter().filter_map(lost).chain(found.damage).collect();
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        for damage in damage {
            if !met.contains(&damage) {
                met.push(damage);
            }
        }
    }

    /// Damage for which blobs were stored again; each is returned once.
    pub(super) fn take_damage(&self) -> Vec<Damage> {
        std::mem::take(&mut *self.met.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes in what the session itself has made durable.
    pub(super) fn absorb(&self, segments: Vec<Segment>, packs: &[(PackId, u64)]) {
        self.own.write().unwrap_or_else(PoisonError::into_inner).extend(segments);
        self.sound.write().unwrap_or_else(PoisonError::into_inner).extend(packs.iter().copied());
        self.relied_upon
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .extend(packs.iter().map(|(pack, _)| *pack));
    }

    /// Looks once more for all that was relied upon: every pack with its length, and every place in a segment. What is gone or changed
    /// would leave the snapshot with a hole.
    pub(super) fn confirm(&self, repository: &Repository) -> Result<()> {
        self.confirm_packs(repository.backend())?;
        self.confirm_places(repository)
    }

    /// A segment that is gone was merged into another: whatever it listed must be listed still.
    fn confirm_places(&self, repository: &Repository) -> Result<()> {
        let (backend, own) =
            (repository.backend(), self.own.read().unwrap_or_else(PoisonError::into_inner));
        let listed: BTreeSet<SegmentId> =
            layout::ids(&backend.list(layout::INDEX)?).map(|(id, _)| id).collect();
        let relied_upon = self.index.segments().iter().chain(own.iter());
        let mut gone = relied_upon.filter(|segment| !listed.contains(&segment.id)).peekable();
        if gone.peek().is_none() {
            return Ok(());
        }
        let now = Index::load(backend, repository.keys())?;
        match gone.find(|segment| !is_covered(segment, &now)) {
            None => Ok(()),
            Some(segment) => {
                let reason = "is gone since this backup began, and no other lists what it did";
                Err(segment_damage(&segment.id, reason.to_owned()).into())
            }
        }
    }

    fn confirm_packs(&self, backend: &dyn Backend) -> Result<()> {
        let listed = list_packs(backend)?;
        let sound = self.sound.read().unwrap_or_else(PoisonError::into_inner);
        let relied_upon = self.relied_upon.lock().unwrap_or_else(PoisonError::into_inner);
        match relied_upon.iter().find(|pack| listed.get(pack) != sound.get(pack)) {
            None => Ok(()),
            Some(pack) => Err(Damage::Object {
                object: layout::pack(pack).to_string(),
                reason: "was there when this backup began, and is gone or changed now".into(),
            }
            .into()),
        }
    }
}

/// True when other segments list every place that can be read in this one.
fn is_covered(segment: &Segment, index: &Index) -> bool {
    let lists = |other: &Segment, key: &BlobKey, place: &Place| {
        let numbers = other.view.find(key).unwrap_or_default();
        numbers.filter_map(|number| other.view.entry(number).ok()).any(|(_, at)| at == *place)
    };
    segment
        .view
        .iter()
        .flatten()
        .all(|(key, place)| index.segments().iter().any(|other| lists(other, &key, &place)))
}

/// A prune that was cut off between its packs and its segments has left segments that name packs in the trash: nobody has lost those.
fn forgive_discarded(backend: &dyn Backend, lost: &mut BTreeMap<PackId, String>) -> Result<()> {
    for (id, _) in discarded(backend)?.iter().flat_map(|discarded| &discarded.packs) {
        lost.remove(id);
    }
    Ok(())
}

/// What has become of a pack that had `len` bytes.
fn loss(there: Option<u64>, len: u64) -> String {
    match there {
        None => "is missing".to_owned(),
        Some(there) => format!("has {there} bytes, not the {len} that it was written with"),
    }
}

fn list_packs(backend: &dyn Backend) -> Result<PackListing> {
    Ok(layout::ids::<PackId>(&backend.list(layout::PACKS)?)
        .map(|(id, info)| (id, info.len))
        .collect())
}
