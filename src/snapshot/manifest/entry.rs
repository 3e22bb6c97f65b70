//! How large a single entry is. What must hold within one is the codec's.

use crate::codec::content::Content;
use crate::codec::manifest::{Entry, EntryKind};

/// The most bytes that one entry may take in a manifest: with it a leaf stays below the limit of a node.
pub const MAX_ENTRY_BYTES: u64 = 128 * 1024;

const FIXED: u64 = 88;
const FIXED_FILE: u64 = 33;
const CHUNK: u64 = 40;
const LIST: u64 = 32;
const EXTENT: u64 = 16;

/// Bytes that an entry takes in a leaf. `docs/manifest-cutting.md` has the sum: cuts depend on it.
pub(super) fn real_len(entry: &Entry) -> u64 {
    let xattrs = entry.xattrs.iter().map(|x| 16 + len(&x.name) + len(&x.value)).sum::<u64>();
    let extensions = entry.extensions.iter().map(|e| 12 + len(&e.bytes)).sum::<u64>();
    FIXED + len(&entry.key.path) + kind_len(&entry.kind) + xattrs + extensions
}

fn kind_len(kind: &EntryKind) -> u64 {
    match kind {
        EntryKind::File(file) => {
            let extents = file.sparse.as_ref().map_or(0, |extents| 8 + EXTENT * count(extents));
            FIXED_FILE + content_len(&file.content) + extents
        }
        EntryKind::Symlink { target } => 8 + len(target),
        EntryKind::CharDevice { .. } | EntryKind::BlockDevice { .. } => 8,
        EntryKind::Directory | EntryKind::Fifo | EntryKind::Socket => 0,
    }
}

fn content_len(content: &Content) -> u64 {
    match content {
        Content::Inline(chunks) => CHUNK * count(chunks),
        Content::List { .. } | Content::Version { .. } => LIST,
    }
}

fn len(bytes: &[u8]) -> u64 {
    bytes.len() as u64
}

fn count<T>(items: &[T]) -> u64 {
    items.len() as u64
}

/// Sum of the sizes of the files. Saturates: sparse files may add up to more than 2^64.
pub(super) fn total_bytes(entries: &[Entry]) -> u64 {
    entries.iter().map(file_bytes).fold(0, u64::saturating_add)
}

fn file_bytes(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::File(file) => file.size,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::content::ChunkRef;
    use crate::codec::manifest::{
        EntryKey, Extent, FileEntry, FileTime, Node, NodeBody, Origin, Xattr,
    };
    use crate::codec::{Durable, Extension};
    use crate::id::BlobId;

    fn entry(kind: EntryKind) -> Entry {
        let time = FileTime { secs: 1, nanos: 2 };
        let xattr = Xattr { name: "user.a".into(), value: "some value".into() };
        Entry {
            key: EntryKey { root: 0, path: "a path/of some length".into() },
            kind,
            mode: 0o644,
            uid: 1,
            gid: 2,
            mtime: time,
            ctime: time,
            device: 3,
            inode: 4,
            links: 1,
            xattrs: vec![xattr],
            extensions: vec![Extension { tag: 77, bytes: "xyz".into() }],
        }
    }

    fn file(size: u64, content: Content, sparse: Option<Vec<Extent>>) -> EntryKind {
        EntryKind::File(FileEntry { size, content, sparse, origin: Origin::Read, read_at_ns: 5 })
    }

    /// What a leaf of this entry alone takes, without what it takes beside entries.
    fn encoded_len(entry: &Entry) -> u64 {
        let len = |entries: Vec<Entry>| {
            let node = Node { body: NodeBody::Leaf(entries), extensions: Vec::new() };
            node.encode().unwrap().len() as u64
        };
        len(vec![entry.clone()]) - len(Vec::new())
    }

    #[test]
    fn the_real_size_is_the_encoded_one() {
        let id = BlobId::from_bytes([9; 32]);
        let chunks = vec![ChunkRef { id, len: 5 }; 3];
        let extents = vec![Extent { offset: 0, len: 5 }, Extent { offset: 20, len: 10 }];
        for kind in [
            file(15, Content::Inline(chunks.clone()), None),
            file(40, Content::Inline(chunks), Some(extents)),
            file(15, Content::List { root: id, len: 15 }, None),
            file(0, Content::Inline(Vec::new()), None),
            EntryKind::Directory,
            EntryKind::Fifo,
            EntryKind::Symlink { target: "elsewhere".into() },
            EntryKind::CharDevice { major: 1, minor: 3 },
        ] {
            let entry = entry(kind);
            assert_eq!(entry.broken_rule(), None);
            assert_eq!(real_len(&entry), encoded_len(&entry), "{:?}", entry.kind);
        }
    }
}
