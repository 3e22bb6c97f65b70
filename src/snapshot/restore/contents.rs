//! Where the bytes of files come from.

use std::ops::ControlFlow;

use crate::codec::content::{ChunkRef, Content};
use crate::codec::index::Place;
use crate::id::BlobType;
use crate::repo::blobs::BlobRead;
use crate::repo::error::{Damage, RepoError};

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
}

/// Contents that are sequences of chunks, which `chunks` enumerates.
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
}

fn wrong_length(chunk: &ChunkRef, found: usize) -> Damage {
    let reason = format!("it has {found} bytes where a file refers to {}", chunk.len);
    Damage::Object { object: format!("chunk {}", chunk.id), reason }
}
