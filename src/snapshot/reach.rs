//! Every blob that a snapshot's manifest leads to.
//!
//! `check` learns from it what must be readable and whom damage hits, `prune`
//! what must stay. This walk is the only authority on what is alive.

use std::collections::HashSet;

use crate::codec::content::{ChunkRef, Content};
use crate::codec::manifest::{Entry, EntryKey, EntryKind};
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobRead;
use crate::repo::error::{Damage, RepoError, Result};
use crate::snapshot::content::read::{ListPromise, load_list};
use crate::snapshot::manifest::cursor::{Cursor, Position};
use crate::snapshot::version::load::{base_list, load_version};

/// Which paths a blob is needed for.
#[derive(Debug, Clone, Copy)]
pub enum Paths<'p> {
    /// All from `first` (the first of all, if there is none) up to but not including `until`.
    Span {
        /// The first key.
        first: Option<&'p EntryKey>,
        /// The key after the last one.
        until: Option<&'p EntryKey>,
    },
    /// One file.
    Entry(&'p Entry),
}

/// A blob that a snapshot needs.
#[derive(Debug, Clone, Copy)]
pub struct Reached<'p> {
    /// Its type.
    pub blob_type: BlobType,
    /// Its id.
    pub id: BlobId,
    /// Bytes that it must have, where something says so.
    pub plain_len: Option<u64>,
    /// What it is needed for.
    pub paths: Paths<'p>,
}

/// Is told what is reached.
pub trait Visitor {
    /// A snapshot needs this blob. Nodes, lists and version records are reported once, before they are read; chunks and segments each time.
    /// ([`Reach::of_each_file`] reports lists and version records once a file.)
    fn reached(&mut self, blob: Reached<'_>);

    /// This node, list or record, reported just before, is damaged: what lies below it is not known.
    fn unreadable(&mut self, blob: Reached<'_>, damage: &Damage);

    /// True when the walk should end with [`RepoError::Cancelled`].
    fn cancelled(&self) -> bool {
        false
    }
}

/// Walks any number of manifests, and no node or list twice.
///
/// A damaged node is therefore reported for the first snapshot that leads to it; to attribute damage to each
/// snapshot, walk each with a `Reach` of its own. Memory: about 50 bytes a distinct node or list, so a few MiB for a
/// thousand snapshots of a hundred thousand files.
#[derive(Debug, Default)]
pub struct Reach {
    visited: HashSet<BlobId>,
    of_each_file: bool,
}

impl Reach {
    /// Nothing visited yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, for telling which files need something: what several files share is visited for each of them.
    pub fn of_each_file() -> Self {
        Self { of_each_file: true, ..Self::default() }
    }

    /// Nodes and lists visited so far.
    pub fn visited(&self) -> usize {
        self.visited.len()
    }

    /// Visits what the manifest with this root leads to. Damage goes to the visitor; other errors end the walk.
    pub fn walk(
        &mut self,
        blobs: &dyn BlobRead,
        root: &BlobId,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let blob = node(*root, Paths::Span { first: None, until: None });
        if !self.visited.insert(*root) {
            return Ok(());
        }
        visitor.reached(blob);
        let Some(mut cursor) = readable(Cursor::open(blobs, root), blob, visitor)? else {
            return Ok(());
        };
        while self.step(&mut cursor, blobs, visitor)? {}
        Ok(())
    }

    fn step(
        &mut self,
        cursor: &mut Cursor<'_>,
        blobs: &dyn BlobRead,
        visitor: &mut dyn Visitor,
    ) -> Result<bool> {
        match cursor.position() {
            Position::End => return Ok(false),
            Position::Entry(entry) => self.entry(entry, blobs, visitor)?,
            Position::Subtree { child, until, .. } if self.visited.insert(child.id) => {
                if visitor.cancelled() {
                    return Err(RepoError::Cancelled);
                }
                let (child, until) = (child.clone(), until.cloned());
                let paths = Paths::Span { first: Some(&child.first), until: until.as_ref() };
                let blob = node(child.id, paths);
                visitor.reached(blob);
                if readable(cursor.enter(), blob, visitor)?.is_some() {
                    return Ok(true);
                }
            }
            Position::Subtree { .. } => {}
        }
        cursor.skip();
        Ok(true)
    }

    fn entry(
        &mut self,
        entry: &Entry,
        blobs: &dyn BlobRead,
        visitor: &mut dyn Visitor,
    ) -> Result<()> {
        let EntryKind::File(file) = &entry.kind else { return Ok(()) };
        let mut of_this_file = HashSet::new();
        let visited = if self.of_each_file { &mut of_this_file } else { &mut self.visited };
        match &file.content {
            Content::Inline(chunks) => {
                reach_chunks(chunks, entry, visitor);
                Ok(())
            }
            Content::Version { record, len } => {
                let mut lists = Lists { visited, blobs, entry, visitor };
                lists.version(record, *len)
            }
            Content::List { root, len } => {
                let item = ChunkRef { id: *root, len: *len };
                let mut lists = Lists { visited, blobs, entry, visitor };
                lists.visit(ListPromise { item, level: None })
            }
        }
    }
}

/// The version and the lists of one file.
struct Lists<'w> {
    visited: &'w mut HashSet<BlobId>,
    blobs: &'w dyn BlobRead,
    entry: &'w Entry,
    visitor: &'w mut dyn Visitor,
}

impl<'w> Lists<'w> {
    /// A version is what its record says, without any other: the base's list, and every segment of every layer.
    fn version(&mut self, id: &BlobId, len: u64) -> Result<()> {
        if !self.visited.insert(*id) {
            return Ok(());
        }
        let blob = self.blob(BlobType::VersionRecord, *id);
        self.visitor.reached(blob);
        let loaded = load_version(self.blobs, id, Some(len));
        let Some(record) = readable(loaded, blob, self.visitor)? else { return Ok(()) };
        self.visit(ListPromise { item: base_list(&record), level: None })?;
        for segment in record.layers.iter().flat_map(|layer| &layer.segments) {
            self.visitor.reached(self.blob(BlobType::PagePatch, segment.id));
        }
        Ok(())
    }

