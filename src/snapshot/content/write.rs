//! Collecting the chunks of a file.

use crate::codec::content::{ChunkRef, Content, ContentList, MAX_INLINE, MAX_LIST};
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobWrite;
use crate::repo::error::Result as RepoResult;
use crate::snapshot::error::{Result, SnapshotError};
use crate::snapshot::structure::store;
use crate::snapshot::tower::{Tier, Tower};

/// A list goes on until it has so many items.
const MIN_LIST: usize = 256;
/// Beyond that it ends after so many items on average.
const SPAN: u32 = 512;

/// Takes the chunks of a file in order. Memory: one open list a level.
pub struct ContentWriter<'a, W: BlobWrite + ?Sized> {
    blobs: &'a W,
    /// The first chunks, as long as they may all stay inline.
    inline: Vec<ChunkRef>,
    lists: Option<Tower<Lists<'a, W>>>,
    len: u64,
}

impl<'a, W: BlobWrite + ?Sized> ContentWriter<'a, W> {
    /// No chunks yet; lists go to `blobs`.
    pub fn new(blobs: &'a W) -> Self {
        Self { blobs, inline: Vec::new(), lists: None, len: 0 }
    }

    /// Adds the next chunk. A chunk of no bytes leaves the content as it is.
    pub fn push(&mut self, chunk: ChunkRef) -> Result<()> {
        if chunk.len == 0 {
            return Ok(());
        }
        self.len = self.len.checked_add(chunk.len).ok_or(SnapshotError::ContentTooLong)?;
        if let Some(lists) = &mut self.lists {
            return Ok(lists.add(chunk)?);
        }
        self.inline.push(chunk);
        if self.inline.len() > MAX_INLINE { self.begin_lists() } else { Ok(()) }
    }

    /// Bytes of the chunks so far.
    pub fn len_bytes(&self) -> u64 {
        self.len
    }

    /// The content of the file.
    pub fn finish(self) -> Result<Content> {
        if let Some(lists) = self.lists
            && let Some(top) = lists.finish()?
        {
            return Ok(Content::List { root: top.id, len: top.len });
        }
        Ok(Content::Inline(self.inline))
    }

    /// The list at the top, also where the chunks are few; nothing without any chunk.
    pub fn finish_as_list(mut self) -> Result<Option<ChunkRef>> {
        if self.lists.is_none() && !self.inline.is_empty() {
            if let [only] = self.inline[..] {
                // A tree of one item has no node of its own.
                return Ok(Some(Lists { blobs: self.blobs }.store(0, vec![only])?));
            }
            self.begin_lists()?;
        }
        match self.lists {
            Some(lists) => Ok(lists.finish()?),
            None => Ok(None),
        }
    }

    fn begin_lists(&mut self) -> Result<()> {
        let mut lists = Tower::new(Lists { blobs: self.blobs });
        for chunk in self.inline.drain(..) {
            lists.add(chunk)?;
        }
        self.lists = Some(lists);
        Ok(())
    }
}

struct Lists<'a, W: BlobWrite + ?Sized> {
    blobs: &'a W,
}

impl<W: BlobWrite + ?Sized> Tier for Lists<'_, W> {
    type Item = ChunkRef;
    /// Items in the open list.
    type Cut = usize;

    fn empty(&self, _level: u8) -> usize {
        0
    }

    fn ends_after(&self, items: &mut usize, item: &ChunkRef) -> bool {
        *items += 1;
        *items >= MAX_LIST || (*items >= MIN_LIST && is_boundary(&item.id))
    }

    fn store(&self, level: u8, items: Vec<ChunkRef>) -> RepoResult<ChunkRef> {
        let list = ContentList { level, items, extensions: Vec::new() };
        let len = list.len_bytes();
        let len = len.expect("invariant: the writer counts all chunks, and refuses to pass 2^64");
        Ok(ChunkRef { id: store(self.blobs, BlobType::ContentList, &list)?, len })
    }
}

/// Ids are hashes already: their first four bytes decide.
fn is_boundary(id: &BlobId) -> bool {
    let [a, b, c, d, ..] = *id.as_bytes();
    u32::from_le_bytes([a, b, c, d]) < u32::MAX / SPAN
}
