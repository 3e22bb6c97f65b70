//! The bulk pass: one thread walks, several read and store, one puts the entries in order.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileEntry, Origin};
use crate::observe::Observer;
use crate::repo::blobs::BlobWrite;
use crate::repo::error::RepoError;
use crate::snapshot::archive::draft::Draft;
use crate::snapshot::archive::file::{Scratch, Stored, store_file};
use crate::snapshot::archive::previous::Previous;
use crate::snapshot::archive::tally::Tally;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::beneath::split_last;
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::metadata::{ItemKind, Stat};
use crate::snapshot::source::read::{ATTEMPTS, Described, ReadPolicy};
use crate::snapshot::source::unchanged::{HardLinks, Trust, unchanged};
use crate::snapshot::source::walk::{Event, Item, Source};
use crate::sqlite::recognise::{SideFiles, recognise, side_file_of};

/// How far the walk may be ahead of the slowest file.
const SLOTS: usize = 512;

/// What the bulk pass leaves to the captures.
#[derive(Default)]
pub(super) struct Late {
    pub(super) databases: Vec<LateDatabase>,
    pub(super) side_files: Vec<SideFile>,
}

/// A database, to be captured.
pub(super) struct LateDatabase {
    pub(super) item: Item,
    /// The parent's entry, when the repository has all of it.
    pub(super) previous: Option<Entry>,
}

/// A file beside a database: part of what the capture reads.
pub(super) struct SideFile {
    pub(super) item: Item,
    pub(super) main: EntryKey,
}

/// What the bulk pass found.
pub(super) struct Scanned {
    pub(super) draft: Draft,
    pub(super) late: Late,
    pub(super) parent_damage: Option<RepoError>,
}

/// What becomes an entry of the draft, in the order of the walk.
enum Slot {
    /// Finished: unchanged, or nothing that has bytes.
    Ready(Described),
    /// A worker has it.
    Reading {
        item: Item,
        previous: Option<Entry>,
        outcome: Receiver<Outcome>,
    },
    /// Another name of an inode that came before.
    Link {
        item: Item,
        previous: Option<Entry>,
    },
    Database(LateDatabase),
    SideFile(SideFile),
    Problem(EntryKey, Problem),
    Notice(EntryKey, String),
}

type Outcome = Result<Read, ArchiveError>;

/// What reading a file gave.
pub(super) enum Read {
    /// Its entry; its bytes are stored.
    File(Described),
    /// It is a database: nothing was stored.
    Database,
    /// Nothing.
    Problem(Problem),
}

struct Job {
    item: Item,
    outcome: SyncSender<Outcome>,
}

/// Walks every root; see the module.
pub(super) fn scan(
    request: &Request<'_>,
    blobs: &dyn BlobWrite,
    observer: &dyn Observer,
    tally: &mut Tally,
) -> Result<Scanned, ArchiveError> {
    let draft = Draft::create_in(request.spool_dir).map_err(ArchiveError::Spool)?;
    let previous = Previous::open(request.parent)?;
    let stop = AtomicBool::new(false);
    let (jobs, waiting) = sync_channel::<Job>(request.workers * 2);
    let waiting = Mutex::new(waiting);
    let (slots, ordered) = sync_channel::<Slot>(SLOTS);
    thread::scope(|scope| {
        for _ in 0..request.workers {
            scope.spawn(|| work(request, blobs, &waiting, &stop));
        }
        let collecting = scope.spawn(|| {
            let mut collector = Collector {
                request,
                blobs,
                observer,
                draft,
                late: Late::default(),
                links: HardLinks::default(),
                tally,
            };
            let result = collector.collect(ordered);
            stop.store(true, Ordering::Relaxed);
            result.map(|()| (collector.draft, collector.late))
        });
        let mut walker = Walker {
            request,
            blobs,
            observer,
            previous,
            stop: &stop,
            slots,
            jobs,
            seen: HashSet::new(),
        };
        let walked = walker.walk_all();
        let (removed, parent_damage) =
            (walker.previous.removed_files, walker.previous.damage.take());
        drop(walker);
        let collected = collecting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        // A worker's or the collector's error is the cause; that the walk then stopped is its effect.
        let (draft, late) = collected?;
        walked?;
        Ok((Scanned { draft, late, parent_damage }, removed))
    })
    .map(|(scanned, removed)| {
        tally.counts.removed_files = removed;
        scanned
    })
}

