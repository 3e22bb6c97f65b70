//! Manifest nodes: the sorted entries of a snapshot, cut into a tree.
//!
//! Here live what an entry says and the rules within one node. Not here: where
//! nodes are cut, and how they hang together (`snapshot::manifest`).
//!
//! Invariant: a decoded node holds entries in strictly ascending order, every
//! path stays below its root, and every file's content adds up to its size.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use crate::codec::content::Content;
use crate::codec::envelope::durable;
use crate::codec::{ByteString, Extension, Kind};
use crate::id::BlobId;

mod rules;

pub use rules::{MAX_EXTENTS, MAX_NODE_LEVEL, MAX_XATTR_BYTES};

/// Tag of an entry's extension: the BLAKE3 hash of a file's bytes (not keyed, 32 bytes), seen to be the one that a row says.
pub const TAG_BLAKE3: u32 = 1;

/// The same, SHA-256.
pub const TAG_SHA256: u32 = 2;

/// Where an entry stands: the number of its root in the snapshot record, and its path relative to that root.
///
/// The root's own entry has the empty path. Paths are components joined by `/`, none of them empty, `.` or `..`,
/// none longer than 255 bytes, 4,095 bytes in all.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntryKey {
    /// Index into the roots of the snapshot record.
    pub root: u32,
    /// The path, as bytes.
    pub path: ByteString,
}

impl Ord for EntryKey {
    /// Depth first: `/` sorts before every other byte, so a directory's entries follow it at once.
    fn cmp(&self, other: &Self) -> Ordering {
        let rank = |byte: &u8| if *byte == b'/' { 0 } else { u16::from(*byte) + 1 };
        let ours = self.path.iter().map(rank);
        self.root.cmp(&other.root).then_with(|| ours.cmp(other.path.iter().map(rank)))
    }
}

impl PartialOrd for EntryKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A point in time: seconds and nanoseconds since 1970, as the file system gives them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub struct FileTime {
    /// Whole seconds; negative before 1970.
    pub secs: i64,
    /// 0 to 999,999,999.
    pub nanos: u32,
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum EntryKind {
    /// A regular file.
    File(FileEntry),
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points, as bytes.
        target: ByteString,
    },
    /// A named pipe.
    Fifo,
    /// A socket; restored as nothing, listed.
    Socket,
    /// A character device.
    CharDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    BlockDevice {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
}

/// A stretch of a sparse file that holds data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes of it.
    pub len: u64,
}

/// How the bytes of a file were obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Origin {
    /// Read as a file; unchanged while it was read.
    Read,
    /// Read as a file that kept changing: not one state of it.
    Unstable,
    /// A database, captured; its label stands in the snapshot record.
    Database,
}

/// What only a regular file has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Length of the file in bytes, holes included.
    pub size: u64,
    /// Its bytes; of a sparse file, the bytes of its data extents, one after the other.
    pub content: Content,
    /// The data extents of a sparse file, ascending, not touching; `None` when it has no holes.
    pub sparse: Option<Vec<Extent>>,
    /// How the bytes were obtained.
    pub origin: Origin,
    /// When the reading of the bytes began, on the clock of the machine, nanoseconds since 1970.
    /// With `ctime` it decides whether "unchanged" can be trusted (racily new files are read again).
    pub read_at_ns: i64,
}

/// An extended attribute.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Xattr {
    /// Its name, as bytes.
    pub name: ByteString,
    /// Its value.
    pub value: ByteString,
}

/// One file, directory or other thing of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it stands.
    pub key: EntryKey,
    /// What it is.
    pub kind: EntryKind,
    /// Permission bits, set-id and sticky bits (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Last modification.
    pub mtime: FileTime,
    /// Last change of the inode.
    pub ctime: FileTime,
    /// Device of the source file system.
    pub device: u64,
    /// Inode there. With `device` it identifies hard links within one snapshot.
    pub inode: u64,
    /// Names that the inode had.
    pub links: u32,
    /// Extended attributes, sorted by name.
    pub xattrs: Vec<Xattr>,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

/// A subtree of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// The key of its first entry.
    pub first: EntryKey,
    /// Its node.
    pub id: BlobId,
    /// Entries below it.
    pub entries: u64,
    /// Sum of the sizes of the files below it.
    pub bytes: u64,
}

/// A node of a manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NodeBody {
    /// Entries in ascending order of their keys.
    Leaf(Vec<Entry>),
    /// Subtrees in ascending order, at least one; `level` is 1 above leaves.
    Inner {
        /// Height above the leaves.
        level: u8,
        /// The subtrees.
        children: Vec<Child>,
    },
}

/// A node and what later versions added to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// What the node holds.
    pub body: NodeBody,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

durable!(Node, Kind::ManifestNode);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Component by component, which is what "depth first" means.
    fn by_components(one: &[u8], other: &[u8]) -> Ordering {
        let parts = |path: &[u8]| -> Vec<Vec<u8>> {
            if path.is_empty() {
                vec![]
            } else {
                path.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()
            }
        };
        parts(one).cmp(&parts(other))
    }

    fn path() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![Just(b'a'), Just(b'b'), Just(b'-'), Just(b'.'), Just(1), Just(0xff)];
        let component = prop::collection::vec(byte, 1..4);
        prop::collection::vec(component, 0..4).prop_map(|parts| parts.join(&b'/'))
    }

    proptest! {
        #[test]
        fn keys_order_depth_first(one in path(), other in path()) {
            let key = |path: &[u8]| EntryKey { root: 3, path: path.into() };
            prop_assert_eq!(key(&one).cmp(&key(&other)), by_components(&one, &other));
        }
    }

    #[test]
    fn roots_come_first() {
        let key = |root, path: &str| EntryKey { root, path: path.into() };
        assert!(key(0, "z") < key(1, ""));
        assert!(key(1, "") < key(1, "a"));
    }
}
