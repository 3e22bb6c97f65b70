//! The index of last resort: every pack's own directory.

use std::collections::HashMap;

use crate::codec::index::Place;
use crate::id::{BlobId, BlobType, HashKeys, PackId, RepositoryId};
use crate::repo::backend::Backend;
use crate::repo::error::{RepoError, Result};
use crate::repo::layout;
use crate::repo::pack::read::directory;

/// Blob to places, from every pack whose directory can be read. A pack that cannot be read contributes nothing;
/// check reports it.
pub struct Salvage {
    places: HashMap<(BlobType, BlobId), Vec<Place>>,
}

impl Salvage {
    /// Reads the directory of every listed pack.
    pub fn read(backend: &dyn Backend, keys: &HashKeys, repository: &RepositoryId) -> Result<Self> {
        let mut places: HashMap<_, Vec<Place>> = HashMap::new();
        for (pack, info) in layout::ids::<PackId>(&backend.list(layout::PACKS)?) {
            match directory(backend, keys, repository, (&pack, info.len)) {
                Ok(found) => {
                    for entry in found.entries {
                        places
                            .entry((entry.blob_type, entry.id))
                            .or_default()
                            .push(Place::of_entry(pack, &entry));
                    }
                }
                Err(RepoError::Damaged(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Self { places })
    }

    /// The places of a blob.
    pub fn places(&self, blob_type: BlobType, id: &BlobId) -> Vec<Place> {
        self.places.get(&(blob_type, *id)).cloned().unwrap_or_default()
    }
}
