//! Reading a manifest: in order, from a place on, one directory, one path.

use crate::codec::manifest::{Child, Entry, EntryKey, NodeBody};
use crate::id::BlobId;
use crate::repo::blobs::BlobRead;
use crate::repo::error::Result;
use crate::snapshot::manifest::cursor::{Cursor, Position};
use crate::snapshot::manifest::entry::total_bytes;
use crate::snapshot::manifest::node::{Promise, load_child, load_root};

/// Reads one manifest. Every node is checked against its parent; a node that does not fit is damage, named.
#[derive(Clone, Copy)]
pub struct ManifestReader<'b> {
    blobs: &'b dyn BlobRead,
    root: BlobId,
}

impl<'b> ManifestReader<'b> {
    /// The manifest with this root. Nothing is read yet.
    pub fn new(blobs: &'b dyn BlobRead, root: BlobId) -> Self {
        Self { blobs, root }
    }

    /// All entries in order. Memory: one node a level.
    pub fn entries(&self) -> Result<Entries<'b>> {
        Ok(Entries { cursor: Some(Cursor::open(self.blobs, &self.root)?), within: None })
    }

    /// All leaves in order, each with what its parent knows of it.
    pub fn leaves(&self) -> Result<Leaves<'b>> {
        Ok(Leaves { cursor: Some(Cursor::open(self.blobs, &self.root)?), root: self.root })
    }

    /// All entries from the first that is not before `key`.
    pub fn entries_from(&self, key: EntryKey) -> Result<Entries<'b>> {
        let mut cursor = Cursor::open(self.blobs, &self.root)?;
        cursor.seek(key);
        Ok(Entries { cursor: Some(cursor), within: None })
    }

    /// The entry `top`, if there is one, and all that lies beneath it.
    pub fn entries_within(&self, top: EntryKey) -> Result<Entries<'b>> {
        let mut entries = self.entries_from(top.clone())?;
        entries.within = Some(top);
        Ok(entries)
    }

    /// The entries that lie directly in the directory `dir`, in order. Passes what lies deeper without reading it.
    pub fn children_of(&self, dir: EntryKey) -> Result<Children<'b>> {
        let mut cursor = Cursor::open(self.blobs, &self.root)?;
        cursor.seek(dir.clone());
        Ok(Children { cursor: Some(cursor), dir })
    }

    /// The entry with this key. Reads one node a level.
    pub fn lookup(&self, key: &EntryKey) -> Result<Option<Entry>> {
        let mut body = load_root(self.blobs, &self.root)?;
        let mut until: Option<EntryKey> = None;
        loop {
            let (level, children) = match body {
                NodeBody::Leaf(entries) => return Ok(find(entries, key)),
                NodeBody::Inner { level, children } => (level.saturating_sub(1), children),
            };
            let after = children.partition_point(|child| child.first <= *key);
            let Some(child) = after.checked_sub(1).and_then(|at| children.get(at)) else {
                return Ok(None);
            };
            until = children.get(after).map(|next| next.first.clone()).or(until);
            body = load_child(self.blobs, Promise { child, level, until: until.as_ref() })?;
        }
    }
}

fn find(entries: Vec<Entry>, key: &EntryKey) -> Option<Entry> {
    let at = entries.partition_point(|entry| entry.key < *key);
    entries.into_iter().nth(at).filter(|entry| entry.key == *key)
}

/// Entries in order. Ends after an error.
pub struct Entries<'b> {
    cursor: Option<Cursor<'b>>,
    within: Option<EntryKey>,
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.cursor.as_mut()?.next_entry().transpose();
        let goes_on = match (&found, &self.within) {
            (Some(Ok(entry)), Some(top)) => entry.key == *top || is_beneath(&entry.key, top),
            (Some(Ok(_)), None) => true,
            _ => false,
        };
        if !goes_on {
            self.cursor = None;
        }
        found.filter(|found| goes_on || found.is_err())
    }
}

/// What lies directly in one directory. Ends after an error.
pub struct Children<'b> {
    cursor: Option<Cursor<'b>>,
    dir: EntryKey,
}

impl Children<'_> {
    fn advance(&mut self) -> Result<Option<Entry>> {
        let Some(cursor) = &mut self.cursor else { return Ok(None) };
        let mut found = cursor.next_entry()?;
        if found.as_ref().is_some_and(|entry| entry.key == self.dir) {
            found = cursor.next_entry()?;
        }
        let Some(entry) = found.filter(|entry| is_beneath(&entry.key, &self.dir)) else {
            return Ok(None);
        };
        cursor.seek(after_subtree(&entry.key));
        Ok(Some(entry))
    }
}

impl Iterator for Children<'_> {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance().transpose();
        if !matches!(found, Some(Ok(_))) {
            self.cursor = None;
        }
        found
    }
}

/// True when `key` lies in the directory `dir`, however deep.
pub fn is_beneath(key: &EntryKey, dir: &EntryKey) -> bool {
    if key.root != dir.root {
        return false;
    }
    if dir.path.is_empty() {
        return !key.path.is_empty();
    }
    key.path.strip_prefix(&*dir.path).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// The lowest key after everything beneath `key`: NUL is in no path, and sorts right after the slash.
fn after_subtree(key: &EntryKey) -> EntryKey {
    let mut path = key.path.to_vec();
    path.push(0);
    EntryKey { root: key.root, path: path.into() }
}

/// A leaf that was read and checked.
#[derive(Debug, Clone)]
pub struct Leaf {
    child: Child,
    entries: Vec<Entry>,
}

impl Leaf {
    /// What its parent knows of it.
    pub fn child(&self) -> &Child {
        &self.child
    }

    /// Its entries in order, at least one.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entries, given up.
    pub fn into_entries(self) -> Vec<Entry> {
        self.entries
    }

    /// What its parent knows of it, and its last key.
    pub(super) fn into_ends(mut self) -> (Child, Option<EntryKey>) {
        (self.child, self.entries.pop().map(|entry| entry.key))
    }
}

/// Leaves in order. Ends after an error.
pub struct Leaves<'b> {
    cursor: Option<Cursor<'b>>,
    root: BlobId,
}

impl Leaves<'_> {
    fn advance(&mut self) -> Result<Option<Leaf>> {
        let Some(cursor) = &mut self.cursor else { return Ok(None) };
        loop {
            let child = match cursor.position() {
                Position::End => return Ok(None),
                Position::Subtree { level: 0, child, .. } => Some(child.clone()),
                Position::Subtree { .. } => None,
                Position::Entry(first) => {
                    return Ok(Some(lone_leaf(self.root, first.key.clone(), cursor)));
                }
            };
            cursor.enter()?;
            if let Some(child) = child {
                return Ok(Some(Leaf { child, entries: cursor.take_leaf() }));
            }
        }
    }
}

/// The leaf that is itself the root.
fn lone_leaf(id: BlobId, first: EntryKey, cursor: &mut Cursor<'_>) -> Leaf {
    let entries = cursor.take_leaf();
    let bytes = total_bytes(&entries);
    let child = Child { first, id, entries: entries.len() as u64, bytes };
    Leaf { child, entries }
}

impl Iterator for Leaves<'_> {
    type Item = Result<Leaf>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance().transpose();
        if !matches!(found, Some(Ok(_))) {
            self.cursor = None;
        }
        found
    }
}
