//! Giving back the room of what no snapshot needs.
//!
//! Here live the marks (`live`), the plan (`plan`, pure; `draft` gathers what it
//! is made from, `survey` every reason to stop), the rewritten packs and the new
//! segment (`write`), the short moment in which something goes (`switch`), the
//! trash and the way back (`trash`, `undo`). Not here: walking manifests (the
//! layer above, through [`Walk`]), which snapshots to forget.
//!
//! Invariant: a pack leaves only after everything alive in it is durable and
//! listed elsewhere, as judged from listings taken while nobody else is at
//! work. Any error before that moment removes nothing.

use std::time::Duration;

use crate::host::Host;
use crate::id::SessionId;
use crate::observe::Observer;
use crate::repo::distrust::Spot;
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::facts::Facts;
use crate::repo::locks::{Patience, share_repository};
use crate::repo::repository::Repository;
use crate::repo::snapshots::Snapshot;
use crate::repo::space::MinFree;

mod draft;
pub mod live;
mod maintainer;
pub mod plan;
mod run;
mod standing;
mod survey;
mod switch;
pub mod trash;
pub mod undo;
mod write;

use live::Live;
use maintainer::Maintainer;
use plan::Plan;
use run::Run;
use trash::Emptied;

/// Fourteen days: packs of an unfinished session are kept so long.
pub const UNFINISHED_NS: i64 = 14 * 24 * 3600 * 1_000_000_000;

/// A day: what was removed can be brought back so long.
pub const GRACE_NS: i64 = 24 * 3600 * 1_000_000_000;

/// Knows what snapshots need: the layer that can read manifests.
pub trait Walk {
    /// Tells `live` of every blob that these snapshots need. An error, also about a single node, means that nothing is removed.
    /// Called again for snapshots that were saved meanwhile; nodes of the calls before need not be read again.
    fn mark(&mut self, snapshots: &[Snapshot], live: &dyn Live) -> Result<()>;
}

/// How to prune.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PruneOptions {
    /// How long the trash keeps things, nanoseconds; 0 empties it at once.
    pub grace_ns: i64,
    /// How long packs of unfinished sessions are kept after their last touch, nanoseconds.
    pub unfinished_ns: i64,
    /// How long to wait for another maintainer, and for those who use the repository.
    pub wait: Duration,
    /// What rewriting must leave free.
    pub min_free: MinFree,
}

impl Default for PruneOptions {
    fn default() -> Self {
        Self {
            grace_ns: GRACE_NS,
            unfinished_ns: UNFINISHED_NS,
            wait: Duration::from_secs(5),
            min_free: MinFree::default(),
        }
    }
}

/// What an unfinished session has stored and no snapshot needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unfinished {
    /// The session.
    pub session: SessionId,
    /// Its dead bytes.
    pub bytes: u64,
    /// Kept until then, nanoseconds since 1970; `None` while it is at work.
    pub until_ns: Option<i64>,
}

/// What lies in the trash.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pending {
    /// Packs.
    pub packs: u64,
    /// Records of forgotten snapshots.
    pub snapshots: u64,
    /// Bytes that are given back when its grace is over.
    pub bytes: u64,
    /// When the first of it may go, nanoseconds since 1970.
    pub from_ns: i64,
    /// When the last of it may go.
    pub until_ns: i64,
}

/// What a prune did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PruneReport {
    /// Snapshots that were asked what they need.
    pub snapshots: u64,
    /// What was planned, less what had to wait after all.
    pub plan: Plan,
    /// Packs that left, and their bytes: in the trash until its grace is over.
    pub removed_packs: u64,
    /// Bytes of those.
    pub removed_bytes: u64,
    /// Packs that were to leave, and that a snapshot saved meanwhile needs.
    pub rescued_packs: u64,
    /// New packs for what was rewritten, and their bytes.
    pub written_packs: u64,
    /// Bytes of those.
    pub written_bytes: u64,
    /// Segments that went, because another lists what stays of them.
    pub replaced_segments: u64,
    /// Facts that said nothing any more.
    pub removed_facts: u64,
    /// Markers of unfinished sessions whose time was over.
    pub removed_sessions: u64,
    /// What was given back to the disk now.
    pub emptied: Emptied,
    /// What is given back when the grace of the trash is over; nothing where it is empty.
    pub pending: Option<Pending>,
    /// Unfinished sessions that have stored something which nobody needs yet.
    pub unfinished: Vec<Unfinished>,
    /// The disk was full: packs were deleted at once and the trash was emptied before its time.
    pub disk_was_full: bool,
    /// Packs that could not be rewritten, and why.
    pub damage: Vec<Damage>,
    /// Live blobs of which every place is damaged; none of their places was removed.
    pub hopeless_blobs: u64,
}

/// What a prune would do now. Changes nothing, and keeps nobody waiting but another prune's switch.
pub fn outlook(
    repository: &Repository,
    walk: &mut dyn Walk,
    options: &PruneOptions,
    host: &dyn Host,
) -> Result<PruneReport> {
    let _held = share_repository(repository.backend())?;
    let draft = draft::draft(repository, walk, options, host, None)?;
    run::outlook(repository, draft, options, host)
}

/// Removes what no snapshot needs. Cut off anywhere, no snapshot is hurt and nothing need be repaired.
pub fn prune(
    repository: &Repository,
    walk: &mut dyn Walk,
    options: &PruneOptions,
    host: &dyn Host,
    observer: &dyn Observer,
) -> Result<PruneReport> {
    let maintainer =
        Maintainer::begin(repository, host, Patience { wait: options.wait, observer })?;
    let draft = draft::draft(repository, walk, options, host, Some(maintainer.session))
        .map_err(|error| told(&maintainer, error))?;
    let mut run = Run::new(&maintainer, draft, options);
    run.remove(walk)?;
    run.finish()
}

/// Gives the room of the trash back: what was discarded at least `grace_ns` ago.
pub fn empty_trash(
    repository: &Repository,
    grace_ns: i64,
    host: &dyn Host,
    patience: Patience<'_>,
) -> Result<Emptied> {
    let _maintainer = Maintainer::begin(repository, host, patience)?;
    trash::empty(repository.backend(), host.now_ns(), grace_ns)
}

/// Tells later runs of the bad place that has ended this one: then another place of the blob counts as the one to keep.
fn told(maintainer: &Maintainer<'_>, error: RepoError) -> RepoError {
    let RepoError::Damaged(damage) = &error else { return error };
    let Some(spot) = spot(damage) else { return error };
    let publish = || {
        let _held = maintainer.share()?;
        let Maintainer { repository, host, .. } = maintainer;
        Facts::read(repository)?.publish_damaged(repository, &[spot], *host)
    };
    publish().err().unwrap_or(error)
}

/// The place that a damage is about.
fn spot(damage: &Damage) -> Option<Spot> {
    match damage {
        Damage::Blob { pack, offset, .. } => Some((*pack, *offset)),
        _ => None,
    }
}

/// `None` where the disk is full.
fn unless_full<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(error) if RepoError::is_no_space(&error) => Ok(None),
        other => other.map(Some),
    }
}
