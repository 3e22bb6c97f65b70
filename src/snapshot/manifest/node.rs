//! One node as it is read: checked against itself and against what its parent says of it.

use crate::codec::manifest::{Child, Entry, EntryKey, Node, NodeBody};
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobRead;
use crate::repo::error::Result;
use crate::snapshot::manifest::entry::{broken_rule, total_bytes};
use crate::snapshot::structure::{damaged, load};

/// No tree that a writer makes is as high; a reader's memory is this many nodes.
pub(super) const MAX_LEVEL: u8 = 32;

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
    let body = load::<Node>(blobs, BlobType::ManifestNode, id)?.body;
    match check_alone(&body) {
        Ok(()) => Ok(body),
        Err(reason) => Err(damaged(BlobType::ManifestNode, id, reason)),
    }
}

/// A node below another one.
pub(super) fn load_child(blobs: &dyn BlobRead, promise: Promise<'_>) -> Result<NodeBody> {
    let id = &promise.child.id;
    let body = load::<Node>(blobs, BlobType::ManifestNode, id)?.body;
    match check_alone(&body).and_then(|()| check_promise(&body, promise)) {
        Ok(()) => Ok(body),
        Err(reason) => Err(damaged(BlobType::ManifestNode, id, reason)),
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

fn check_alone(body: &NodeBody) -> std::result::Result<(), String> {
    match body {
        NodeBody::Leaf(entries) => {
            ascending(entries.iter().map(|entry| &entry.key))?;
            entries.iter().try_for_each(check_entry)
        }
        NodeBody::Inner { level: 0, .. } => Err("an inner node at level 0".to_owned()),
        NodeBody::Inner { level, .. } if *level > MAX_LEVEL => Err(format!("level {level}")),
        NodeBody::Inner { children, .. } if children.is_empty() => Err("no children".to_owned()),
        NodeBody::Inner { children, .. } => ascending(children.iter().map(|child| &child.first)),
    }
}

fn ascending<'k>(
    keys: impl Iterator<Item = &'k EntryKey> + Clone,
) -> std::result::Result<(), String> {
    match keys.clone().zip(keys.skip(1)).find(|(one, next)| one >= next) {
        Some((one, next)) => Err(format!("key {:?} before {:?}", one.path, next.path)),
        None => Ok(()),
    }
}

fn check_entry(entry: &Entry) -> std::result::Result<(), String> {
    match broken_rule(entry) {
        Some(rule) => Err(format!("entry {:?}: {rule}", entry.key.path)),
        None => Ok(()),
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
