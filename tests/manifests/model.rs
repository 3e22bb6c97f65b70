//! What a manifest must be equal to: a sorted map of entries; and how an archive rebuilds one from another.

use std::collections::BTreeMap;

use larder::codec::content::{ChunkRef, Content};
use larder::codec::manifest::{Entry, EntryKey, EntryKind, FileEntry, FileTime, Origin};
use larder::id::{BlobId, BlobType};
use larder::repo::blobs::{BlobWrite, Compression, NewBlob};
use larder::snapshot::manifest::build::{Built, ManifestBuilder};
use larder::snapshot::manifest::read::{Leaf, ManifestReader};
use larder_testkit::memory_blobs::MemoryBlobs;

pub(crate) type Model = BTreeMap<EntryKey, Entry>;

pub(crate) fn key(path: &str) -> EntryKey {
    EntryKey { root: 0, path: path.into() }
}

/// The id of a chunk that nobody stored.
pub(crate) fn chunk(n: u64, len: u64) -> ChunkRef {
    let mut id = [0; 32];
    // Spread as hashes are.
    id[..8].copy_from_slice(&n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    ChunkRef { id: BlobId::from_bytes(id), len }
}

pub(crate) fn entry(key: EntryKey, kind: EntryKind) -> Entry {
    Entry {
        key,
        kind,
        mode: 0o644,
        uid: 1000,
        gid: 1000,
        mtime: FileTime { secs: 1_795_000_000, nanos: 5 },
        ctime: FileTime { secs: 1_795_000_000, nanos: 6 },
        device: 7,
        inode: 8,
        links: 1,
        xattrs: Vec::new(),
        extensions: Vec::new(),
    }
}

pub(crate) fn dir(path: &str) -> Entry {
    entry(key(path), EntryKind::Directory)
}

/// A file of so many chunks; its path and `version` are in their ids.
pub(crate) fn file(path: &str, version: u64, chunks: u64) -> Entry {
    let seed = path
        .bytes()
        .fold(version, |seed, byte| seed.wrapping_mul(0x0100_0000_01b3) ^ u64::from(byte));
    let refs: Vec<_> = (0..chunks).map(|n| chunk(seed.wrapping_add(n), 10 + version)).collect();
    let size = refs.iter().map(|chunk| chunk.len).sum();
    file_with(path, size, Content::Inline(refs))
}

pub(crate) fn file_with(path: &str, size: u64, content: Content) -> Entry {
    let file = FileEntry { size, content, sparse: None, origin: Origin::Read, read_at_ns: 9 };
    entry(key(path), EntryKind::File(file))
}

pub(crate) fn model(entries: impl IntoIterator<Item = Entry>) -> Model {
    entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect()
}

/// Like a `PartsHub`: a directory for every component, one file in most.
pub(crate) fn attachments(components: u64) -> Model {
    let mut entries = vec![dir(""), dir("attachments")];
    for n in 0..components {
        let hash = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let top = format!("attachments/{:02x}", hash >> 56);
        let component = format!("{top}/{:08x}-6a1c-4e0b-9c55-{n:012x}", hash & 0xffff_ffff);
        entries.push(dir(&top));
        entries.push(file(&format!("{component}/datasheet.pdf"), 1, 1 + n % 3));
        entries.push(dir(&component));
    }
    model(entries)
}

pub(crate) fn built(blobs: &MemoryBlobs, model: &Model) -> Built {
    let mut builder = ManifestBuilder::new(blobs);
    for entry in model.values() {
        builder.push(entry.clone()).unwrap();
    }
    builder.finish().unwrap()
}

/// Builds `model` beside an earlier manifest, using its leaves wherever they still hold; says how many were used.
pub(crate) fn rebuilt(blobs: &MemoryBlobs, before: &BlobId, model: &Model) -> (Built, usize) {
    let mut builder = ManifestBuilder::new(blobs);
    let mut rest = model.clone();
    let mut used = 0;
    for leaf in ManifestReader::new(blobs, *before).leaves().unwrap() {
        let leaf = leaf.unwrap();
        let from_here = rest.split_off(&leaf.child().first);
        push_all(&mut builder, std::mem::replace(&mut rest, from_here));
        let last = leaf.entries().last().unwrap().key.clone();
        let after = rest.extract_if(..=last, |_, _| true).collect::<Model>();
        if is_same(&leaf, &after) {
            used += usize::from(builder.push_leaf(leaf).unwrap());
        } else {
            push_all(&mut builder, after);
        }
    }
    push_all(&mut builder, rest);
    (builder.finish().unwrap(), used)
}

fn is_same(leaf: &Leaf, model: &Model) -> bool {
    leaf.entries().iter().eq(model.values())
}

fn push_all(builder: &mut ManifestBuilder<'_, MemoryBlobs>, model: Model) {
    for entry in model.into_values() {
        builder.push(entry).unwrap();
    }
}

/// Stores bytes as they are, for structures that no writer would make.
pub(crate) fn put(blobs: &MemoryBlobs, blob_type: BlobType, plain: &[u8]) -> BlobId {
    let class = larder::codec::pack::PackClass::Metadata;
    blobs.put(NewBlob { blob_type, class, compression: Compression::Always, plain }).unwrap().id
}

pub(crate) fn all_entries(blobs: &MemoryBlobs, root: BlobId) -> Vec<Entry> {
    ManifestReader::new(blobs, root).entries().unwrap().map(Result::unwrap).collect()
}
