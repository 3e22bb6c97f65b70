//! A whole database out of its version.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::id::BlobId;
use crate::repo::blobs::BlobRead;
use crate::snapshot::version::decode::{Decoder, MakeError, Watch};
use crate::snapshot::version::load::{load_version, refused};

/// Bytes of a database that are hashed at once.
const HASH_BYTES: usize = 4 * 1024 * 1024;

/// Makes the database of this version, `len_bytes` long, in an empty file that is open for reading and writing.
///
/// What the file then holds was read back and has the version's root; after an error it is worth nothing.
pub fn make_database(
    blobs: &dyn BlobRead,
    (id, len_bytes): (&BlobId, u64),
    file: &File,
    watch: Watch<'_>,
) -> Result<(), MakeError> {
    let record = load_version(blobs, id, Some(len_bytes))?;
    // Said no more than the database has, whatever the base is longer.
    let left = AtomicU64::new(len_bytes);
    let take = |bytes: u64| {
        let take = |left: u64| Some(left.saturating_sub(bytes));
        let before = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        (watch.advance)(before.unwrap_or_default().min(bytes));
    };
    let watch_base = Watch { advance: &take, ..watch };
    let decoder = Decoder { blobs, id, record: &record, file, watch: watch_base };
    decoder.decode(record.layers.len()).map_err(|failed| *failed.error)?;
    take(u64::MAX);
    file.set_len(len_bytes)?;
    if root_of(file, len_bytes)? == record.root {
        return Ok(());
    }
    Err(refused(id, "what its base and layers make does not have its root").into())
}

/// BLAKE3 of the first bytes of a file, as they are read back from it.
fn root_of(file: &File, len_bytes: u64) -> std::io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; HASH_BYTES];
    let mut at = 0;
    while at < len_bytes {
        let len = usize::try_from(len_bytes - at).map_or(HASH_BYTES, |len| len.min(HASH_BYTES));
        let window = buffer.get_mut(..len).unwrap_or_default();
        file.read_exact_at(window, at)?;
        hasher.update_rayon(window);
        at += len as u64;
    }
    Ok(*hasher.finalize().as_bytes())
}
