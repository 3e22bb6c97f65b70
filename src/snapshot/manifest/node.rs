//! One node as it is read, checked against what its parent says of it. What must hold within it is the codec's.

use crate::codec::manifest::{Child, EntryKey, Node, NodeBody};
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobRead;
use crate::repo::error::Result;
use crate::snapshot::manifest::entry::total_bytes;
use crate::snapshot::structure::{damaged, load};

/// What a parent promises of a node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise<'p> {
    pub(super) child: &'p Child,
    pub(super) level: u8,
    /// The key that all of its entries precede.
    pub(super) until: Option<&'p EntryKey>,
}

/// The node at the top.
pub(super) fn load_root(blobs: &dyn BlobRead, id: &BlobId) -> Result<NodeBody> {
    Ok(load::<Node>(blobs, BlobType::ManifestNode, id)?.body)
}

/// A node below another one.
pub(super) fn load_child(blobs: &dyn BlobRead, promise: Promise<'_>) -> Result<NodeBody> {
    let body = load_root(blobs, &promise.child.id)?;
    match check_promise(&body, promise) {
        Ok(()) => Ok(body),
        Err(reason) => Err(damaged(BlobType::ManifestNode, &promise.child.id, reason)),
    }
}

/// Entries and bytes below a node, as a parent states them.
pub(super) fn totals(body: &NodeBody) -> (u64, u64) {
    match body {
        NodeBody::Leaf(entries) => (entries.len() as u64, total_bytes(entries)),
        NodeBody::Inner { children, .. } => children.iter().fold((0, 0), |(entries, bytes), c| {
            (u64::saturating_add(entries, c.entries), u64::saturating_add(bytes, c.bytes))
        }),
    }
}

fn check_promise(body: &NodeBody, promise: Promise<'_>) -> std::result::Result<(), String> {
    let (level, first, last) = outline(body);
    if level != promise.level {
        return Err(format!("level {level} where {} must be", promise.level));
    }
    if first != Some(&promise.child.first) {
        return Err(format!("does not begin with key {:?}", promise.child.first.path));
    }
    if let (Some(last), Some(until)) = (last, promise.until)
        && last >= until
    {
        return Err(format!("key {:?} reaches into the next node", last.path));
    }
    if totals(body) != (promise.child.entries, promise.child.bytes) {
        return Err("counts differ from what its parent says".to_owned());
    }
    Ok(())
}

fn outline(body: &NodeBody) -> (u8, Option<&EntryKey>, Option<&EntryKey>) {
    match body {
        NodeBody::Leaf(entries) => {
            (0, entries.first().map(|entry| &entry.key), entries.last().map(|entry| &entry.key))
        }
        NodeBody::Inner { level, children } => (
            *level,
            children.first().map(|child| &child.first),
            children.last().map(|child| &child.first),
        ),
    }
}
