//! What the threads of the bulk pass hand to each other, and what the pass leaves to the captures.

use std::sync::mpsc::{Receiver, SyncSender};

use crate::codec::manifest::{Entry, EntryKey};
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::read::Described;
use crate::snapshot::source::walk::Item;

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
    Problem(EntryKey, Problem),
    Notice(EntryKey, String),
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
