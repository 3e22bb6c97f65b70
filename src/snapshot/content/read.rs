//! Reading the content of a file: its chunks in order, or a part of its bytes.

use std::ops::Range;
use std::vec;

use crate::codec::content::{ChunkRef, Content, ContentList};
use crate::id::BlobType;
use crate::repo::blobs::BlobRead;
use crate::repo::error::{RepoError, Result};
use crate::snapshot::structure::{damaged, load};

/// A chunk and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlacedChunk {
    /// Where its first byte is in the content.
    pub offset: u64,
    /// The chunk.
    pub chunk: ChunkRef,
}

/// The chunks of a file's content, in order. A version of a database has none: that is an error.
pub fn chunks<'b>(content: &Content, blobs: &'b dyn BlobRead) -> Chunks<'b> {
    Chunks::of(content, blobs, 0)
}

/// The bytes of a chunk, which must be as many as the reference says.
pub fn read_chunk(blobs: &dyn BlobRead, chunk: &ChunkRef) -> Result<Vec<u8>> {
    let bytes = blobs.get(BlobType::Data, &chunk.id)?;
    if bytes.len() as u64 == chunk.len {
        return Ok(bytes);
    }
    let reason = format!("{} bytes where a file needs {}", bytes.len(), chunk.len);
    Err(damaged(BlobType::Data, &chunk.id, reason))
}

/// The bytes of a part of the content, chunk by chunk. Past the end there are none.
pub fn read_range<'b>(
    content: &Content,
    range: Range<u64>,
    blobs: &'b dyn BlobRead,
) -> RangeBytes<'b> {
    RangeBytes { chunks: Chunks::of(content, blobs, range.start), range, blobs }
}

/// A list below another one, or the one at the top: what is said of it.
#[derive(Debug, Clone, Copy)]
pub(in crate::snapshot) struct ListPromise {
    pub(in crate::snapshot) item: ChunkRef,
    /// `None` at the top.
    pub(in crate::snapshot) level: Option<u8>,
}

/// Reads a list and checks it against what is said of it.
pub(in crate::snapshot) fn load_list(
    blobs: &dyn BlobRead,
    promise: ListPromise,
) -> Result<ContentList> {
    let id = &promise.item.id;
    let list = load::<ContentList>(blobs, BlobType::ContentList, id)?;
    match broken_promise(&list, promise) {
        Some(reason) => Err(damaged(BlobType::ContentList, id, reason)),
        None => Ok(list),
    }
}

/// What must hold within a list is the codec's; in particular no item is empty, so that a file's length bounds what
/// a hostile tree can make a reader do.
fn broken_promise(list: &ContentList, promise: ListPromise) -> Option<String> {
    if promise.level.is_some_and(|level| level != list.level) {
        return Some(format!("level {} does not belong here", list.level));
    }
    if list.len_bytes() != Some(promise.item.len) {
        return Some(format!("items do not add up to {} bytes", promise.item.len));
    }
    None
}

/// What the items of a list are.
#[derive(Debug, Clone, Copy)]
enum Items {
    Chunks,
    /// Lists of this level, which is not known of the one at the top.
    Lists(Option<u8>),
    /// None: a version is not a sequence of chunks.
    Version,
}

struct Level {
    items: vec::IntoIter<ChunkRef>,
    kind: Items,
}

/// See [`chunks`]. Ends after an error. Memory: one list a level.
pub struct Chunks<'b> {
    blobs: &'b dyn BlobRead,
    levels: Vec<Level>,
    /// Where the next item begins.
    offset: u64,
    /// Items that end at or before this offset are passed over.
    from: u64,
}

impl<'b> Chunks<'b> {
    fn of(content: &Content, blobs: &'b dyn BlobRead, from: u64) -> Self {
        let (items, kind) = match content {
            Content::Inline(chunks) => (chunks.clone(), Items::Chunks),
            // Whoever asks forgot to ask what it is: an error is better than an empty file.
            Content::Version { record, len } => {
                (vec![ChunkRef { id: *record, len: *len }], Items::Version)
            }
            Content::List { root, len } => {
                (vec![ChunkRef { id: *root, len: *len }], Items::Lists(None))
            }
        };
        Self { blobs, levels: vec![Level { items: items.into_iter(), kind }], offset: 0, from }
    }

    fn advance(&mut self) -> Result<Option<PlacedChunk>> {
        while let Some(level) = self.levels.last_mut() {
            let kind = level.kind;
            let Some(item) = level.items.next() else {
                self.levels.pop();
                continue;
            };
            let offset = self.offset;
            let end = offset.saturating_add(item.len);
            if end <= self.from {
                self.offset = end;
                continue;
            }
            match kind {
                Items::Chunks => {
                    self.offset = end;
                    return Ok(Some(PlacedChunk { offset, chunk: item }));
                }
                Items::Version => {
                    let what = format!("the database version {} has no chunks of its own", item.id);
                    return Err(RepoError::Unsupported { what });
                }
                Items::Lists(level) => self.descend(ListPromise { item, level })?,
            }
        }
        Ok(None)
    }

    fn descend(&mut self, promise: ListPromise) -> Result<()> {
        let list = load_list(self.blobs, promise)?;
        let kind = match list.level.checked_sub(1) {
            None => Items::Chunks,
            below => Items::Lists(below),
        };
        self.levels.push(Level { items: list.items.into_iter(), kind });
        Ok(())
    }
}

impl Iterator for Chunks<'_> {
    type Item = Result<PlacedChunk>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance().transpose();
        if !matches!(found, Some(Ok(_))) {
            self.levels.clear();
        }
        found
    }
}

/// See [`read_range`]. Ends after an error. Memory: one list a level, and one chunk.
pub struct RangeBytes<'b> {
    chunks: Chunks<'b>,
    range: Range<u64>,
    blobs: &'b dyn BlobRead,
}

impl RangeBytes<'_> {
    fn part_of(&self, placed: PlacedChunk) -> Result<Vec<u8>> {
        let mut bytes = read_chunk(self.blobs, &placed.chunk)?;
        let within =
            |at: u64| usize::try_from(at.saturating_sub(placed.offset)).unwrap_or(usize::MAX);
        bytes.truncate(within(self.range.end));
        bytes.drain(..within(self.range.start).min(bytes.len()));
        Ok(bytes)
    }
}

impl Iterator for RangeBytes<'_> {
    type Item = Result<Vec<u8>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.range.is_empty() || self.chunks.offset >= self.range.end {
            return None;
        }
        let found = match self.chunks.next()? {
            Ok(placed) => self.part_of(placed),
            Err(error) => Err(error),
        };
        if found.is_err() {
            self.range.end = self.range.start;
        }
        Some(found)
    }
}
