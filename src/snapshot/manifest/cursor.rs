//! A place in a manifest, from which one goes on, down, or past a subtree.
//!
//! Holds the nodes from the root to the place, and no others.

use std::vec;

use crate::codec::manifest::{Child, Entry, EntryKey, NodeBody};
use crate::id::BlobId;
use crate::repo::blobs::BlobRead;
use crate::repo::error::Result;
use crate::snapshot::manifest::node::{Promise, load_child, load_root};

/// What stands at the place of a cursor.
#[derive(Debug, Clone, Copy)]
pub(in crate::snapshot) enum Position<'c> {
    /// A subtree that was not looked into.
    Subtree { child: &'c Child, level: u8, until: Option<&'c EntryKey> },
    /// An entry of the leaf that was entered last.
    Entry(&'c Entry),
    /// Nothing more.
    End,
}

/// An inner node on the way down.
#[derive(Debug)]
struct Frame {
    /// Level of the children.
    level: u8,
    children: Vec<Child>,
    next: usize,
    until: Option<EntryKey>,
}

impl Frame {
    fn promise(&self) -> Option<Promise<'_>> {
        let child = self.children.get(self.next)?;
        let sibling = self.children.get(self.next + 1).map(|child| &child.first);
        Some(Promise { child, level: self.level, until: sibling.or(self.until.as_ref()) })
    }

    /// Passes the children that hold only keys before this one.
    fn skip_to(&mut self, key: &EntryKey) {
        if self.until.as_ref().is_some_and(|until| until <= key) {
            self.next = self.children.len();
            return;
        }
        let holder = self.children.partition_point(|child| child.first <= *key).saturating_sub(1);
        self.next = self.next.max(holder);
    }
}

/// See the module.
pub(in crate::snapshot) struct Cursor<'b> {
    blobs: &'b dyn BlobRead,
    /// Never empty of what is still to come: finished frames are taken off at once.
    frames: Vec<Frame>,
    leaf: vec::IntoIter<Entry>,
    /// Keys before this one are passed over.
    from: Option<EntryKey>,
}

impl<'b> Cursor<'b> {
    /// Reads the root and stands at the first thing in it.
    pub(in crate::snapshot) fn open(blobs: &'b dyn BlobRead, root: &BlobId) -> Result<Self> {
        let body = load_root(blobs, root)?;
        let mut cursor =
            Self { blobs, frames: Vec::new(), leaf: Vec::new().into_iter(), from: None };
        cursor.descend(body, None);
        Ok(cursor)
    }

    pub(in crate::snapshot) fn position(&self) -> Position<'_> {
        if let Some(entry) = self.leaf.as_slice().first() {
            return Position::Entry(entry);
        }
        match self.frames.last().and_then(Frame::promise) {
            Some(Promise { child, level, until }) => Position::Subtree { child, level, until },
            None => Position::End,
        }
    }

    /// Goes into the subtree at the place; does nothing at an entry. After an error the place is the same.
    pub(in crate::snapshot) fn enter(&mut self) -> Result<()> {
        if !self.leaf.as_slice().is_empty() {
            return Ok(());
        }
        let Some(promise) = self.frames.last().and_then(Frame::promise) else { return Ok(()) };
        let body = load_child(self.blobs, promise)?;
        let until = promise.until.cloned();
        self.advance();
        self.descend(body, until);
        Ok(())
    }

    /// Passes what stands at the place without looking into it.
    pub(in crate::snapshot) fn skip(&mut self) {
        if self.leaf.next().is_none() {
            self.advance();
        }
        self.settle();
    }

    /// The entry at the place, which it then leaves; the next one is found through all subtrees.
    pub(in crate::snapshot) fn next_entry(&mut self) -> Result<Option<Entry>> {
        while let Position::Subtree { .. } = self.position() {
            self.enter()?;
        }
        let entry = self.leaf.next();
        self.settle();
        Ok(entry)
    }

    /// The rest of the leaf that was entered last.
    pub(super) fn take_leaf(&mut self) -> Vec<Entry> {
        let entries = std::mem::take(&mut self.leaf).collect();
        self.settle();
        entries
    }

    /// Moves forward to the first entry that is not before `key`; never back.
    pub(in crate::snapshot) fn seek(&mut self, key: EntryKey) {
        self.pass_entries(&key);
        if self.leaf.as_slice().is_empty() {
            self.frames.iter_mut().for_each(|frame| frame.skip_to(&key));
            self.from = Some(key);
            self.settle();
        }
    }

    fn advance(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            frame.next += 1;
        }
    }

    fn descend(&mut self, body: NodeBody, until: Option<EntryKey>) {
        match body {
            NodeBody::Leaf(entries) => self.open_leaf(entries),
            NodeBody::Inner { level, children } => {
                let level = level.saturating_sub(1);
                let mut frame = Frame { level, children, next: 0, until };
                if let Some(from) = &self.from {
                    frame.skip_to(from);
                }
                self.frames.push(frame);
            }
        }
        self.settle();
    }

    fn open_leaf(&mut self, entries: Vec<Entry>) {
        self.leaf = entries.into_iter();
        if let Some(from) = self.from.take() {
            self.pass_entries(&from);
            // The leaf may end before the key; the next one then begins after it, but for a hostile gap.
            self.from = self.leaf.as_slice().is_empty().then_some(from);
        }
    }

    fn pass_entries(&mut self, key: &EntryKey) {
        let passed = self.leaf.as_slice().partition_point(|entry| entry.key < *key);
        self.leaf.by_ref().take(passed).for_each(drop);
    }

    /// Takes off what is finished.
    fn settle(&mut self) {
        while self.frames.last().is_some_and(|frame| frame.next >= frame.children.len()) {
            self.frames.pop();
        }
    }
}
