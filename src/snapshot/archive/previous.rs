//! The previous manifest, read beside the walk: both are in the order of keys, so one pass joins them.

use std::iter::Peekable;

use crate::codec::content::Content;
use crate::codec::manifest::{Entry, EntryKey, EntryKind};
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::{BlobRead, BlobWrite};
use crate::repo::error::RepoError;
use crate::snapshot::archive::Parent;
use crate::snapshot::archive::references::carry::Watched;
use crate::snapshot::content::read::chunks;
use crate::snapshot::manifest::read::{Entries, ManifestReader};
use crate::snapshot::version::load::{base_list, load_version};

/// The entries of the parent that the walk has not come to yet.
pub(super) struct Previous<'a> {
    parent: Option<Parent<'a>>,
    entries: Option<Peekable<Entries<'a>>>,
    /// Files that the parent has and the walk has passed.
    pub(super) removed_files: u64,
    /// Why the rest of the parent cannot be read.
    pub(super) damage: Option<RepoError>,
    /// Directories whose files rows name.
    pub(super) watched: Watched,
}

impl<'a> Previous<'a> {
    pub(super) fn open(parent: Option<Parent<'a>>) -> Result<Self, RepoError> {
        let watched = parent.map(|parent| Watched::of(parent.databases)).unwrap_or_default();
        let mut previous = Self { parent, entries: None, removed_files: 0, damage: None, watched };
        if let Some(parent) = parent {
            match ManifestReader::new(parent.blobs, parent.manifest).entries() {
                Ok(entries) => previous.entries = Some(entries.peekable()),
                Err(error) => previous.give_up(error)?,
            }
        }
        Ok(previous)
    }

    /// When the parent began, for entries that do not say when they were read.
    pub(super) fn began_ns(&self) -> i64 {
        self.parent.map_or(i64::MIN, |parent| parent.began_ns)
    }

    /// The parent's entry with this key. Keys must ascend from call to call; what lies between was removed.
    pub(super) fn take(&mut self, key: &EntryKey) -> Result<Option<Entry>, RepoError> {
        loop {
            let Some(entries) = &mut self.entries else { return Ok(None) };
            match entries.peek() {
                None => return Ok(None),
                Some(Ok(entry)) if entry.key > *key => return Ok(None),
                Some(_) => {}
            }
            match entries.next() {
                Some(Ok(entry)) if entry.key == *key => return Ok(Some(entry)),
                Some(Ok(entry)) => self.pass(&entry),
                Some(Err(error)) => self.give_up(error)?,
                None => return Ok(None),
            }
        }
    }

    /// Counts what the parent has beyond the last key.
    pub(super) fn finish(&mut self) -> Result<(), RepoError> {
        while let Some(entry) = self.entries.as_mut().and_then(Iterator::next) {
            match entry {
                Ok(entry) => self.pass(&entry),
                Err(error) => self.give_up(error)?,
            }
        }
        Ok(())
    }

    fn pass(&mut self, entry: &Entry) {
        self.watched.touch(&entry.key);
        if matches!(entry.kind, EntryKind::File(_)) {
            self.removed_files += 1;
        }
    }

    /// A damaged parent costs a full walk from here on; a failing repository ends the run.
    fn give_up(&mut self, error: RepoError) -> Result<(), RepoError> {
        self.entries = None;
        self.watched.touch_all();
        if error.damage().is_none() {
            return Err(error);
        }
        self.damage = Some(error);
        Ok(())
    }

    /// True when the repository has every blob of an entry, at places that may be relied upon.
    pub(super) fn is_stored(
        &self,
        entry: &Entry,
        blobs: &dyn BlobWrite,
    ) -> Result<bool, RepoError> {
        let (EntryKind::File(file), Some(parent)) = (&entry.kind, self.parent) else {
            return Ok(true);
        };
        has_all(&file.content, parent.blobs, blobs)
    }
}

fn has_all(
    content: &Content,
    read: &dyn BlobRead,
    blobs: &dyn BlobWrite,
) -> Result<bool, RepoError> {
    if let Content::Version { record, len } = content {
        return has_version((record, *len), read, blobs);
    }
    if let Content::List { root, .. } = content
        && !blobs.has(BlobType::ContentList, root)?
    {
        return Ok(false);
    }
    for chunk in chunks(content, read) {
        match chunk {
            Ok(chunk) if blobs.has(BlobType::Data, &chunk.chunk.id)? => {}
            Ok(_) => return Ok(false),
            // A list that cannot be read is not relied upon: the file is read again.
            Err(error) if error.damage().is_some() => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// The record, the base's list and chunks, and all segments. Nothing is decoded: what is listed here at places that may be relied upon
/// was proved when it was stored.
fn has_version(
    (id, len): (&BlobId, u64),
    read: &dyn BlobRead,
    blobs: &dyn BlobWrite,
) -> Result<bool, RepoError> {
    if !blobs.has(BlobType::VersionRecord, id)? {
        return Ok(false);
    }
    let record = match load_version(read, id, Some(len)) {
        Ok(record) => record,
        Err(error) if error.damage().is_some() => return Ok(false),
        Err(error) => return Err(error),
    };
    for segment in record.layers.iter().flat_map(|layer| &layer.segments) {
        if !blobs.has(BlobType::PagePatch, &segment.id)? {
            return Ok(false);
        }
    }
    let base = base_list(&record);
    has_all(&Content::List { root: base.id, len: base.len }, read, blobs)
}
