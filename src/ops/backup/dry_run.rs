//! A sink that stores nothing and counts what would be stored.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::id::{BlobId, BlobType, HashKeys};
use crate::repo::blobs::{BlobRead, BlobWrite, NewBlob, Put};
use crate::repo::compress::compress;
use crate::repo::error::Result;
use crate::repo::read::Reader;
use crate::repo::session::Added;

/// Answers like a session would.
pub(super) struct DryRun<'a> {
    reader: &'a Reader<'a>,
    keys: &'a HashKeys,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: HashSet<(BlobType, BlobId)>,
    added: Added,
}

impl<'a> DryRun<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, keys: &'a HashKeys) -> Self {
        Self { reader, keys, state: Mutex::default() }
    }

    pub(super) fn added(&self) -> Added {
        self.state().added
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BlobWrite for DryRun<'_> {
    fn put(&self, blob: NewBlob<'_>) -> Result<Put> {
        let id = self.keys.blob_id(blob.blob_type, blob.plain);
        if self.has(blob.blob_type, &id)? {
            return Ok(Put { id, stored_len: None });
        }
        let stored_len =
            compress(blob.plain, blob.compression).map_or(blob.plain.len(), |frame| frame.len());
        let mut state = self.state();
        if state.seen.insert((blob.blob_type, id)) {
            state.added.blobs += 1;
            state.added.plain_bytes += blob.plain.len() as u64;
            state.added.stored_bytes += stored_len as u64;
        }
        Ok(Put { id, stored_len: Some(u32::try_from(stored_len).unwrap_or(u32::MAX)) })
    }

    fn has(&self, blob_type: BlobType, id: &BlobId) -> Result<bool> {
        Ok(self.state().seen.contains(&(blob_type, *id))
            || self.reader.place(blob_type, id)?.is_some())
    }

    fn read_back(&self, _: BlobType, _: &BlobId) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }
}