    fn blob(&self, blob_type: BlobType, id: BlobId) -> Reached<'w> {
        Reached { blob_type, id, plain_len: None, paths: Paths::Entry(self.entry) }
    }

    /// Recursion is as deep as `MAX_LIST_LEVEL`: levels descend, and the codec bounds the top's.
    fn visit(&mut self, promise: ListPromise) -> Result<()> {
        let id = promise.item.id;
        if !self.visited.insert(id) {
            return Ok(());
        }
        if self.visitor.cancelled() {
            return Err(RepoError::Cancelled);
        }
        let blob = self.blob(BlobType::ContentList, id);
        self.visitor.reached(blob);
        let Some(list) = readable(load_list(self.blobs, promise), blob, self.visitor)? else {
            return Ok(());
        };
        let Some(below) = list.level.checked_sub(1) else {
            reach_chunks(&list.items, self.entry, self.visitor);
            return Ok(());
        };
        list.items
            .into_iter()
            .try_for_each(|item| self.visit(ListPromise { item, level: Some(below) }))
    }
}

fn reach_chunks(chunks: &[ChunkRef], entry: &Entry, visitor: &mut dyn Visitor) {
    for chunk in chunks {
        visitor.reached(Reached {
            blob_type: BlobType::Data,
            id: chunk.id,
            plain_len: Some(chunk.len),
            paths: Paths::Entry(entry),
        });
    }
}

fn node(id: BlobId, paths: Paths<'_>) -> Reached<'_> {
    Reached { blob_type: BlobType::ManifestNode, id, plain_len: None, paths }
}

/// Tells the visitor of damage; nothing then.
fn readable<T>(
    result: Result<T>,
    blob: Reached<'_>,
    visitor: &mut dyn Visitor,
) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(RepoError::Damaged(damage)) => {
            visitor.unreadable(blob, &damage);
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
