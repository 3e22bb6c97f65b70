//! What is true of a single entry: how large it is, what it must not contradict.

use crate::codec::content::Content;
use crate::codec::manifest::{Entry, EntryKind, FileEntry};
use crate::snapshot::content::inline_len;

/// The most bytes that one entry may take in a manifest: with it a leaf stays below the limit of a node.
pub const MAX_ENTRY_BYTES: u64 = 128 * 1024;

const FIXED: u64 = 88;
const FIXED_FILE: u64 = 33;
const CHUNK: u64 = 40;
const EXTENT: u64 = 16;

/// Bytes that an entry takes in a leaf, give or take a few.
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
        Content::List { .. } => CHUNK,
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

/// The rule that an entry breaks, if it does. Writers refuse it, readers call it damage.
pub(super) fn broken_rule(entry: &Entry) -> Option<&'static str> {
    match &entry.kind {
        EntryKind::File(file) if !adds_up(file) => {
            Some("the file's content does not add up to its size")
        }
        _ => None,
    }
}

fn adds_up(file: &FileEntry) -> bool {
    stored_bytes(file).is_some_and(|stored| kept_bytes(file) == Some(stored))
}

/// Bytes that the content says it has.
fn stored_bytes(file: &FileEntry) -> Option<u64> {
    match &file.content {
        Content::Inline(chunks) => inline_len(chunks),
        Content::List { len, .. } => Some(*len),
    }
}

/// Bytes that the content must have: the size, or what lies between the holes.
fn kept_bytes(file: &FileEntry) -> Option<u64> {
    let Some(extents) = &file.sparse else { return Some(file.size) };
    let mut end = 0;
    let mut kept = 0_u64;
    for extent in extents {
        if extent.offset < end {
            return None;
        }
        end = extent.offset.checked_add(extent.len).filter(|end| *end <= file.size)?;
        kept = kept.checked_add(extent.len)?;
    }
    Some(kept)
}
