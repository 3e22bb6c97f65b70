//! What must hold within one node. What a parent says of it is for the reader of the tree.

use crate::codec::Extension;
use crate::codec::envelope::Rules;
use crate::codec::manifest::{
    Child, Entry, EntryKey, EntryKind, Extent, FileEntry, FileTime, Node, NodeBody, Xattr,
};
use crate::codec::names::{MAX_COMPONENT_BYTES, MAX_PATH_BYTES, path_fault};
use crate::codec::snapshot::MAX_ROOTS;

/// The most data extents of a sparse file; a file with more is stored without its holes.
pub const MAX_EXTENTS: usize = 4096;

/// The longest value of an extended attribute, in bytes: the kernel's own limit.
pub const MAX_XATTR_BYTES: usize = 64 * 1024;

/// The most levels above the leaves.
pub const MAX_NODE_LEVEL: u8 = 32;

const MAX_MODE: u32 = 0o7777;
const NANOS_PER_SEC: u32 = 1_000_000_000;

impl Rules for Node {
    fn broken_rule(&self) -> Option<&'static str> {
        match &self.body {
            NodeBody::Leaf(entries) => leaf_fault(entries),
            NodeBody::Inner { level, children } => inner_fault(*level, children),
        }
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        let entries = match &self.body {
            NodeBody::Leaf(entries) => entries.as_slice(),
            NodeBody::Inner { .. } => &[],
        };
        let below = entries.iter().map(|entry| entry.extensions.as_slice());
        std::iter::once(self.extensions.as_slice()).chain(below)
    }
}

/// A leaf may be empty: that is the manifest of nothing. As a child it cannot be, because a child has entries.
fn leaf_fault(entries: &[Entry]) -> Option<&'static str> {
    if !entries.is_sorted_by(|before, after| before.key < after.key) {
        return Some("entries that do not ascend");
    }
    entries.iter().find_map(Entry::broken_rule)
}

fn inner_fault(level: u8, children: &[Child]) -> Option<&'static str> {
    if !(1..=MAX_NODE_LEVEL).contains(&level) {
        return Some("an inner node at an impossible level");
    }
    if children.is_empty() {
        return Some("an inner node without children");
    }
    if !children.is_sorted_by(|before, after| before.first < after.first) {
        return Some("children that do not ascend");
    }
    if children.iter().any(|child| child.entries == 0) {
        return Some("a child without entries");
    }
    // Entries are counted one by one, so 2^64 of them are a lie; the sizes of sparse files may pass that, and saturate.
    let total = children.iter().try_fold(0_u64, |sum, child| sum.checked_add(child.entries));
    if total.is_none() {
        return Some("more entries than can be counted");
    }
    children.iter().find_map(|child| child.first.broken_rule())
}

impl EntryKey {
    fn broken_rule(&self) -> Option<&'static str> {
        if self.root as usize >= MAX_ROOTS {
            return Some("a root that no snapshot has");
        }
        path_fault(&self.path)
    }
}

impl FileTime {
    /// What is impossible about the time, if something is.
    pub(in crate::codec) fn broken_rule(&self) -> Option<&'static str> {
        (self.nanos >= NANOS_PER_SEC).then_some("a second of more than 999,999,999 nanoseconds")
    }
}

impl Entry {
    /// The rule that makes this entry impossible to store, if it breaks one.
    pub fn broken_rule(&self) -> Option<&'static str> {
        if self.mode > MAX_MODE {
            return Some("a mode with more than permission bits");
        }
        self.key
            .broken_rule()
            .or_else(|| self.mtime.broken_rule())
            .or_else(|| self.ctime.broken_rule())
            .or_else(|| xattrs_fault(&self.xattrs))
            .or_else(|| self.kind.broken_rule())
    }
}

fn xattrs_fault(xattrs: &[Xattr]) -> Option<&'static str> {
    if !xattrs.is_sorted_by(|before, after| before.name < after.name) {
        return Some("extended attributes that do not ascend");
    }
    let named = |xattr: &Xattr| {
        (1..=MAX_COMPONENT_BYTES).contains(&xattr.name.len()) && !xattr.name.contains(&0)
    };
    if !xattrs.iter().all(named) {
        return Some("an extended attribute without a proper name");
    }
    let long = xattrs.iter().any(|xattr| xattr.value.len() > MAX_XATTR_BYTES);
    long.then_some("an extended attribute of more than 64 KiB")
}

