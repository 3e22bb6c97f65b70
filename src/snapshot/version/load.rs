//! Reading a version record, and what must hold beyond its own rules.

use crate::codec::content::ChunkRef;
use crate::codec::version::VersionRecord;
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobRead;
use crate::repo::error::{RepoError, Result};
use crate::snapshot::structure::{damaged, load};

/// The record, which must be of a database of `len_bytes`, where that is known.
pub fn load_version(
    blobs: &dyn BlobRead,
    id: &BlobId,
    len_bytes: Option<u64>,
) -> Result<VersionRecord> {
    let record: VersionRecord = load(blobs, BlobType::VersionRecord, id)?;
    match len_bytes {
        Some(len) if len != record.len_bytes() => {
            let reason = format!("of {} bytes where a file has {len}", record.len_bytes());
            Err(refused(id, reason))
        }
        _ => Ok(record),
    }
}

/// The list of the base's chunks, with the bytes that it must stand for.
pub fn base_list(record: &VersionRecord) -> ChunkRef {
    let len = u64::from(record.base.page_count) * u64::from(record.page_size);
    ChunkRef { id: record.base.list, len }
}

/// Pages of the database that the first `layers` layers make.
pub(super) fn page_count_with(record: &VersionRecord, layers: usize) -> u32 {
    let top = layers.checked_sub(1).and_then(|top| record.layers.get(top));
    top.map_or(record.base.page_count, |layer| layer.page_count)
}

/// A record whose parts do not make what it says.
pub(super) fn refused(id: &BlobId, reason: impl Into<String>) -> RepoError {
    damaged(BlobType::VersionRecord, id, reason)
}
