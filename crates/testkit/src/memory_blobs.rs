//! Blobs in memory: the waist between snapshots and packs, without packs.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::codec::index::Place;
use larder::codec::pack::Encoding;
use larder::id::{BlobId, BlobType, HashKeys, PackId, RepositoryId};
use larder::repo::blobs::{BlobRead, BlobWrite, NewBlob, Put};
use larder::repo::error::{Damage, RepoError, Result};

/// Keeps blobs by type and id; counts what is asked of it.
pub struct MemoryBlobs {
    keys: HashKeys,
    blobs: Mutex<HashMap<(BlobType, BlobId), Vec<u8>>>,
    reads: AtomicU64,
    stored: AtomicU64,
}

impl Default for MemoryBlobs {
    fn default() -> Self {
        Self {
            keys: HashKeys::of_repository(&RepositoryId::from_bytes([1; 32])),
            blobs: Mutex::default(),
            reads: AtomicU64::new(0),
            stored: AtomicU64::new(0),
        }
    }
}

impl MemoryBlobs {
    /// Blobs read so far.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Blobs stored so far that were not there before.
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Every blob of a type, and its length in bytes.
    pub fn lengths(&self, blob_type: BlobType) -> Vec<(BlobId, usize)> {
        let blobs = self.blobs();
        let of_type = blobs.iter().filter(|((of, _), _)| *of == blob_type);
        of_type.map(|((_, id), plain)| (*id, plain.len())).collect()
    }

    /// Loses a blob; true if it was there.
    pub fn lose(&self, blob_type: BlobType, id: BlobId) -> bool {
        self.blobs().remove(&(blob_type, id)).is_some()
    }

    fn blobs(&self) -> std::sync::MutexGuard<'_, HashMap<(BlobType, BlobId), Vec<u8>>> {
        self.blobs.lock().expect("invariant: nobody panics while holding the blobs")
    }
}

impl BlobWrite for MemoryBlobs {
    fn put(&self, blob: NewBlob<'_>) -> Result<Put> {
        let id = self.keys.blob_id(blob.blob_type, blob.plain);
        let before = self.blobs().insert((blob.blob_type, id), blob.plain.to_vec());
        if before.is_some() {
            return Ok(Put { id, stored_len: None });
        }
        self.stored.fetch_add(1, Ordering::Relaxed);
        Ok(Put { id, stored_len: u32::try_from(blob.plain.len()).ok() })
    }

    fn has(&self, blob_type: BlobType, id: &BlobId) -> Result<bool> {
        Ok(self.blobs().contains_key(&(blob_type, *id)))
    }

    fn read_back(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Vec<u8>>> {
        let found = self.blobs().get(&(blob_type, *id)).cloned();
        found.map(Some).ok_or(RepoError::Damaged(Damage::Unlisted { blob_type, id: *id }))
    }
}

impl BlobRead for MemoryBlobs {
    fn get(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<u8>> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let found = self.blobs().get(&(blob_type, *id)).cloned();
        found.ok_or(RepoError::Damaged(Damage::Unlisted { blob_type, id: *id }))
    }

    fn place(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Place>> {
        let len = self.blobs().get(&(blob_type, *id)).map(Vec::len);
        let Some(len) = len.and_then(|len| u32::try_from(len).ok()) else { return Ok(None) };
        let pack = PackId::from_bytes([0; 32]);
        let encoding = Encoding::Raw;
        Ok(Some(Place { pack, offset: 0, stored_len: len, plain_len: len, blob_type, encoding }))
    }
}