fn work(
    request: &Request<'_>,
    blobs: &dyn BlobWrite,
    waiting: &Mutex<Receiver<Job>>,
    stop: &AtomicBool,
) {
    let mut scratch = Scratch::new();
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if stop.load(Ordering::Relaxed) {
            continue;
        }
        let outcome = read(request, blobs, &job.item, &mut scratch);
        if outcome.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        // Nobody waits any more when the collector has failed.
        let _ = job.outcome.send(outcome);
    }
}

/// Reads one file and stores what is new of it.
pub(super) fn read(
    request: &Request<'_>,
    blobs: &dyn BlobWrite,
    item: &Item,
    scratch: &mut Scratch,
) -> Outcome {
    let source = source_of(request, &item.key)?;
    let path = absolute(source, &item.key);
    let policy = ReadPolicy { attempts: ATTEMPTS, now_ns: request.clock };
    let is_database = |head: &[u8]| recognise(head, SideFiles::beside(&path)).is_some();
    let read = source.read_file(&item.key.path, policy, |bytes| {
        let len = bytes.size();
        store_file(bytes, len, &request.cut, blobs, scratch, is_database)
    })?;
    Ok(match read {
        Err(problem) => Read::Problem(problem),
        Ok(file) if matches!(file.value, Stored::Special) => Read::Database,
        Ok(file) => Read::File(file.describe(item, Stored::into_content)),
    })
}

/// The root that a key belongs to.
pub(super) fn source_of<'a>(
    request: &Request<'a>,
    key: &EntryKey,
) -> Result<&'a Source, ArchiveError> {
    let source = usize::try_from(key.root).ok().and_then(|root| request.sources.get(root));
    Ok(source.expect("invariant: keys are made from the sources of the request"))
}

/// Where a key is on disk.
pub(super) fn absolute(source: &Source, key: &EntryKey) -> PathBuf {
    if key.path.is_empty() {
        source.path().to_path_buf()
    } else {
        source.path().join(Path::new(OsStr::from_bytes(&key.path)))
    }
}

struct Walker<'a, 'w> {
    request: &'w Request<'a>,
    blobs: &'w dyn BlobWrite,
    observer: &'w dyn Observer,
    previous: Previous<'a>,
    stop: &'w AtomicBool,
    slots: SyncSender<Slot>,
    jobs: SyncSender<Job>,
    /// Inodes with several names that were handed out.
    seen: HashSet<(u64, u64)>,
}

impl Walker<'_, '_> {
    fn walk_all(&mut self) -> Result<(), ArchiveError> {
        for (source, walk) in self.request.sources.iter().zip(self.request.walks) {
            let trust = Trust {
                granularity_ns: source.file_system().granularity_ns,
                previous_began_ns: self.previous.began_ns(),
            };
            for event in source.walk(*walk)? {
                if self.observer.cancelled() {
                    return Err(ArchiveError::Cancelled);
                }
                let slot = self.slot(source, event?, &trust)?;
                if self.stop.load(Ordering::Relaxed) || self.slots.send(slot).is_err() {
                    return Ok(());
                }
            }
        }
        Ok(self.previous.finish()?)
    }

    fn slot(&mut self, source: &Source, event: Event, trust: &Trust) -> Result<Slot, ArchiveError> {
        match event {
            Event::Item(item) => self.item(source, item, trust),
            Event::Problem { key, problem } => Ok(Slot::Problem(key, problem)),
            Event::Skipped { key, why } => Ok(Slot::Notice(key, why.to_string())),
        }
    }

