//! The collecting thread of the bulk pass: entries in the order of the walk, whatever order they were read in.

use std::sync::mpsc::Receiver;

use crate::codec::manifest::{Entry, EntryKind, FileEntry};
use crate::observe::Observer;
use crate::repo::blobs::BlobWrite;
use crate::snapshot::archive::draft::Draft;
use crate::snapshot::archive::file::FileStore;
use crate::snapshot::archive::reading::{read, source_of};
use crate::snapshot::archive::slots::{Late, LateDatabase, Read, Slot};
use crate::snapshot::archive::stop::Stop;
use crate::snapshot::archive::tally::Tally;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::source::metadata::{ItemKind, Stat};
use crate::snapshot::source::read::Described;
use crate::snapshot::source::unchanged::HardLinks;
use crate::snapshot::source::walk::Item;

pub(super) struct Collector<'a, 'w> {
    pub(super) request: &'w Request<'a>,
    pub(super) blobs: &'w dyn BlobWrite,
    pub(super) observer: &'w dyn Observer,
    pub(super) stop: &'w Stop<'w>,
    pub(super) draft: Draft,
    pub(super) late: Late,
    pub(super) links: HardLinks<FileEntry>,
    pub(super) tally: &'w mut Tally,
}

impl Collector<'_, '_> {
    /// Takes every slot of the walk; the draft is then complete, databases and the files beside them apart.
    pub(super) fn collect(
        mut self,
        ordered: Receiver<Vec<Slot>>,
    ) -> Result<(Draft, Late), ArchiveError> {
        let mut unread = false;
        for slot in ordered.into_iter().flatten() {
            match slot {
                Slot::Ready(described) => {
                    self.observer.advance(0, size_of(&described.entry));
                    self.take(described)?;
                }
                Slot::Reading { item, previous, outcome } => match outcome.recv() {
                    Ok(read) => self.take_read(item, previous.as_ref(), read)?,
                    Err(_) => unread = true,
                },
                Slot::Link { item, previous } => self.take_link(item, previous.as_ref())?,
                Slot::Database(database) => self.late.databases.push(database),
                Slot::SideFile(file) => self.late.side_files.push(file),
                Slot::GivenAway(main) => self.late.given_away.push(main),
                Slot::Problem(key, problem) => self.tally.problem(key, &problem),
                Slot::NotEntered(key, why) => {
                    self.late.not_entered.push(key.clone());
                    self.tally.notice(key, why.to_string());
                }
            }
        }
        // The worker has said why, or panicked. A draft with a hole must not become a snapshot in any case.
        if unread { Err(ArchiveError::Cancelled) } else { Ok((self.draft, self.late)) }
    }

    fn file_store(&self) -> FileStore<'_> {
        FileStore::new(self.request.cut, self.blobs, self.stop)
    }

    fn take_link(&mut self, item: Item, previous: Option<&Entry>) -> Result<(), ArchiveError> {
        let source = source_of(self.request, &item.key);
        let read = match self.links.earlier(&item.stat) {
            Some(file) => match source.describe_file(&item, file) {
                Ok(described) => Read::File(described),
                Err(problem) => Read::Problem(problem),
            },
            None => read(self.request, &item, &mut self.file_store())?,
        };
        if let Read::File(described) = &read {
            self.observer.advance(0, size_of(&described.entry));
        }
        self.take_read(item, previous, read)
    }

    fn take_read(
        &mut self,
        item: Item,
        previous: Option<&Entry>,
        read: Read,
    ) -> Result<(), ArchiveError> {
        match read {
            Read::File(described) => {
                if let EntryKind::File(file) = &described.entry.kind {
                    self.links.remember(&stat_of(&described.entry, file.size), file.clone());
                }
                self.tally.compare(previous, &described.entry);
                self.take(described)
            }
            Read::Database => {
                self.late.databases.push(LateDatabase { item, previous: None });
                Ok(())
            }
            Read::Problem(problem) => {
                self.tally.problem(item.key, &problem);
                Ok(())
            }
        }
    }

    fn take(&mut self, described: Described) -> Result<(), ArchiveError> {
        self.tally.flaws(&described);
        let entry = described.entry;
        if matches!(entry.kind, EntryKind::File(_)) {
            // Its bytes were told by whoever read it.
            self.observer.advance(1, 0);
        }
        if let Some(rule) = entry.broken_rule() {
            self.tally.finding(entry.key, format!("{rule}; not saved"));
            return Ok(());
        }
        self.draft.push(entry).map_err(ArchiveError::Spool)
    }
}

/// Bytes of a file; none of anything else.
pub(super) fn size_of(entry: &Entry) -> u64 {
    match &entry.kind {
        EntryKind::File(file) => file.size,
        _ => 0,
    }
}

/// The inode that an entry of a file was made from.
fn stat_of(entry: &Entry, size: u64) -> Stat {
    Stat {
        kind: ItemKind::File,
        mode: entry.mode,
        uid: entry.uid,
        gid: entry.gid,
        size,
        allocated_bytes: 0,
        mtime: entry.mtime,
        ctime: entry.ctime,
        device: entry.device,
        inode: entry.inode,
        links: entry.links,
        rdev: (0, 0),
    }
}
