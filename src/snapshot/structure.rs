//! Structures kept as blobs: reading them, storing them, and naming a damaged one.

use crate::codec::Durable;
use crate::codec::pack::PackClass;
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::{BlobRead, BlobWrite, Compression, NewBlob};
use crate::repo::error::{Damage, RepoError, Result};

/// Reads and decodes a structure. Bytes that do not decode are damage, unless a newer larder wrote them.
pub(super) fn load<T: Durable>(
    blobs: &dyn BlobRead,
    blob_type: BlobType,
    id: &BlobId,
) -> Result<T> {
    let bytes = blobs.get(blob_type, id)?;
    T::decode(&bytes).map_err(|error| {
        if error.is_too_new() {
            RepoError::Unsupported { what: format!("{}: {error}", named(blob_type, id)) }
        } else {
            damaged(blob_type, id, error.to_string())
        }
    })
}

/// Encodes and stores a structure, unless the repository has it.
pub(super) fn store<T: Durable>(
    blobs: &(impl BlobWrite + ?Sized),
    blob_type: BlobType,
    value: &T,
) -> Result<BlobId> {
    let plain = value.encode().map_err(RepoError::Encode)?;
    let blob = NewBlob {
        blob_type,
        class: PackClass::Metadata,
        compression: Compression::Always,
        plain: &plain,
    };
    Ok(blobs.put(blob)?.id)
}

/// The error that says what is wrong with a structure whose bytes have the right id.
pub(super) fn damaged(blob_type: BlobType, id: &BlobId, reason: impl Into<String>) -> RepoError {
    Damage::Object { object: named(blob_type, id), reason: reason.into() }.into()
}

fn named(blob_type: BlobType, id: &BlobId) -> String {
    let name = match blob_type {
        BlobType::Data => "chunk",
        BlobType::PagePatch => "page patch",
        BlobType::VersionRecord => "version record",
        BlobType::ManifestNode => "manifest node",
        BlobType::ContentList => "content list",
    };
    format!("{name} {id}")
}
