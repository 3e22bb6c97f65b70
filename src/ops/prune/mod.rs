//! Giving the room back of what no snapshot needs, and bringing back what was forgotten.
//!
//! Here live what the engine is told of manifests (`marks`) and the reports of
//! the use cases. Not here: what goes and in which order (`repo::prune`), which
//! snapshots to forget.
//!
//! Invariant: what is alive is said by the manifests of every snapshot, read in
//! this run; whatever cannot be read of them ends the run before anything goes.

use crate::codec::snapshot::SnapshotRecord;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::id::SnapshotId;
use crate::observe::Observer;
use crate::repo::error::{Damage, RepoError};
use crate::repo::locks::Patience;
use crate::repo::prune::trash::discarded;
use crate::repo::prune::undo::Undone;
use crate::repo::prune::{self as engine, PruneOptions, PruneReport};
use crate::repo::repository::Repository;
use crate::repo::snapshots::Snapshot;

pub mod marks;

use marks::Marks;

/// Removes what no snapshot needs, as far as the options let it. Cut off anywhere, no snapshot is hurt and nothing need be repaired.
pub fn prune(
    repository: &Repository,
    options: &PruneOptions,
    host: &dyn Host,
    observer: &dyn Observer,
) -> Result<PruneReport> {
    let mut marks = Marks::new(repository, observer);
    Ok(engine::prune(repository, &mut marks, options, host, observer)?)
}

/// What a prune would do now. Changes nothing.
pub fn outlook(
    repository: &Repository,
    options: &PruneOptions,
    host: &dyn Host,
    observer: &dyn Observer,
) -> Result<PruneReport> {
    let mut marks = Marks::new(repository, observer);
    Ok(engine::outlook(repository, &mut marks, options, host)?)
}

/// A forgotten snapshot whose record is still in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forgotten {
    /// Its id.
    pub id: SnapshotId,
    /// What its record says; nothing where it has rotted, and then it cannot come back.
    pub record: Option<SnapshotRecord>,
    /// When it was forgotten, nanoseconds since 1970. The grace of the trash counts from here.
    pub forgotten_ns: i64,
}

/// Everything that was forgotten and may still come back, the newest act of forgetting last.
pub fn forgotten(repository: &Repository) -> Result<Vec<Forgotten>> {
    let mut all = Vec::new();
    for discarded in discarded(repository.backend())? {
        for id in &discarded.snapshots {
            let record = match discarded.record(repository, *id) {
                Err(RepoError::Damaged(_)) => None,
                other => other?,
            };
            all.push(Forgotten { id: *id, record, forgotten_ns: discarded.time_ns });
        }
    }
    Ok(all)
}

/// Why a snapshot did not come back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kept {
    /// It was not forgotten: it is there.
    There,
    /// Its record is not in the trash, or not any more.
    NotInTrash,
    /// Something that it needs is nowhere.
    Incomplete(Damage),
}

/// What became of snapshots that were to come back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UndoReport {
    /// Those that are snapshots again.
    pub back: Vec<Snapshot>,
    /// Those that are where they were, and why.
    pub kept: Vec<(SnapshotId, Kept)>,
}

/// Brings forgotten snapshots back, each while everything that it needs is still there.
pub fn undo(
    repository: &Repository,
    ids: &[SnapshotId],
    host: &dyn Host,
    patience: Patience<'_>,
) -> Result<UndoReport> {
    let observer = patience.observer;
    let mut report = UndoReport::default();
    for id in ids {
        if observer.cancelled() {
            return Err(Error::Interrupted);
        }
        // What one that cannot come back has left unread must be read for the next.
        let mut marks = Marks::new(repository, observer);
        match engine::undo::undo(repository, *id, &mut marks, host, patience)? {
            Undone::Back(snapshot) => report.back.push(*snapshot),
            Undone::There => report.kept.push((*id, Kept::There)),
            Undone::NotInTrash => report.kept.push((*id, Kept::NotInTrash)),
            Undone::Incomplete(damage) => report.kept.push((*id, Kept::Incomplete(damage))),
        }
    }
    Ok(report)
}
