//! The waist: all that the layers above know of how blobs are kept.

use crate::codec::index::Place;
use crate::codec::pack::PackClass;
use crate::id::{BlobId, BlobType};
use crate::repo::error::Result;

/// Whether it is worth trying to compress a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// A sample decides.
    Probe,
    /// Known to be worth it (manifests, database pages): no sample.
    Always,
    /// Small, and kept for long: worth three times the time for a twentieth of the bytes.
    Strong,
    /// Known to be compressed already.
    Never,
}

/// A blob to be stored.
#[derive(Debug, Clone, Copy)]
pub struct NewBlob<'a> {
    /// Its type, part of its id.
    pub blob_type: BlobType,
    /// The class of pack that it belongs in.
    pub class: PackClass,
    /// Whether to compress.
    pub compression: Compression,
    /// Its bytes.
    pub plain: &'a [u8],
}

/// What became of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// Its id.
    pub id: BlobId,
    /// Bytes that it takes in a new pack; `None` when the repository had it already.
    pub stored_len: Option<u32>,
}

/// Takes blobs in, from any thread. What was put is durable only once the session's owner commits.
pub trait BlobWrite: Sync {
    /// Stores a blob unless the repository has it. An error poisons the session.
    fn put(&self, blob: NewBlob<'_>) -> Result<Put>;

    /// True when the repository has the blob at a place that may be relied upon. What is answered here is looked for once more before
    /// the commit.
    fn has(&self, blob_type: BlobType, id: &BlobId) -> Result<bool>;

    /// The plaintext of a blob that the repository has, made from its stored bytes as they can be read now; an error when they do
    /// not give it. `None` from one who stores nothing: there is nothing to prove.
    fn read_back(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Vec<u8>>>;
}

/// Gives blobs back, from any thread.
pub trait BlobRead: Sync {
    /// The plaintext, proved by its id. Tries every place before it reports damage.
    fn get(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<u8>>;

    /// Where it would be read from first, for reading in the order of the storage.
    fn place(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Place>>;
}
