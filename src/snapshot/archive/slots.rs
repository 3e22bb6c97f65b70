//! What the threads of the bulk pass hand to each other, and what the pass leaves to the captures.

use std::sync::mpsc::{Receiver, SyncSender};

use crate::codec::manifest::{Entry, EntryKey};
use crate::snapshot::archive::ArchiveError;
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::read::Described;
use crate::snapshot::source::walk::{Item, Skipped};

/// What the bulk pass leaves to the captures.
#[derive(Default)]
pub(super) struct Late {
    pub(super) databases: Vec<LateDatabase>,
    pub(super) side_files: Vec<SideFile>,
    /// Databases beside which there is a file that is excluded.
    pub(super) given_away: Vec<EntryKey>,
    /// Directories whose contents are left out.
    pub(super) not_entered: Vec<EntryKey>,
}

/// A database, to be captured.
#[derive(Clone)]
pub(super) struct LateDatabase {
    pub(super) item: Item,
    /// The parent's entry, when the repository has all of it.
    pub(super) previous: Option<Entry>,
}

/// A file that has the name of one beside a database: part of what the capture reads, or anybody's.
pub(super) struct SideFile {
    pub(super) item: Item,
    pub(super) main: EntryKey,
    pub(super) previous: Option<Entry>,
}

/// What becomes an entry of the draft, in the order of the walk.
pub(super) enum Slot {
    /// Finished: unchanged, or nothing that has bytes.
    Ready(Described),
    /// A worker has it; one that fails ends the run and says nothing here.
    Reading {
        item: Item,
        previous: Option<Entry>,
        outcome: Receiver<Read>,
    },
    /// Another name of an inode that came before.
    Link {
        item: Item,
        previous: Option<Entry>,
    },
    Database(LateDatabase),
    SideFile(SideFile),
    /// There is a file beside this database; that file is excluded.
    GivenAway(EntryKey),
    Problem(EntryKey, Problem),
    /// A directory that is saved without what is in it, or not at all.
    NotEntered(EntryKey, Skipped),
}

/// Handing every entry over by itself would cost more than taking it over does.
const BATCH_SLOTS: usize = 64;

/// A batch of large files is handed over sooner, so that progress shows.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;

/// The walking thread's end of the way to the collector.
pub(super) struct Batches {
    to: SyncSender<Vec<Slot>>,
    batch: Vec<Slot>,
    bytes: u64,
}

impl Batches {
    pub(super) fn new(to: SyncSender<Vec<Slot>>) -> Self {
        Self { to, batch: Vec::with_capacity(BATCH_SLOTS), bytes: 0 }
    }

    pub(super) fn push(&mut self, slot: Slot) -> Result<(), ArchiveError> {
        if let Slot::Reading { item, .. } | Slot::Link { item, .. } = &slot {
            self.bytes = self.bytes.saturating_add(item.stat.size);
        }
        self.batch.push(slot);
        if self.batch.len() < BATCH_SLOTS && self.bytes < BATCH_BYTES {
            return Ok(());
        }
        self.flush()
    }

    /// Hands over what is there. The collector goes before the walk has ended only when it has failed.
    pub(super) fn flush(&mut self) -> Result<(), ArchiveError> {
        self.bytes = 0;
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH_SLOTS));
        self.to.send(batch).map_err(|_| ArchiveError::Cancelled)
    }
}

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
    pub(super) outcome: SyncSender<Read>,
}
