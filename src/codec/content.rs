//! What a file contains: chunks inline, a tree of lists of them, or a version of a database.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::pack::MAX_BLOB_BYTES;
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
    /// A version of a database: base and patches.
    Version {
        /// The [`VersionRecord`](crate::codec::version::VersionRecord) blob.
        record: BlobId,
        /// Bytes of the database.
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

/// The most levels of lists above the one that names chunks.
pub const MAX_LIST_LEVEL: u8 = 8;

impl ChunkRef {
    /// What is impossible about a chunk, if something is. A list stands for any number of bytes, a chunk for one blob's.
    fn chunk_fault(&self) -> Option<&'static str> {
        let sound = (1..=u64::from(MAX_BLOB_BYTES)).contains(&self.len);
        (!sound).then_some("a chunk of an impossible length")
    }
}

fn sum(items: &[ChunkRef]) -> Option<u64> {
    items.iter().try_fold(0_u64, |sum, item| sum.checked_add(item.len))
}

impl Content {
    /// Bytes that it stands for; `None` above `u64::MAX`.
    pub fn len_bytes(&self) -> Option<u64> {
        match self {
            Self::Inline(chunks) => sum(chunks),
            Self::List { len, .. } | Self::Version { len, .. } => Some(*len),
        }
    }

    /// The rule that it breaks, if it does.
    pub(super) fn broken_rule(&self) -> Option<&'static str> {
        match self {
            Self::Inline(chunks) if chunks.len() > MAX_INLINE => {
                Some("more chunks inline than an entry may hold")
            }
            Self::Inline(chunks) => chunks.iter().find_map(ChunkRef::chunk_fault),
            Self::List { len, .. } => (*len == 0).then_some("a list of nothing"),
            Self::Version { len, .. } => (*len == 0).then_some("a version of nothing"),
        }
    }
}

impl ContentList {
    /// Bytes of the file that it stands for; `None` above `u64::MAX`.
    pub fn len_bytes(&self) -> Option<u64> {
        sum(&self.items)
    }
}

impl Rules for ContentList {
    fn broken_rule(&self) -> Option<&'static str> {
        if self.level > MAX_LIST_LEVEL {
            return Some("a list at an impossible level");
        }
        if !(1..=MAX_LIST).contains(&self.items.len()) {
            return Some("a list of nothing, or of more than it may hold");
        }
        if self.items.iter().any(|item| item.len == 0) || self.len_bytes().is_none() {
            return Some("items of an impossible length");
        }
        if self.level > 0 { None } else { self.items.iter().find_map(ChunkRef::chunk_fault) }
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        std::iter::once(self.extensions.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Durable;

    fn list(level: u8, lens: &[u64]) -> ContentList {
        let items = lens
            .iter()
            .map(|len| ChunkRef { id: BlobId::from_bytes([1; 32]), len: *len })
            .collect();
        ContentList { level, items, extensions: Vec::new() }
    }

    #[test]
    fn lists_within_the_limits_round_trip() {
        for sound in [
            list(0, &[1]),
            list(0, &vec![1 << 24; MAX_LIST]),
            list(1, &[1 << 40, 1]),
            list(MAX_LIST_LEVEL, &[u64::MAX]),
        ] {
            assert_eq!(ContentList::decode(&sound.encode().unwrap()), Ok(sound));
        }
    }

    #[test]
    fn lists_beyond_the_limits_are_refused() {
        for bad in [
            list(0, &[]),
            list(0, &[0]),
            list(0, &[(1 << 24) + 1]),
            list(0, &vec![1; MAX_LIST + 1]),
            list(1, &[5, 0]),
            list(1, &[u64::MAX, 1]),
            list(MAX_LIST_LEVEL + 1, &[1]),
        ] {
            assert!(bad.encode().is_err(), "level {}, {} items", bad.level, bad.items.len());
        }
    }
}
