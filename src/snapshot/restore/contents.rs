//! Where the bytes of files come from.

use std::fs::File;
use std::ops::ControlFlow;

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
}

impl<'a, F, I> Chunked<'a, F>
where
    F: Fn(&Content) -> I + Sync,
    I: Iterator<Item = Result<ChunkRef, RepoError>>,
{
    /// Contents in this repository.
    pub fn new(blobs: &'a dyn BlobRead, chunks: F) -> Self {
        Self { blobs, chunks }
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
        make_database(self.blobs, (record, *len), file, watch)?;
        Ok(true)
    }
}

fn wrong_length(chunk: &ChunkRef, found: usize) -> Damage {
    let reason = format!("it has {found} bytes where a file refers to {}", chunk.len);
    Damage::Object { object: format!("chunk {}", chunk.id), reason }
}
