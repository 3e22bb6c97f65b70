//! The commands: what each decides when it looks at the repository, and the calls that follow.
//!
//! A decision is atomic, as far as the model knows; every call of the backend is a step of its own, and any other process,
//! a kill or a power loss may come between any two.

use crate::guard::{Guard, Guards};
use crate::object::{Dir, Entries, EntryId, Object, Place, Snap};
use crate::state::{Call, Memo, State};
use crate::view::View;

mod backup;
mod prune;
mod repair;
mod trash;

/// The phase after which nothing is decided any more.
pub(crate) const LAST: u8 = u8::MAX;

/// A command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `backup`, which takes this snapshot.
    Backup(Snap),
    /// `forget` of this snapshot, once it is saved.
    Forget(Snap),
    /// `prune`, without emptying the trash.
    Prune,
    /// `forget --undo` of this snapshot, once its record is in the trash.
    Undo(Snap),
    /// Emptying the trash, grace or no grace.
    Empty,
    /// `check --repair` of the damaged place.
    Repair,
    /// A backup that merges segments of others.
    Merge,
}

/// What a process sees when it decides.
pub(crate) struct Scene<'s> {
    pub(crate) me: usize,
    pub(crate) guards: Guards,
    pub(crate) state: &'s State,
    pub(crate) view: View<'s>,
    /// The place whose bytes are rotten, whether or not somebody knows.
    pub(crate) rotten: Option<Place>,
}

impl Scene<'_> {
    pub(crate) fn hold(&self, guard: Guard) -> bool {
        self.guards.hold(guard)
    }

    pub(crate) fn can_lock(&self, lock: u8) -> bool {
        self.state.can_lock(self.me, lock)
    }

    /// A name that no other process uses.
    pub(crate) fn name(&self, n: u8) -> u8 {
        u8::try_from(self.me).expect("invariant: few processes") * 10 + 10 + n
    }

    pub(crate) fn memo(&self) -> &Memo {
        &self.state.processes[self.me].memo
    }

    pub(crate) fn locks(&self) -> u8 {
        self.state.processes[self.me].locks
    }
}

/// What a call refers to before it has a number.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    Publish(Dir, Object),
    Move(EntryId, Dir),
    Unlink(EntryId),
    UnlinkNew(Dir, Object),
    Sync(Dir),
    Now(Call),
}

/// A decision: calls in their order, then the next phase.
#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) note: &'static str,
    pub(crate) phase: u8,
    pub(crate) locks: u8,
    pub(crate) steps: Vec<Step>,
    pub(crate) memo: Plan,
}

/// A memo, perhaps with an entry that has no number yet.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    Ready(Memo),
    Segment { segment: Object, inputs: Vec<EntryId>, gone: Vec<EntryId> },
}

impl Turn {
    /// Goes on to a phase and keeps the locks.
    pub(crate) fn to(scene: &Scene<'_>, phase: u8, note: &'static str) -> Self {
        let memo = Plan::Ready(scene.memo().clone());
        Self { note, phase, locks: scene.locks(), steps: Vec::new(), memo }
    }

    /// Ends without a further call.
    pub(crate) fn end(note: &'static str) -> Self {
        Self { note, phase: LAST, locks: 0, steps: Vec::new(), memo: Plan::Ready(Memo::None) }
    }

    pub(crate) fn lock(mut self, lock: u8) -> Self {
        self.locks |= lock;
        self
    }

    pub(crate) fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    pub(crate) fn step_if(self, condition: bool, step: Step) -> Self {
        if condition { self.step(step) } else { self }
    }

    pub(crate) fn steps(mut self, steps: impl IntoIterator<Item = Step>) -> Self {
        self.steps.extend(steps);
        self
    }

    pub(crate) fn remember(mut self, memo: Memo) -> Self {
        self.memo = Plan::Ready(memo);
        self
    }

    /// Gives numbers to what is new.
    pub(crate) fn settle(self, entries: &mut Entries) -> (Vec<Call>, Memo) {
        let mut calls: Vec<Call> = self.steps.into_iter().map(|it| settle(it, entries)).collect();
        calls.reverse();
        let memo = match self.memo {
            Plan::Ready(memo) => memo,
            Plan::Segment { segment, inputs, gone } => {
                Memo::Plan { segment: entries.id(Dir::Index, segment), inputs, gone }
            }
        };
        (calls, memo)
    }
}

fn settle(step: Step, entries: &mut Entries) -> Call {
    match step {
        Step::Publish(dir, object) => Call::Publish(entries.id(dir, object)),
        Step::Move(from, dir) => Call::Move(from, entries.moved(from, dir)),
        Step::Unlink(id) => Call::Unlink(id),
        Step::UnlinkNew(dir, object) => Call::Unlink(entries.id(dir, object)),
        Step::Sync(dir) => Call::Sync(dir),
        Step::Now(call) => call,
    }
}

/// What the process does next; `None` when it has to wait.
pub(crate) fn decide(scene: &Scene<'_>) -> Option<Turn> {
    let process = &scene.state.processes[scene.me];
    match process.kind {
        Kind::Backup(snap) => backup::decide(scene, process.phase, snap),
        Kind::Forget(snap) => trash::forget(scene, snap),
        Kind::Prune => prune::decide(scene, process.phase),
        Kind::Undo(snap) => trash::undo(scene, process.phase, snap),
        Kind::Empty => trash::empty(scene, process.phase),
        Kind::Repair => repair::repair(scene, process.phase),
        Kind::Merge => repair::merge(scene, process.phase),
    }
}
