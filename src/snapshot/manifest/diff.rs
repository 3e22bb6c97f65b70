//! Comparing two manifests by skipping the subtrees that they share.

use std::cmp::Ordering;

use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileEntry};
use crate::id::BlobId;
use crate::repo::blobs::BlobRead;
use crate::repo::error::Result;
use crate::snapshot::manifest::cursor::{Cursor, Position};

/// One difference between two manifests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Only the later manifest has it.
    Added(Box<Entry>),
    /// Only the earlier manifest has it.
    Removed(Box<Entry>),
    /// Both have it, and they differ in any field.
    Changed {
        /// As it was.
        before: Box<Entry>,
        /// As it is.
        after: Box<Entry>,
    },
}

/// In what two entries with the same key differ. All false: only in what the file system keeps for itself
/// (inode, change time, when it was read).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Differences {
    /// A file where a directory was, and the like.
    pub kind: bool,
    /// Bytes, size or holes of a file, the target of a link, the numbers of a device.
    pub content: bool,
    /// Mode, owner, group, modification time, extended attributes.
    pub metadata: bool,
}

impl Differences {
    /// Compares two entries, their keys aside.
    pub fn between(before: &Entry, after: &Entry) -> Self {
        let kind = std::mem::discriminant(&before.kind) != std::mem::discriminant(&after.kind);
        Self {
            kind,
            content: !kind && !same_content(&before.kind, &after.kind),
            metadata: metadata(before) != metadata(after),
        }
    }

    /// True when a person would say that something changed.
    pub fn any(self) -> bool {
        self.kind || self.content || self.metadata
    }
}

fn same_content(before: &EntryKind, after: &EntryKind) -> bool {
    match (before, after) {
        (EntryKind::File(before), EntryKind::File(after)) => bytes_of(before) == bytes_of(after),
        _ => before == after,
    }
}

fn bytes_of(file: &FileEntry) -> impl PartialEq + '_ {
    (file.size, &file.content, &file.sparse)
}

fn metadata(entry: &Entry) -> impl PartialEq + '_ {
    (entry.mode, entry.uid, entry.gid, entry.mtime, &entry.xattrs)
}

/// The differences of two manifests in the order of the keys. Ends after an error. Memory: one node a level, twice.
pub struct Changes<'b> {
    sides: Option<(Cursor<'b>, Cursor<'b>)>,
}

impl<'b> Changes<'b> {
    /// Compares `before` with `after`, the roots of two manifests. Reads nothing when they are the same.
    pub fn between(blobs: &'b dyn BlobRead, before: &BlobId, after: &BlobId) -> Result<Self> {
        if before == after {
            return Ok(Self { sides: None });
        }
        let sides = (Cursor::open(blobs, before)?, Cursor::open(blobs, after)?);
        Ok(Self { sides: Some(sides) })
    }

    fn advance(&mut self) -> Result<Option<Change>> {
        let Some((before, after)) = &mut self.sides else { return Ok(None) };
        loop {
            match step(&before.position(), &after.position()) {
                Step::End => return Ok(None),
                Step::EnterBefore => before.enter()?,
                Step::EnterAfter => after.enter()?,
                Step::SkipBoth => {
                    before.skip();
                    after.skip();
                }
                Step::Added => return Ok(after.next_entry()?.map(|e| Change::Added(e.into()))),
                Step::Removed => {
                    return Ok(before.next_entry()?.map(|e| Change::Removed(e.into())));
                }
                Step::Changed => {
                    let pair = before.next_entry()?.zip(after.next_entry()?);
                    return Ok(pair.map(|(before, after)| Change::Changed {
                        before: before.into(),
                        after: after.into(),
                    }));
                }
            }
        }
    }
}

impl Iterator for Changes<'_> {
    type Item = Result<Change>;

    fn next(&mut self) -> Option<Self::Item> {
        let found = self.advance().transpose();
        if !matches!(found, Some(Ok(_))) {
            self.sides = None;
        }
        found
    }
}

#[derive(Debug, Clone, Copy)]
enum Step {
    EnterBefore,
    EnterAfter,
    /// Both stand at the same subtree, or at equal entries.
    SkipBoth,
    Added,
    Removed,
    Changed,
    End,
}

/// What to do at these places.
///
/// The side whose key is lower has something that the other side has not, so its subtree can be equal to nothing
/// that is still to come there, and is entered. With equal keys the higher subtree is entered: the lower one may be
/// a part of it.
fn step(before: &Position<'_>, after: &Position<'_>) -> Step {
    let order = match (before.key(), after.key()) {
        (None, None) => return Step::End,
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (Some(before), Some(after)) => before.cmp(after),
    };
    match order {
        Ordering::Less if before.is_entry() => Step::Removed,
        Ordering::Less => Step::EnterBefore,
        Ordering::Greater if after.is_entry() => Step::Added,
        Ordering::Greater => Step::EnterAfter,
        Ordering::Equal => step_at_one_key(before, after),
    }
}

fn step_at_one_key(before: &Position<'_>, after: &Position<'_>) -> Step {
    match (before, after) {
        (Position::Entry(before), Position::Entry(after)) if before == after => Step::SkipBoth,
        (Position::Entry(_), Position::Entry(_)) => Step::Changed,
        (Position::Subtree { child: before, .. }, Position::Subtree { child: after, .. })
            if before.id == after.id =>
        {
            Step::SkipBoth
        }
        _ if before.height() >= after.height() => Step::EnterBefore,
        _ => Step::EnterAfter,
    }
}

impl<'c> Position<'c> {
    fn key(&self) -> Option<&'c EntryKey> {
        match *self {
            Self::Subtree { child, .. } => Some(&child.first),
            Self::Entry(entry) => Some(&entry.key),
            Self::End => None,
        }
    }

    fn is_entry(&self) -> bool {
        matches!(self, Self::Entry(_))
    }

    /// 0 for an entry, 1 for a leaf, and so on.
    fn height(&self) -> u16 {
        match self {
            Self::Subtree { level, .. } => u16::from(*level) + 1,
            Self::Entry(_) | Self::End => 0,
        }
    }
}
