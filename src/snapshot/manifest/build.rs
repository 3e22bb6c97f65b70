//! Building a manifest from entries in order.

use crate::codec::manifest::{Child, Entry, EntryKey, Node, NodeBody};
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobWrite;
use crate::repo::error::Result as RepoResult;
use crate::snapshot::error::{Result, SnapshotError};
use crate::snapshot::manifest::cut::Cut;
use crate::snapshot::manifest::entry::{MAX_ENTRY_BYTES, real_len};
use crate::snapshot::manifest::node::totals;
use crate::snapshot::manifest::read::Leaf;
use crate::snapshot::structure::store;
use crate::snapshot::tower::{Tier, Tower};

/// A manifest that was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Built {
    /// Its root node.
    pub root: BlobId,
    /// Entries in it.
    pub entries: u64,
    /// Sum of the sizes of its files, in bytes.
    pub bytes: u64,
}

/// Takes entries in the order of their keys and stores the nodes that they make.
///
/// Memory: one open node a level. The root depends on the entries alone, not on how they were pushed.
pub struct ManifestBuilder<'a, W: BlobWrite + ?Sized> {
    blobs: &'a W,
    leaf: Vec<Entry>,
    cut: Cut,
    inner: Tower<Inner<'a, W>>,
    /// The last key of the last closed leaf.
    last: Option<EntryKey>,
}

impl<'a, W: BlobWrite + ?Sized> ManifestBuilder<'a, W> {
    /// An empty manifest, whose nodes go to `blobs`.
    pub fn new(blobs: &'a W) -> Self {
        Self {
            blobs,
            leaf: Vec::new(),
            cut: Cut::new(0),
            inner: Tower::new(Inner { blobs }),
            last: None,
        }
    }

    /// Adds an entry, whose key must come after all keys so far.
    ///
    /// Fails on disorder, on an entry above [`MAX_ENTRY_BYTES`], on one that breaks a rule of its own, and when the
    /// repository fails. After one of the first three the builder goes on without the entry.
    pub fn push(&mut self, entry: Entry) -> Result<()> {
        self.refuse_disorder(&entry.key)?;
        let len = real_len(&entry);
        if len > MAX_ENTRY_BYTES {
            return Err(SnapshotError::EntryTooLarge {
                key: entry.key,
                len,
                limit: MAX_ENTRY_BYTES,
            });
        }
        if let Some(reason) = entry.broken_rule() {
            return Err(SnapshotError::BadEntry { key: entry.key, reason });
        }
        let ends = self.cut.ends_after_entry(&entry.key, len);
        self.leaf.push(entry);
        if ends { self.close_leaf() } else { Ok(()) }
    }

    /// Adds all entries of a leaf of another manifest, just as if each were pushed.
    ///
    /// The stored node is used as it is when cutting anew would make it again; true if so.
    pub fn push_leaf(&mut self, leaf: Leaf) -> Result<bool> {
        if !self.leaf.is_empty() || !is_one_leaf(leaf.entries()) {
            leaf.into_entries().into_iter().try_for_each(|entry| self.push(entry))?;
            return Ok(false);
        }
        self.refuse_disorder(&leaf.child().first)?;
        let (child, last) = leaf.into_ends();
        self.inner.add(child)?;
        self.last = last;
        Ok(true)
    }

    /// Stores what is open. A manifest of nothing is one empty leaf.
    pub fn finish(mut self) -> Result<Built> {
        if !self.leaf.is_empty() {
            self.close_leaf()?;
        }
        if let Some(root) = self.inner.finish()? {
            return Ok(Built { root: root.id, entries: root.entries, bytes: root.bytes });
        }
        let (root, (entries, bytes)) = store_node(self.blobs, NodeBody::Leaf(Vec::new()))?;
        Ok(Built { root, entries, bytes })
    }

    fn refuse_disorder(&self, next: &EntryKey) -> Result<()> {
        match self.leaf.last().map(|entry| &entry.key).or(self.last.as_ref()) {
            Some(last) if last >= next => {
                Err(SnapshotError::Disorder { last: last.clone(), next: next.clone() })
            }
            _ => Ok(()),
        }
    }

    fn close_leaf(&mut self) -> Result<()> {
        self.cut = Cut::new(0);
        let entries = std::mem::take(&mut self.leaf);
        let first = entries.first().map(|entry| entry.key.clone());
        self.last = entries.last().map(|entry| entry.key.clone());
        let first = first.expect("invariant: a leaf that is closed has an entry");
        let (id, (entries, bytes)) = store_node(self.blobs, NodeBody::Leaf(entries))?;
        Ok(self.inner.add(Child { first, id, entries, bytes })?)
    }
}

/// True when a builder at a boundary would make exactly one closed leaf of these entries.
fn is_one_leaf(entries: &[Entry]) -> bool {
    let mut cut = Cut::new(0);
    let end = entries.iter().position(|e| cut.ends_after_entry(&e.key, real_len(e)));
    end.is_some_and(|end| end + 1 == entries.len())
}

fn store_node(
    blobs: &(impl BlobWrite + ?Sized),
    body: NodeBody,
) -> RepoResult<(BlobId, (u64, u64))> {
    let totals = totals(&body);
    let node = Node { body, extensions: Vec::new() };
    Ok((store(blobs, BlobType::ManifestNode, &node)?, totals))
}

/// The levels above the leaves.
struct Inner<'a, W: BlobWrite + ?Sized> {
    blobs: &'a W,
}

impl<W: BlobWrite + ?Sized> Tier for Inner<'_, W> {
    type Item = Child;
    type Cut = Cut;

    fn empty(&self, level: u8) -> Cut {
        Cut::new(level.saturating_add(1))
    }

    fn ends_after(&self, cut: &mut Cut, child: &Child) -> bool {
        cut.ends_after_child(&child.first)
    }

    fn store(&self, level: u8, children: Vec<Child>) -> RepoResult<Child> {
        let first = children.first().map(|child| child.first.clone());
        let first = first.expect("invariant: a node that is closed has a child");
        let body = NodeBody::Inner { level: level.saturating_add(1), children };
        let (id, (entries, bytes)) = store_node(self.blobs, body)?;
        Ok(Child { first, id, entries, bytes })
    }
}
