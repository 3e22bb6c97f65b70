//! Where the bytes of files come from.

use std::fs::File;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use crate::codec::content::{ChunkRef, Content};
use crate::codec::index::Place;
use crate::id::BlobType;
use crate::repo::blobs::BlobRead;
use crate::repo::error::{Damage, RepoError};
use crate::snapshot::version::decode::{MakeError, Watch};
use crate::snapshot::version::read::make_database;

/// Gives the bytes of a file's content, proved, from any thread.
pub trait FileContents: Sync {
    /// Where reading it begins in the repository, for restoring in the order of the storage.
    fn place(&self, content: &Content) -> Option<Place>;

    /// Hands over the bytes in order, piece by piece, until `take` breaks off.
    fn pieces(
        &self,
        content: &Content,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), RepoError>;

    /// Makes a content that is no sequence of pieces in an empty file, open for reading and writing, and proves it there. False,
    /// and nothing done, when it is one.
    fn make(&self, content: &Content, file: &File, watch: Watch<'_>) -> Result<bool, MakeError>;
}

/// Contents that are sequences of chunks, which `chunks` enumerates, or versions of databases.
pub struct Chunked<'a, F> {
    blobs: &'a dyn BlobRead,
    chunks: F,
    /// Held by whoever makes a database: making one takes tens of MiB, and all threads.
    making: Mutex<()>,
}

impl<'a, F, I> Chunked<'a, F>
where
    F: Fn(&Content) -> I + Sync,
    I: Iterator<Item = Result<ChunkRef, RepoError>>,
{
    /// Contents in this repository.
    pub fn new(blobs: &'a dyn BlobRead, chunks: F) -> Self {
        Self { blobs, chunks, making: Mutex::new(()) }
    }
}

impl<F, I> FileContents for Chunked<'_, F>
where
    F: Fn(&Content) -> I + Sync,
    I: Iterator<Item = Result<ChunkRef, RepoError>>,
{
    fn place(&self, content: &Content) -> Option<Place> {
        if let Content::Version { record, .. } = content {
            return self.blobs.place(BlobType::VersionRecord, record).ok()?;
        }
        // An error here will be met again, and reported, when the file's turn comes.
        let first = (self.chunks)(content).next()?.ok()?;
        self.blobs.place(BlobType::Data, &first.id).ok()?
    }

    fn pieces(
        &self,
        content: &Content,
        take: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), RepoError> {
        for chunk in (self.chunks)(content) {
            let chunk = chunk?;
            let bytes = self.blobs.get(BlobType::Data, &chunk.id)?;
            if bytes.len() as u64 != chunk.len {
                return Err(RepoError::Damaged(wrong_length(&chunk, bytes.len())));
            }
            if take(&bytes).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn make(&self, content: &Content, file: &File, watch: Watch<'_>) -> Result<bool, MakeError> {
        let Content::Version { record, len } = content else { return Ok(false) };
        let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        make_database(self.blobs, (record, *len), file, watch)?;
        Ok(true)
    }
}

fn wrong_length(chunk: &ChunkRef, found: usize) -> Damage {
    let reason = format!("it has {found} bytes where a file refers to {}", chunk.len);
    Damage::Object { object: format!("chunk {}", chunk.id), reason }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::codec::Durable;
    use crate::codec::version::{Base, VersionRecord};
    use crate::id::BlobId;

    /// Has one version record, and nothing that it names.
    struct OneRecord(Vec<u8>);

    impl BlobRead for OneRecord {
        fn get(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<u8>, RepoError> {
            match blob_type {
                BlobType::VersionRecord => Ok(self.0.clone()),
                _ => Err(RepoError::Damaged(Damage::Unlisted { blob_type, id: *id })),
            }
        }

        fn place(&self, _: BlobType, _: &BlobId) -> Result<Option<Place>, RepoError> {
            Ok(None)
        }
    }

    #[test]
    fn one_database_is_made_at_a_time_and_a_failed_one_lets_the_next_begin() {
        let id = BlobId::from_bytes([1; 32]);
        let base = Base { list: id, page_count: 3 };
        let (root, layers, extensions) = ([0; 32], Vec::new(), Vec::new());
        let record = VersionRecord { page_size: 512, base, layers, root, extensions };
        let blobs = OneRecord(record.encode().unwrap());
        let contents = Chunked::new(&blobs, |_: &Content| std::iter::empty());
        let content = Content::Version { record: id, len: 3 * 512 };
        let file = tempfile::tempfile().unwrap();
        let begun = AtomicU32::new(0);
        for cancel in [true, false] {
            let cancelled = || {
                assert!(contents.making.try_lock().is_err(), "another one could begin");
                begun.fetch_add(1, Ordering::Relaxed);
                cancel
            };
            let watch = Watch { cancelled: &cancelled, advance: &|_| {} };
            assert!(contents.make(&content, &file, watch).is_err());
        }
        assert_eq!(begun.into_inner(), 2);
    }
}
