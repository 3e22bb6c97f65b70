//! One moment: the disk, the processes, and what has been promised.

use crate::disk::Disk;
use crate::object::{Blobs, Dir, Entries, EntryId, Place, Snap};
use crate::process::Kind;

/// Holding the repository shared.
pub(crate) const SHARED: u8 = 1;
/// Holding the repository exclusively.
pub(crate) const EXCLUSIVE: u8 = 2;
/// Holding maintenance.
pub(crate) const MAINTENANCE: u8 = 4;

/// One call of the backend, or what is said when the one before it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Call {
    /// A durable object gets its name: a rename out of the private directory.
    Publish(EntryId),
    /// A rename between directories. What is gone already is taken for moved by an earlier run.
    Move(EntryId, EntryId),
    /// An unlink. What is gone already is no error.
    Unlink(EntryId),
    /// A directory is synced.
    Sync(Dir),
    /// A promise is given.
    Say(Promise),
    /// The repository is let go, if it is held exclusively.
    Release,
}

/// What a command reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Promise {
    /// This snapshot is saved.
    Saved(Snap),
    /// This snapshot may go.
    Forgotten(Snap),
    /// This snapshot is back.
    Undone(Snap),
    /// These blobs were stored anew.
    Stored(Blobs),
    /// A snapshot is missing.
    Missing,
    /// The trash was emptied on purpose.
    Emptied,
}

/// What a process remembers from one decision to the next.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Memo {
    None,
    /// A backup: places that it relies on, and the snapshots of its source that were there.
    Relies {
        on: Vec<Place>,
        names: u8,
    },
    /// The facts as a prune listed them.
    Facts(u8),
    /// A prune's plan: its segment, the segments that this replaces, the packs that go.
    Plan {
        segment: EntryId,
        inputs: Vec<EntryId>,
        gone: Vec<EntryId>,
    },
    /// The place that a repair stores anew.
    Place(Place),
    /// The segments that a merge replaces.
    Inputs(Vec<EntryId>),
}

/// How far a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Life {
    Waiting,
    Running,
    Done,
    Dead,
}

/// A process: a decision makes calls, and when these are done comes the next decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Process {
    pub(crate) kind: Kind,
    pub(crate) life: Life,
    pub(crate) phase: u8,
    pub(crate) locks: u8,
    /// What is still to be called, the next one last.
    pub(crate) calls: Vec<Call>,
    pub(crate) memo: Memo,
}

impl Process {
    pub(crate) fn new(kind: Kind) -> Self {
        let (life, calls, memo) = (Life::Waiting, Vec::new(), Memo::None);
        Self { kind, life, phase: 0, locks: 0, calls, memo }
    }

    fn end(&mut self, life: Life) {
        (self.life, self.phase, self.locks) = (life, 0, 0);
        self.calls.clear();
        self.memo = Memo::None;
    }

    /// It is done, or killed: what it held is free, what it had begun stays.
    pub(crate) fn finish(&mut self) {
        self.end(Life::Done);
    }

    pub(crate) fn kill(&mut self) {
        self.end(Life::Dead);
    }

    pub(crate) fn is_running(&self) -> bool {
        self.life == Life::Running
    }
}

/// One moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    pub(crate) disk: Disk,
    pub(crate) processes: Vec<Process>,
    /// Snapshots that were reported as saved.
    pub(crate) saved: u8,
    /// Of these, those that may be gone.
    pub(crate) forgotten: u8,
    /// Blobs that were stored anew after damage.
    pub(crate) stored: Blobs,
    /// The trash was emptied: an undo may fail.
    pub(crate) emptied: bool,
    /// Somebody said that a snapshot is missing.
    pub(crate) missing_said: bool,
    pub(crate) kills: u8,
    pub(crate) losses: u8,
}

impl State {
    /// Whether a process can take a lock beside the others.
    pub(crate) fn can_lock(&self, me: usize, lock: u8) -> bool {
        let others = self.processes.iter().enumerate().filter(|(n, _)| *n != me);
        let held = others.fold(0, |held, (_, process)| held | process.locks);
        match lock {
            SHARED => held & EXCLUSIVE == 0,
            EXCLUSIVE => held & (SHARED | EXCLUSIVE) == 0,
            _ => held & lock == 0,
        }
    }

    /// Makes the next call of a process, and says what follows it at once.
    pub(crate) fn call(&mut self, me: usize, entries: &Entries) -> Option<Call> {
        let call = self.processes[me].calls.pop()?;
        self.make(me, call, entries);
        self.say(me, entries);
        Some(call)
    }

    /// What costs no call of the backend happens together with the call before it.
    pub(crate) fn say(&mut self, me: usize, entries: &Entries) {
        while let Some(call @ (Call::Say(_) | Call::Release)) =
            self.processes[me].calls.last().copied()
        {
            self.processes[me].calls.pop();
            self.make(me, call, entries);
        }
        let process = &mut self.processes[me];
        if process.calls.is_empty() && process.phase == crate::process::LAST {
            process.finish();
        }
    }

    fn make(&mut self, me: usize, call: Call, entries: &Entries) {
        let visible = self.disk.visible();
        let is_there = |id: EntryId| visible.binary_search(&id).is_ok();
        match call {
            Call::Publish(id) => self.disk.change(Some(id), None, entries),
            Call::Move(from, to) if is_there(from) => {
                self.disk.change(Some(to), Some(from), entries);
            }
            Call::Unlink(id) if is_there(id) => self.disk.change(None, Some(id), entries),
            Call::Move(..) | Call::Unlink(_) => {}
            Call::Sync(dir) => self.disk.sync(dir),
            Call::Release => self.processes[me].locks &= !EXCLUSIVE,
            Call::Say(promise) => self.promise(promise),
        }
    }

    fn promise(&mut self, promise: Promise) {
        match promise {
            Promise::Saved(snap) => self.saved |= snap.bit(),
            Promise::Forgotten(snap) => self.forgotten |= snap.bit(),
            Promise::Undone(snap) => self.forgotten &= !snap.bit(),
            Promise::Stored(blobs) => self.stored |= blobs,
            Promise::Missing => self.missing_said = true,
            Promise::Emptied => self.emptied = true,
        }
    }
}
