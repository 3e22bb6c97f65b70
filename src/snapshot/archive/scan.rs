//! The bulk pass: one thread walks, several read and store, one puts the entries in order.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::observe::Observer;
use crate::repo::blobs::BlobWrite;
use crate::repo::error::RepoError;
use crate::snapshot::archive::collector::Collector;
use crate::snapshot::archive::draft::Draft;
use crate::snapshot::archive::file::FileStore;
use crate::snapshot::archive::previous::Previous;
use crate::snapshot::archive::reading::read;
use crate::snapshot::archive::slots::{Job, Late, Slot};
use crate::snapshot::archive::tally::Tally;
use crate::snapshot::archive::walker::Walker;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::source::unchanged::HardLinks;

/// How far the walk may be ahead of the slowest file.
const SLOTS: usize = 512;

/// What the bulk pass found.
pub(super) struct Scanned {
    pub(super) draft: Draft,
    pub(super) late: Late,
    pub(super) parent_damage: Option<RepoError>,
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
