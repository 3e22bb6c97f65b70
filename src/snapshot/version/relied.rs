//! Reading what a new version will lie on.

use crate::codec::index::Place;
use crate::codec::pack::PackClass;
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::{BlobRead, BlobWrite, Compression, NewBlob, Put};
use crate::repo::error::{RepoError, Result};

/// Reads blobs, and sees to it that the session may name them: what can be read, but only at places that are not relied upon, is
/// stored again.
pub(super) struct Relied<'a> {
    pub(super) read: &'a dyn BlobRead,
    pub(super) write: &'a dyn BlobWrite,
}

impl BlobRead for Relied<'_> {
    fn get(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<u8>> {
        let plain = self.read.get(blob_type, id)?;
        if !self.write.has(blob_type, id)? {
            let (class, compression) = match blob_type {
                BlobType::Data => (PackClass::BaseGroups, Compression::Always),
                BlobType::PagePatch => (PackClass::Metadata, Compression::Strong),
                _ => (PackClass::Metadata, Compression::Always),
            };
            self.write.put(NewBlob { blob_type, class, compression, plain: &plain })?;
        }
        Ok(plain)
    }

    fn place(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Place>> {
        self.read.place(blob_type, id)
    }
}

/// Stores blobs, and reads those that the repository says to have: what cannot be read is stored again. For a base that takes the
/// place of one with damage, most of whose chunks may be as rotten as the first that was met.
pub(super) struct Reread<'a> {
    pub(super) read: &'a dyn BlobRead,
    pub(super) write: &'a dyn BlobWrite,
}

impl BlobWrite for Reread<'_> {
    fn put(&self, blob: NewBlob<'_>) -> Result<Put> {
        let put = self.write.put(blob)?;
        // Without a place it is of this session, and was proved when it was stored.
        if put.stored_len.is_some() || self.read.place(blob.blob_type, &put.id)?.is_none() {
            return Ok(put);
        }
        match self.read.get(blob.blob_type, &put.id) {
            // A place that failed is distrusted from now on, so it is stored unless another one can be relied upon.
            Ok(_) | Err(RepoError::Damaged(_)) => self.write.put(blob),
            Err(error) => Err(error),
        }
    }

    fn has(&self, blob_type: BlobType, id: &BlobId) -> Result<bool> {
        self.write.has(blob_type, id)
    }

    fn read_back(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Vec<u8>>> {
        self.write.read_back(blob_type, id)
    }
}
