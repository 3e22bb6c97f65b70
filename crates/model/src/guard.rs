//! The rules of the protocol, each of which can be left out.

use std::fmt;

/// A rule. What it says is what `docs/concurrency.md` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// A backup holds the repository shared while it runs.
    Shared,
    /// A prune holds maintenance for its whole run.
    Maintenance,
    /// An undo holds maintenance for its whole run.
    UndoMaintenance,
    /// Emptying the trash holds maintenance.
    EmptyMaintenance,
    /// The switch of a prune holds the repository exclusively.
    Exclusive,
    /// Packs are durable before the segment that lists them is published.
    PacksFirst,
    /// The segment is durable before the record is published.
    SegmentFirst,
    /// A backup that relies on segments of others syncs their directory before its record.
    ForeignSynced,
    /// A backup that relies on packs of others syncs their directory too, and the trash from which they may just have come.
    ForeignPacksSynced,
    /// A backup that stores a blob anew because a fact calls a place damaged syncs the facts first.
    DamageSynced,
    /// An undo syncs the directory of the segments too, whether or not it has a segment of its own.
    UndoForeignSynced,
    /// `forgotten` is published before the record is moved.
    FactFirst,
    /// `forgotten` is durable before the record is moved.
    FactSynced,
    /// Snapshots are listed before facts.
    FactsLast,
    /// Of the places of a live blob one that is not known to be damaged stays.
    KeepIntact,
    /// The new segment lists every place of the packs that stay, also those that the plan does not need.
    ListEveryPlace,
    /// The switch begins by syncing the directories that it reads.
    SwitchSynced,
    /// The trash is among these directories: the move of a forgotten record is certain only then.
    TrashSynced,
    /// The switch lists everything again and gives up what became needed.
    ListAgain,
    /// The switch unlinks exactly the segments that the new one replaces.
    InputsOnly,
    /// An undo brings the record back last.
    RecordLast,
    /// An undo refuses when a blob is in no pack any more.
    UndoChecks,
    /// An undo lists packs that are there and unlisted, not only those from the trash.
    UndoLists,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 23] = [
        Self::Shared,
        Self::Maintenance,
        Self::UndoMaintenance,
        Self::EmptyMaintenance,
        Self::Exclusive,
        Self::PacksFirst,
        Self::SegmentFirst,
        Self::ForeignSynced,
        Self::ForeignPacksSynced,
        Self::DamageSynced,
        Self::UndoForeignSynced,
        Self::FactFirst,
        Self::FactSynced,
        Self::FactsLast,
        Self::KeepIntact,
        Self::ListEveryPlace,
        Self::SwitchSynced,
        Self::TrashSynced,
        Self::ListAgain,
        Self::InputsOnly,
        Self::RecordLast,
        Self::UndoChecks,
        Self::UndoLists,
    ];
}

impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Which guards hold: all, or all but one.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guards {
    left_out: Option<Guard>,
}

impl Guards {
    /// The protocol as it is.
    pub fn all() -> Self {
        Self::default()
    }

    /// The protocol without one rule.
    pub fn without(guard: Guard) -> Self {
        Self { left_out: Some(guard) }
    }

    /// Whether the rule is obeyed.
    pub fn hold(self, guard: Guard) -> bool {
        self.left_out != Some(guard)
    }
}
