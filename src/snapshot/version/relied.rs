//! Reading what a new version will lie on.

use crate::codec::index::Place;
use crate::codec::pack::PackClass;
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::{BlobRead, BlobWrite, Compression, NewBlob};
use crate::repo::error::Result;

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
