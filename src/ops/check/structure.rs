//! Whether every blob that the snapshots need has a place that can hold it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::codec::index::Place;
use crate::error::Result;
use crate::id::{BlobId, BlobType, PackId};
use crate::observe::Observer;
use crate::repo::error::Damage;
use crate::repo::layout;
use crate::repo::read::Reader;
use crate::snapshot::reach::{Reach, Reached, Visitor};

/// Blobs that are gone with one damage.
type Blobs = BTreeSet<(BlobType, BlobId)>;

/// Blobs that snapshots need.
pub(super) type Needed = HashSet<(BlobType, BlobId)>;

/// What walking all manifests came to.
pub(super) struct Found {
    /// What is damaged, with the blobs that are gone with it.
    pub(super) damage: Vec<(Damage, Blobs)>,
    /// Every blob that the snapshots need.
    pub(super) needed: Needed,
    /// Part of the index is lost; the packs themselves still give what it listed.
    pub(super) unlisted: Option<Damage>,
    /// Those packs.
    pub(super) unlisted_packs: BTreeSet<PackId>,
}

/// Walks manifests and looks every blob up.
pub(super) struct Structure<'a> {
    reader: &'a Reader<'a>,
    packs: &'a BTreeMap<PackId, u64>,
    damaged_places: BTreeSet<(PackId, u64)>,
    reach: Reach,
    /// Blobs that were looked up.
    known: Needed,
    /// Blobs that no segment lists, and that their packs still give.
    unlisted: u64,
    /// Those packs.
    unlisted_packs: BTreeSet<PackId>,
    damage: Vec<(Damage, Blobs)>,
}

impl<'a> Structure<'a> {
    pub(super) fn new(
        reader: &'a Reader<'a>,
        packs: &'a BTreeMap<PackId, u64>,
        damaged_places: BTreeSet<(PackId, u64)>,
    ) -> Self {
        Self {
            reader,
            packs,
            damaged_places,
            reach: Reach::new(),
            known: HashSet::new(),
            unlisted: 0,
            unlisted_packs: BTreeSet::new(),
            damage: Vec::new(),
        }
    }

    /// Walks what is new in one manifest.
    pub(super) fn snapshot(&mut self, manifest: &BlobId, observer: &dyn Observer) -> Result<()> {
        let mut reach = std::mem::take(&mut self.reach);
        let walked = reach.walk(self.reader, manifest, &mut Lookup { structure: self, observer });
        self.reach = reach;
        Ok(walked?)
    }

    /// What was found.
    pub(super) fn into_findings(self) -> Found {
        let unlisted = (self.unlisted > 0).then(|| {
            let reason = match self.unlisted {
                1 => "1 blob that a snapshot needs is in no segment".to_owned(),
                many => format!("{many} blobs that snapshots need are in no segment"),
            };
            Damage::Object { object: layout::INDEX.into(), reason }
        });
        Found {
            damage: self.damage,
            needed: self.known,
            unlisted,
            unlisted_packs: self.unlisted_packs,
        }
    }

    fn look_up(&mut self, blob: Reached<'_>) {
        let key = (blob.blob_type, blob.id);
        if !self.known.insert(key) {
            return;
        }
        let lookup = self.reader.index().lookup(blob.blob_type, &blob.id);
        if lookup.places.iter().any(|place| self.is_sound(place)) {
            return;
        }
        let salvaged = self.reader.salvaged(blob.blob_type, &blob.id).unwrap_or_default();
        if salvaged.iter().any(|place| self.is_sound(place)) {
            self.unlisted += 1;
            self.unlisted_packs.extend(salvaged.iter().map(|place| place.pack));
            return;
        }
        let damage = match lookup.places.first() {
            None => Damage::Unlisted { blob_type: blob.blob_type, id: blob.id },
            Some(place) => self.lost_with(place),
        };
        self.damage.push((damage, BTreeSet::from([key])));
    }

    fn is_sound(&self, place: &Place) -> bool {
        let end = place.offset.saturating_add(u64::from(place.stored_len));
        let fits = self.packs.get(&place.pack).is_some_and(|len| end <= *len);
        fits && !self.damaged_places.contains(&(place.pack, place.offset))
    }

    /// Why the only place of a blob does not serve.
    fn lost_with(&self, place: &Place) -> Damage {
        let object = layout::pack(&place.pack).to_string();
        match self.packs.get(&place.pack) {
            None => Damage::Object { object, reason: "is missing".into() },
            Some(_) if self.damaged_places.contains(&(place.pack, place.offset)) => {
                Damage::Object {
                    object,
                    reason: format!(
                        "offset {} was found damaged before, and nothing has healed it",
                        place.offset
                    ),
                }
            }
            Some(len) => Damage::Object {
                object,
                reason: format!("ends at byte {len}, before a blob in it does"),
            },
        }
    }
}

struct Lookup<'s, 'a> {
    structure: &'s mut Structure<'a>,
    observer: &'s dyn Observer,
}

impl Visitor for Lookup<'_, '_> {
    fn reached(&mut self, blob: Reached<'_>) {
        self.structure.look_up(blob);
    }

    fn unreadable(&mut self, blob: Reached<'_>, damage: &Damage) {
        self.structure.damage.push((damage.clone(), BTreeSet::from([(blob.blob_type, blob.id)])));
    }

    fn cancelled(&self) -> bool {
        self.observer.cancelled()
    }
}
