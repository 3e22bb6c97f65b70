//! Giving blobs back: every place is tried, every byte is proved.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use crate::codec::index::Place;
use crate::id::{BlobId, BlobType, PackId};
use crate::repo::blobs::BlobRead;
use crate::repo::compress::decompress;
use crate::repo::distrust::Distrusted;
use crate::repo::error::{Damage, Result};
use crate::repo::facts::Facts;
use crate::repo::index::Index;
use crate::repo::layout;
use crate::repo::prune::trash::discarded;
use crate::repo::repository::Repository;

/// Reads blobs of one repository, as its index was when this was made.
pub struct Reader<'r> {
    repository: &'r Repository,
    index: Arc<Index>,
    distrusted: Arc<Distrusted>,
    found: Mutex<Vec<Damage>>,
    unserved: Mutex<Vec<Damage>>,
    /// Packs in the trash, as they were when that was first asked.
    removed: OnceLock<BTreeSet<PackId>>,
}

impl<'r> Reader<'r> {
    /// Maps the index. Places that facts call damaged are tried last.
    pub fn open(repository: &'r Repository, facts: &Facts) -> Result<Self> {
        let index = Index::load(repository.backend(), repository.keys())?;
        Ok(Self::over(repository, Arc::new(index), Arc::new(Distrusted::by(facts))))
    }

    /// Reads through an index that is loaded; what turns out bad is distrusted by all who share the second.
    pub(super) fn over(
        repository: &'r Repository,
        index: Arc<Index>,
        distrusted: Arc<Distrusted>,
    ) -> Self {
        let found = Mutex::new(index.unreadable().to_vec());
        let (unserved, removed) = (Mutex::default(), OnceLock::new());
        Self { repository, index, distrusted, found, unserved, removed }
    }

    /// The index that is read through.
    pub fn index(&self) -> &Index {
        &self.index
    }

    /// Places that the packs' own directories give, for blobs that no segment lists.
    pub fn salvaged(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<Place>> {
        let (backend, keys) = (self.repository.backend(), self.repository.keys());
        self.index.salvaged(backend, keys, self.repository.id(), (blob_type, id))
    }

    /// Reads a blob at one place and proves it; says what is wrong there.
    pub fn prove(&self, place: &Place, id: &BlobId) -> std::result::Result<(), Damage> {
        self.read_place(place, id).map(drop)
    }

    /// Damage that was met and worked around so far; each is returned once.
    pub fn take_damage(&self) -> Vec<Damage> {
        std::mem::take(&mut *self.found.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Damage for which a blob could not be given at all; each is returned once. Its reader was told, too: this is for those who go on
    /// without the blob and must not forget to say so.
    pub fn take_unserved(&self) -> Vec<Damage> {
        std::mem::take(&mut *self.unserved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A prune that was cut off between its packs and its segments has left places in packs that it moved to the trash. They are no
    /// damage to whoever has found the blob elsewhere.
    fn was_removed(&self, damage: &Damage) -> bool {
        let Damage::Blob { pack, .. } = damage else { return false };
        let packs = self.removed.get_or_init(|| {
            let trash = discarded(self.repository.backend()).unwrap_or_default();
            trash.iter().flat_map(|it| &it.packs).map(|(id, _)| *id).collect()
        });
        packs.contains(pack)
    }

    fn note(&self, damage: Damage) {
        note_in(&self.found, damage);
    }

    /// Listed places, trusted ones first.
    fn listed(&self, blob_type: BlobType, id: &BlobId) -> Vec<Place> {
        let lookup = self.index.lookup(blob_type, id);
        for damage in lookup.damage {
            self.note(damage);
        }
        let mut places = lookup.places;
        places.sort_by_key(|place| self.distrusted.contains(place));
        places
    }

    /// The plaintext at one place; read a second time before the place is given up, because a bad read may pass.
    fn read_place(&self, place: &Place, id: &BlobId) -> std::result::Result<Vec<u8>, Damage> {
        self.try_place(place, id).or_else(|_| self.try_place(place, id)).map_err(|reason| {
            Damage::Blob {
                blob_type: place.blob_type,
                id: *id,
                pack: place.pack,
                offset: place.offset,
                reason,
            }
        })
    }

    fn try_place(&self, place: &Place, id: &BlobId) -> std::result::Result<Vec<u8>, String> {
        let key = layout::pack(&place.pack);
        let stored = self
            .repository
            .backend()
            .get_range(&key, place.offset, place.stored_len as usize)
            .map_err(|error| error.to_string())?;
        let plain = decompress(&stored, place.encoding, place.plain_len as usize)
            .ok_or_else(|| "the stored bytes cannot be decoded".to_owned())?;
        if self.repository.keys().blob_id(place.blob_type, &plain) == *id {
            Ok(plain)
        } else {
            Err("the bytes do not have the blob's id".to_owned())
        }
    }

    /// Tries places in turn; what fails is noted when another one serves.
    fn first_sound(
        &self,
        places: &[Place],
        id: &BlobId,
        failed: &mut Vec<Damage>,
    ) -> Option<Vec<u8>> {
        for place in places {
            match self.read_place(place, id) {
                Ok(plain) => return Some(plain),
                Err(damage) => {
                    self.distrusted.meet(place);
                    failed.push(damage);
                }
            }
        }
        None
    }
}

impl BlobRead for Reader<'_> {
    fn get(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<u8>> {
        let mut failed = Vec::new();
        let listed = self.listed(blob_type, id);
        let mut plain = self.first_sound(&listed, id, &mut failed);
        if plain.is_none() {
            let mut others = self.salvaged(blob_type, id)?;
            others.retain(|place| !listed.contains(place));
            plain = self.first_sound(&others, id, &mut failed);
            if plain.is_some() && listed.is_empty() {
                failed.push(Damage::Unlisted { blob_type, id: *id });
            }
        }
        if let Some(plain) = plain {
            failed.retain(|damage| !self.was_removed(damage));
            for damage in failed {
                self.note(damage);
            }
            return Ok(plain);
        }
        let last = failed.pop().unwrap_or(Damage::Unlisted { blob_type, id: *id });
        for damage in failed.into_iter().chain([last.clone()]) {
            note_in(&self.unserved, damage);
        }
        Err(last.into())
    }

    fn place(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Place>> {
        Ok(self.listed(blob_type, id).into_iter().next())
    }
}

fn note_in(list: &Mutex<Vec<Damage>>, damage: Damage) {
    let mut list = list.lock().unwrap_or_else(PoisonError::into_inner);
    if !list.contains(&damage) {
        list.push(damage);
    }
}