impl EntryKind {
    fn broken_rule(&self) -> Option<&'static str> {
        match self {
            Self::File(file) => file.broken_rule(),
            Self::Symlink { target } => target_fault(target),
            Self::Directory
            | Self::Fifo
            | Self::Socket
            | Self::CharDevice { .. }
            | Self::BlockDevice { .. } => None,
        }
    }
}

fn target_fault(target: &[u8]) -> Option<&'static str> {
    let sound = (1..=MAX_PATH_BYTES).contains(&target.len()) && !target.contains(&0);
    (!sound).then_some("a symbolic link to what cannot be a path")
}

impl FileEntry {
    fn broken_rule(&self) -> Option<&'static str> {
        if let Some(rule) = self.content.broken_rule() {
            return Some(rule);
        }
        let kept = match &self.sparse {
            None => Some(self.size),
            Some(extents) => match data_len(extents, self.size) {
                Ok(len) => Some(len),
                Err(rule) => return Some(rule),
            },
        };
        (self.content.len_bytes() != kept)
            .then_some("content that does not add up to the file's size")
    }
}

/// Sum of extents, which must ascend, be apart and end within the file.
fn data_len(extents: &[Extent], size: u64) -> Result<u64, &'static str> {
    if extents.len() > MAX_EXTENTS {
        return Err("more extents than a sparse file may have");
    }
    let mut total = 0_u64;
    let mut last_end = None;
    for Extent { offset, len } in extents {
        let end = offset.checked_add(*len).filter(|end| *end <= size);
        let apart = last_end.is_none_or(|last| last < *offset);
        let (Some(end), true) = (end, *len > 0 && apart) else {
            return Err("extents that do not ascend within the file, apart from each other");
        };
        last_end = Some(end);
        // Cannot overflow: disjoint ranges within a u64.
        total = total.saturating_add(*len);
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::content::{ChunkRef, Content, MAX_INLINE};
    use crate::codec::manifest::Origin;
    use crate::codec::pack::MAX_BLOB_BYTES;
    use crate::codec::{CodecError, Durable};
    use crate::id::BlobId;

    fn chunk(len: u64) -> ChunkRef {
        ChunkRef { id: BlobId::from_bytes([1; 32]), len }
    }

    fn file(size: u64, lens: &[u64], sparse: Option<&[(u64, u64)]>) -> EntryKind {
        EntryKind::File(FileEntry {
            size,
            content: Content::Inline(lens.iter().map(|len| chunk(*len)).collect()),
            sparse: sparse.map(|pairs| {
                pairs.iter().map(|(offset, len)| Extent { offset: *offset, len: *len }).collect()
            }),
            origin: Origin::Read,
            read_at_ns: 5,
        })
    }

    fn entry(path: &[u8], kind: EntryKind) -> Entry {
        Entry {
            key: EntryKey { root: 0, path: path.into() },
            kind,
            mode: 0o644,
            uid: 1,
            gid: 2,
            mtime: FileTime { secs: -1, nanos: 999_999_999 },
            ctime: FileTime::default(),
            device: 3,
            inode: 4,
            links: 1,
            xattrs: Vec::new(),
            extensions: Vec::new(),
        }
    }

    fn xattr(name: &str) -> Xattr {
        Xattr { name: name.into(), value: "v".into() }
    }

    fn encodes(body: NodeBody) -> bool {
        let node = Node { body, extensions: Vec::new() };
        match node.encode() {
            Ok(bytes) => Node::decode(&bytes) == Ok(node),
            Err(_) => false,
        }
    }

    #[test]
    fn sound_contents_add_up() {
        let blob = u64::from(MAX_BLOB_BYTES);
        for kind in [
            file(0, &[], None),
            file(7, &[3, 4], None),
            file(blob + 1, &[blob, 1], None),
            file(100, &[], Some(&[])),
            file(100, &[15], Some(&[(0, 10), (95, 5)])),
            file(100, &[100], Some(&[(0, 100)])),
            file(u64::MAX, &[1], Some(&[(u64::MAX - 1, 1)])),
        ] {
            assert!(encodes(NodeBody::Leaf(vec![entry(b"f", kind.clone())])), "{kind:?}");
        }
    }

    #[test]
    fn contents_that_do_not_add_up_are_refused() {
        for kind in [
            file(6, &[3, 4], None),
            file(0, &[0], None),
            file(u64::MAX, &[u64::MAX], None),
            file(65, &[1; MAX_INLINE + 1], None),
            file(100, &[10], Some(&[(0, 5), (5, 5)])),
            file(100, &[10], Some(&[(50, 5), (0, 5)])),
            file(100, &[5], Some(&[(0, 5), (50, 0)])),
            file(100, &[5], Some(&[(96, 5)])),
            file(100, &[5], Some(&[(u64::MAX, 5)])),
            file(100, &[6], Some(&[(0, 5)])),
        ] {
            assert!(!encodes(NodeBody::Leaf(vec![entry(b"f", kind.clone())])), "{kind:?}");
        }
    }

    #[test]
    fn entries_ascend_strictly_depth_first() {
        let leaf = |paths: &[&str]| {
            NodeBody::Leaf(
                paths.iter().map(|path| entry(path.as_bytes(), EntryKind::Directory)).collect(),
            )
        };
        assert!(encodes(leaf(&[])));
        assert!(encodes(leaf(&["", "a", "a/b", "a-b", "b"])));
        assert!(!encodes(leaf(&["a", "a"])));
        assert!(!encodes(leaf(&["a", "a-b", "a/b"])));
    }

    #[test]
    fn what_an_entry_may_not_be() {
        let sound = entry(b"f", EntryKind::Fifo);
        let late = FileTime { secs: 0, nanos: 1_000_000_000 };
        let target = |target: &[u8]| EntryKind::Symlink { target: target.into() };
        for bad in [
            Entry { mode: 0o10000, ..sound.clone() },
            Entry { mtime: late, ..sound.clone() },
            Entry { ctime: late, ..sound.clone() },
            Entry { key: EntryKey { root: 1000, path: "f".into() }, ..sound.clone() },
            Entry { xattrs: vec![xattr("b"), xattr("a")], ..sound.clone() },
            Entry { xattrs: vec![xattr("a"), xattr("a")], ..sound.clone() },
            Entry { xattrs: vec![xattr("")], ..sound.clone() },
            entry(b"../f", EntryKind::Fifo),
            entry(b"f", target(b"")),
            entry(b"f", target(b"a\0")),
            entry(b"f", target(&[b'x'; 4096])),
        ] {
            assert!(!encodes(NodeBody::Leaf(vec![bad.clone()])), "{bad:?}");
        }
        assert!(encodes(NodeBody::Leaf(vec![Entry {
            xattrs: vec![xattr("a"), xattr("b")],
            ..sound
        }])));
    }

    #[test]
    fn what_an_inner_node_may_not_be() {
        let child = |path: &str, entries| Child {
            first: EntryKey { root: 0, path: path.into() },
            id: BlobId::from_bytes([2; 32]),
            entries,
            bytes: u64::MAX,
        };
        let inner = |level, children| NodeBody::Inner { level, children };
        assert!(encodes(inner(1, vec![child("a", 1), child("b", u64::MAX - 1)])));
        for bad in [
            inner(0, vec![child("a", 1)]),
            inner(33, vec![child("a", 1)]),
            inner(1, vec![]),
            inner(1, vec![child("a", 0)]),
            inner(1, vec![child("b", 1), child("a", 1)]),
            inner(1, vec![child("a", 1), child("b", u64::MAX)]),
            inner(1, vec![child("a/../b", 1)]),
        ] {
            assert!(!encodes(bad.clone()), "{bad:?}");
        }
    }

    #[test]
    fn a_critical_tag_of_an_entry_counts_too() {
        let extension = Extension { tag: 7, bytes: "x".into() };
        let tagged = Entry { extensions: vec![extension], ..entry(b"f", EntryKind::Fifo) };
        let node = Node { body: NodeBody::Leaf(vec![tagged]), extensions: Vec::new() };
        let mut bytes = node.encode().unwrap();
        assert_eq!(Node::decode(&bytes), Ok(node));
        // From the end: the node's empty list (8), the byte, its length (8), the tag's highest byte.
        let at = bytes.len() - 8 - 1 - 8 - 1;
        bytes[at] |= 0x80;
        assert!(matches!(Node::decode(&bytes), Err(CodecError::TooNew { .. })));
    }
}
