//! The bulk pass: one thread walks, several read and store, one puts the entries in order.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::codec::manifest::{Entry, EntryKey};
use crate::observe::Observer;
use crate::repo::blobs::BlobWrite;
use crate::repo::error::RepoError;
use crate::snapshot::archive::collector::Collector;
use crate::snapshot::archive::draft::Draft;
use crate::snapshot::archive::file::{FileStore, Stored};
use crate::snapshot::archive::previous::Previous;
use crate::snapshot::archive::tally::Tally;
use crate::snapshot::archive::walker::Walker;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::read::{ATTEMPTS, Described, ReadPolicy};
use crate::snapshot::source::unchanged::HardLinks;
use crate::snapshot::source::walk::{Item, Source};
use crate::sqlite::recognise::{SideFiles, recognise};

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
pub(super) enum Slot {
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

pub(super) type Outcome = Result<Read, ArchiveError>;

/// What reading a file gave.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly always an entry, which is about to be moved on"
)]
pub(super) enum Read {
    /// Its entry; its bytes are stored.
    File(Described),
    /// It is a database: nothing was stored.
    Database,
    /// Nothing.
    Problem(Problem),
}

pub(super) struct Job {
    pub(super) item: Item,
    pub(super) outcome: SyncSender<Outcome>,
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
    let (late, links, seen) = (Late::default(), HardLinks::default(), HashSet::new());
    let collector = Collector { request, blobs, observer, draft, late, links, tally };
    let walker = Walker { request, blobs, observer, previous, stop: &stop, slots, jobs, seen };
    let (joined, collected) = thread::scope(|scope| {
        for _ in 0..request.workers {
            scope.spawn(|| work(request, blobs, &waiting, &stop));
        }
        let collecting = scope.spawn(|| {
            let collected = collector.collect(ordered);
            stop.store(true, Ordering::Relaxed);
            collected
        });
        // Ends the channels, and with them the other threads.
        let joined = walker.walk_all();
        let collected = collecting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (joined, collected)
    });
    // A worker's or the collector's error is the cause; that the walk then stopped is its effect.
    let (draft, late) = collected?;
    let mut previous = joined?;
    tally.counts.removed_files = previous.removed_files;
    Ok(Scanned { draft, late, parent_damage: previous.damage.take() })
}

fn work(
    request: &Request<'_>,
    blobs: &dyn BlobWrite,
    waiting: &Mutex<Receiver<Job>>,
    stop: &AtomicBool,
) {
    let mut store = FileStore::new(request.cut, blobs);
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        if stop.load(Ordering::Relaxed) {
            continue;
        }
        let outcome = read(request, &job.item, &mut store);
        if outcome.is_err() {
            stop.store(true, Ordering::Relaxed);
        }
        // Nobody waits any more when the collector has failed.
        let _ = job.outcome.send(outcome);
    }
}

/// Reads one file and stores what is new of it.
pub(super) fn read(request: &Request<'_>, item: &Item, store: &mut FileStore<'_>) -> Outcome {
    let source = source_of(request, &item.key);
    let path = absolute(source, &item.key);
    let policy = ReadPolicy { attempts: ATTEMPTS, now_ns: request.clock };
    let is_database = |head: &[u8]| recognise(head, SideFiles::beside(&path)).is_some();
    let read = source.read_file(&item.key.path, policy, |bytes| {
        let len = bytes.size();
        store.store(bytes, len, is_database)
    })?;
    Ok(match read {
        Err(problem) => Read::Problem(problem),
        Ok(file) if matches!(file.value, Stored::Special) => Read::Database,
        Ok(file) => Read::File(file.describe(item, Stored::into_content)),
    })
}

/// The root that a key belongs to.
pub(super) fn source_of<'a>(request: &Request<'a>, key: &EntryKey) -> &'a Source {
    let source = usize::try_from(key.root).ok().and_then(|root| request.sources.get(root));
    source.expect("invariant: keys are made from the sources of the request")
}

/// Where a key is on disk.
pub(super) fn absolute(source: &Source, key: &EntryKey) -> PathBuf {
    if key.path.is_empty() {
        return source.path().to_path_buf();
    }
    source.path().join(Path::new(OsStr::from_bytes(&key.path)))
}
