//! What a file contains: chunks inline, or a tree of lists of them.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::{Extension, Kind};
use crate::id::BlobId;

/// One chunk of a file, or one list of chunks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChunkRef {
    /// The blob.
    pub id: BlobId,
    /// Bytes of the file that it stands for.
    pub len: u64,
}

/// The bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// At most [`MAX_INLINE`] chunks, in order.
    Inline(Vec<ChunkRef>),
    /// A tree of [`ContentList`] blobs.
    List {
        /// The list at the top.
        root: BlobId,
        /// Bytes of the file.
        len: u64,
    },
}

/// The most chunks that a manifest entry holds itself.
pub const MAX_INLINE: usize = 64;

/// The most references in one list.
pub const MAX_LIST: usize = 2048;

/// A blob of references. Level 0 names chunks, level n names lists of level n - 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContentList {
    /// Height above the chunks.
    pub level: u8,
    /// In the order of the file, 1 to [`MAX_LIST`] of them.
    pub items: Vec<ChunkRef>,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

durable!(ContentList, Kind::ContentList);

impl Rules for ContentList {
    fn broken_rule(&self) -> Option<&'static str> {
        None
    }

    fn extensions(&self) -> &[Extension] {
        &self.extensions
    }
}
