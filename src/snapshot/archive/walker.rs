//! The walking thread of the bulk pass: joins the walk with the parent and decides what has to be read.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::mpsc::{SyncSender, sync_channel};

use crate::codec::manifest::{Entry, EntryKey, EntryKind, Origin};
use crate::repo::blobs::BlobWrite;
use crate::snapshot::archive::previous::Previous;
use crate::snapshot::archive::reading::absolute;
use crate::snapshot::archive::slots::{Batches, Job, LateDatabase, SideFile, Slot};
use crate::snapshot::archive::stop::Stop;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::beneath::split_last;
use crate::snapshot::source::metadata::ItemKind;
use crate::snapshot::source::read::Described;
use crate::snapshot::source::unchanged::{Trust, unchanged};
use crate::snapshot::source::walk::{Event, Item, Source};
use crate::sqlite::header::{HEADER_BYTES, has_magic};
use crate::sqlite::recognise::{recognise_at, side_file_of};

pub(super) struct Walker<'a, 'w> {
    pub(super) request: &'w Request<'a>,
    pub(super) blobs: &'w dyn BlobWrite,
    pub(super) previous: Previous<'a>,
    pub(super) stop: &'w Stop<'w>,
    pub(super) slots: Batches,
    pub(super) jobs: SyncSender<Job>,
    /// Inodes with several names that were handed out.
    pub(super) seen: HashSet<(u64, u64)>,
}

impl<'a> Walker<'a, '_> {
    /// Walks every root to its end, or until the run is to stop; gives the parent back for what it has counted.
    pub(super) fn walk_all(mut self) -> Result<Previous<'a>, ArchiveError> {
        for (source, walk) in self.request.sources.iter().zip(self.request.walks) {
            let trust = Trust {
                granularity_ns: source.file_system().granularity_ns,
                previous_began_ns: self.previous.began_ns(),
            };
            for event in source.walk(*walk)? {
                self.stop.check()?;
                let slot = self.slot(source, event?, &trust)?;
                if let Some(slot) = slot {
                    self.slots.push(slot)?;
                }
            }
            source.still_there()?;
        }
        self.slots.flush()?;
        self.previous.finish()?;
        Ok(self.previous)
    }

    fn slot(
        &mut self,
        source: &Source,
        event: Event,
        trust: &Trust,
    ) -> Result<Option<Slot>, ArchiveError> {
        Ok(match event {
            Event::Item(item) => Some(self.item(source, item, trust)?),
            Event::Problem { key, problem } => Some(Slot::Problem(key, problem)),
            Event::Skipped { key, why } => Some(Slot::NotEntered(key, why)),
            Event::LeftOutBeside { key } => self.database_beside(source, &key).map(Slot::GivenAway),
        })
    }

    fn item(&mut self, source: &Source, item: Item, trust: &Trust) -> Result<Slot, ArchiveError> {
        let previous = self.previous.take(&item.key)?;
        if item.stat.kind == ItemKind::File
            && let Some(main) = self.database_beside(source, &item.key)
            && !head_of(source, &item).is_some_and(|head| has_magic(&head))
        {
            if previous.is_some() {
                self.previous.watched.touch(&item.key);
            }
            return Ok(Slot::SideFile(SideFile { item, main, previous }));
        }
        match previous {
            Some(entry) if unchanged(&entry, &item.stat, trust) && self.is_stored(&entry)? => {
                Ok(Slot::Ready(Described { entry, attributes_left_out: false }))
            }
            previous => self.changed(source, item, previous),
        }
    }

    fn changed(
        &mut self,
        source: &Source,
        item: Item,
        previous: Option<Entry>,
    ) -> Result<Slot, ArchiveError> {
        let was_directory =
            previous.as_ref().is_some_and(|entry| matches!(entry.kind, EntryKind::Directory));
        match previous {
            // It must be one still: the name may stand for anything by now, a link or an ordinary file. Whether it has changed does not
            // show in its entry.
            Some(entry) if was_database(&entry) && is_database(source, &item) => {
                let previous = self.is_stored(&entry)?.then_some(entry);
                Ok(Slot::Database(LateDatabase { item, previous }))
            }
            previous => {
                // A directory changes with what is in it, and that is looked at by itself.
                if !was_directory || item.stat.kind != ItemKind::Directory {
                    self.previous.watched.touch(&item.key);
                }
                self.anew(source, item, previous)
            }
        }
    }

    fn is_stored(&self, entry: &Entry) -> Result<bool, ArchiveError> {
        Ok(self.previous.is_stored(entry, self.blobs)?)
    }

    /// Something that cannot be taken over.
    fn anew(
        &mut self,
        source: &Source,
        item: Item,
        previous: Option<Entry>,
    ) -> Result<Slot, ArchiveError> {
        if item.stat.kind != ItemKind::File {
            return Ok(match source.describe(&item) {
                Ok(described) => Slot::Ready(described),
                Err(problem) => Slot::Problem(item.key, problem),
            });
        }
        if item.stat.links > 1 && !self.seen.insert((item.stat.device, item.stat.inode)) {
            return Ok(Slot::Link { item, previous });
        }
        let (outcome, receiver) = sync_channel(1);
        // Workers end before this sender only when they have panicked, which joining reports.
        let job = Job { item: item.clone(), outcome };
        self.jobs.send(job).map_err(|_| ArchiveError::Cancelled)?;
        Ok(Slot::Reading { item, previous, outcome: receiver })
    }

    /// The database that a file would belong to by its name, when that is one and not excluded.
    fn database_beside(&self, source: &Source, key: &EntryKey) -> Option<EntryKey> {
        let (parent, name) = split_last(&key.path);
        let name = side_file_of(OsStr::from_bytes(name))?.as_bytes();
        let main = if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() };
        let root = usize::try_from(key.root).ok()?;
        if self.request.walks.get(root)?.excludes.excludes(&main, false) {
            return None;
        }
        let main = source.look(&main).ok()?;
        is_database(source, &main).then_some(main.key)
    }
}

/// Looks into a file for what makes it a database.
fn is_database(source: &Source, item: &Item) -> bool {
    let head = head_of(source, item);
    head.is_some_and(|head| recognise_at(&head, &absolute(source, &item.key)).is_some())
}

fn head_of(source: &Source, item: &Item) -> Option<Vec<u8>> {
    let mut head = vec![0; HEADER_BYTES];
    let (file, _) = source.open_regular(&item.key.path).ok()?;
    let len = rustix::io::pread(&file, &mut head, 0).ok()?;
    head.truncate(len);
    Some(head)
}

fn was_database(entry: &Entry) -> bool {
    matches!(&entry.kind, EntryKind::File(file) if file.origin == Origin::Database)
}