    fn item(&mut self, source: &Source, item: Item, trust: &Trust) -> Result<Slot, ArchiveError> {
        let previous = self.previous.take(&item.key)?;
        if let Some(main) = self.database_beside(source, &item) {
            return Ok(Slot::SideFile(SideFile { item, main }));
        }
        let stored = match &previous {
            Some(entry) => self.previous.is_stored(entry, self.blobs)?,
            None => false,
        };
        match previous {
            Some(entry) if stored && unchanged(&entry, &item.stat, trust) => {
                return Ok(Slot::Ready(Described { entry, attributes_left_out: false }));
            }
            Some(entry) if is_database(&entry) => {
                let previous = stored.then_some(entry);
                return Ok(Slot::Database(LateDatabase { item, previous }));
            }
            _ => {}
        }
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
        // Workers end only after this sender is gone; a failed send would mean that they panicked, which joining reports.
        let _ = self.jobs.send(Job { item: item.clone(), outcome });
        Ok(Slot::Reading { item, previous, outcome: receiver })
    }

    /// The database that a file would belong to by its name, when that is one.
    fn database_beside(&self, source: &Source, item: &Item) -> Option<EntryKey> {
        let (parent, name) = split_last(&item.key.path);
        if item.stat.kind != ItemKind::File {
            return None;
        }
        let name = side_file_of(OsStr::from_bytes(name))?.as_bytes();
        let main = if parent.is_empty() { name.to_vec() } else { [parent, b"/", name].concat() };
        let key = source.key(&main);
        let (file, _) = source.open_regular(&main).ok()?;
        let mut head = [0; 100];
        let len = rustix::io::pread(&file, &mut head, 0).ok()?;
        recognise(&head[..len], SideFiles::beside(&absolute(source, &key))).map(|_| key)
    }
}

fn is_database(entry: &Entry) -> bool {
    matches!(&entry.kind, EntryKind::File(file) if file.origin == Origin::Database)
}

struct Collector<'a, 'w> {
    request: &'w Request<'a>,
    blobs: &'w dyn BlobWrite,
    observer: &'w dyn Observer,
    draft: Draft,
    late: Late,
    links: HardLinks<FileEntry>,
    tally: &'w mut Tally,
}

impl Collector<'_, '_> {
    fn collect(&mut self, ordered: Receiver<Slot>) -> Result<(), ArchiveError> {
        for slot in ordered {
            match slot {
                Slot::Ready(described) => self.take(described)?,
                Slot::Reading { item, previous, outcome } => match outcome.recv() {
                    Ok(read) => self.take_read(item, previous, read?)?,
                    // Dropped unread: another file has failed, and its slot will say how.
                    Err(_) => {}
                },
                Slot::Link { item, previous } => self.take_link(item, previous)?,
                Slot::Database(database) => self.late.databases.push(database),
                Slot::SideFile(file) => self.late.side_files.push(file),
                Slot::Problem(key, problem) => self.tally.problem(key, &problem),
                Slot::Notice(key, text) => self.tally.notice(key, text),
            }
        }
        Ok(())
    }

    fn take_link(&mut self, item: Item, previous: Option<Entry>) -> Result<(), ArchiveError> {
        let source = source_of(self.request, &item.key)?;
        let read = match self.links.earlier(&item.stat) {
            Some(file) => match source.describe_file(&item, file) {
                Ok(described) => Read::File(described),
                Err(problem) => Read::Problem(problem),
            },
            None => read(self.request, self.blobs, &item, &mut Scratch::new())?,
        };
        self.take_read(item, previous, read)
    }

    fn take_read(
        &mut self,
        item: Item,
        previous: Option<Entry>,
        read: Read,
    ) -> Result<(), ArchiveError> {
        match read {
            Read::File(described) => {
                if let EntryKind::File(file) = &described.entry.kind {
                    self.links.remember(&stat_of(&described.entry, file.size), file.clone());
                    if file.origin == Origin::Unstable {
                        self.tally.finding(
                            item.key,
                            "kept changing while it was read; what is saved is not one state of it",
                        );
                    }
                }
                self.tally.compare(previous.as_ref(), &described.entry);
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
        let Described { entry, attributes_left_out } = described;
        if attributes_left_out {
            self.tally.finding(entry.key.clone(), Problem::AttributesTooLarge.to_string());
        }
        if let EntryKind::File(file) = &entry.kind {
            self.observer.advance(1, file.size);
        }
        if let Some(rule) = entry.broken_rule() {
            self.tally.finding(entry.key, format!("{rule}; not saved"));
            return Ok(());
        }
        self.draft.push(entry).map_err(ArchiveError::Spool)
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
