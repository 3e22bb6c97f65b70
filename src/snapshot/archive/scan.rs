//! The bulk pass: one thread walks, several read and store, one puts the entries in order.

use std::collections::HashSet;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::observe::Observer;
use crate::repo::blobs::BlobWrite;
use crate::repo::error::RepoError;
use crate::snapshot::archive::collector::{Collector, size_of};
use crate::snapshot::archive::draft::Draft;
use crate::snapshot::archive::file::FileStore;
use crate::snapshot::archive::previous::Previous;
use crate::snapshot::archive::reading::read;
use crate::snapshot::archive::references::carry::Watched;
use crate::snapshot::archive::slots::{Batches, Job, Late, Read, Slot};
use crate::snapshot::archive::stop::{EndsTogether, Stop};
use crate::snapshot::archive::tally::Tally;
use crate::snapshot::archive::walker::Walker;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::source::unchanged::HardLinks;

/// How far the walk may be ahead of the slowest file, in batches: in all about 16,000 entries, or 1 GiB of files.
const BATCHES: usize = 256;

/// What the bulk pass found.
pub(super) struct Scanned {
    pub(super) draft: Draft,
    pub(super) late: Late,
    pub(super) parent_damage: Option<RepoError>,
    /// Where files that rows name have changed since the parent.
    pub(super) watched: Watched,
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
    let stop = Stop::new(observer);
    let (jobs, waiting) = sync_channel::<Job>(request.workers * 2);
    let waiting = Arc::new(Mutex::new(waiting));
    let (slots, ordered) = sync_channel::<Vec<Slot>>(BATCHES);
    let (late, links, seen) = (Late::default(), HardLinks::default(), HashSet::new());
    let collector = Collector { request, blobs, observer, stop: &stop, draft, late, links, tally };
    let walker =
        Walker { request, blobs, previous, stop: &stop, slots: Batches::new(slots), jobs, seen };
    let (walked, collected) = thread::scope(|scope| {
        for _ in 0..request.workers {
            let waiting = Arc::clone(&waiting);
            scope.spawn(|| work(request, blobs, waiting, &stop));
        }
        // The jobs that nobody has taken yet go with the last worker: then nobody waits for what will not come.
        drop(waiting);
        let collecting = scope.spawn(|| {
            let _together = EndsTogether(&stop);
            collector.collect(ordered).map_err(|error| stop.fail(error)).ok()
        });
        let _together = EndsTogether(&stop);
        // Ends the channels, and with them the other threads.
        let walked = walker.walk_all().map_err(|error| stop.fail(error)).ok();
        let collected = collecting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (walked, collected)
    });
    if let Some(cause) = stop.into_cause() {
        return Err(cause);
    }
    let (Some(mut previous), Some((draft, late))) = (walked, collected) else {
        return Err(ArchiveError::Cancelled);
    };
    tally.counts.removed_files = previous.removed_files;
    let watched = std::mem::take(&mut previous.watched);
    Ok(Scanned { draft, late, parent_damage: previous.damage.take(), watched })
}

/// Reads files until there are no more. Takes its share of the queue with it when it ends.
fn work(
    request: &Request<'_>,
    blobs: &dyn BlobWrite,
    waiting: Arc<Mutex<Receiver<Job>>>,
    stop: &Stop<'_>,
) {
    let _together = EndsTogether(stop);
    let mut store = FileStore::new(request.cut, blobs, stop);
    loop {
        let job = waiting.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { break };
        let len = job.item.stat.size;
        store.tell(len);
        match stop.check().and_then(|()| read(request, &job.item, &mut store)) {
            Ok(read) => {
                if let Read::File(described) = &read {
                    store.told(len, size_of(&described.entry));
                }
                // Nobody waits any more when the collector has failed.
                drop(job.outcome.send(read));
            }
            Err(error) => stop.fail(error),
        }
    }
    drop(waiting);
}
