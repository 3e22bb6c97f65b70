//! Index segments: hand-laid bytes that are searched where they lie.
//!
//! A segment is read through a memory map, so it is not an envelope but fixed
//! tables. This module knows the layout; `repo::index` maps, verifies and merges.

use crate::codec::pack::Encoding;
use crate::id::{BlobId, BlobType, PackId};

/// Bytes of a blob id that a segment keeps; the whole id stands in the pack's trailer.
pub const KEY_LEN: usize = 16;

/// The unit of verification: every page has its own checksum.
pub const PAGE_LEN: usize = 4096;

/// One place of one blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The pack.
    pub pack: PackId,
    /// Where the payload begins in it.
    pub offset: u64,
    /// Length of the payload.
    pub stored_len: u32,
    /// Length of the plaintext.
    pub plain_len: u32,
    /// Type of the blob.
    pub blob_type: BlobType,
    /// How the payload is encoded.
    pub encoding: Encoding,
}

/// The part of a blob id by which a segment is sorted.
pub fn key_of(id: &BlobId) -> [u8; KEY_LEN] {
    std::array::from_fn(|index| id.as_bytes()[index])
}
