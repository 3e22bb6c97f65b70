//! What the repository says of itself before anything is removed, and every reason to remove nothing.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::fact::Subject;
use crate::id::{PackId, SessionId};
use crate::repo::backend::Backend;
use crate::repo::error::{RepoError, Result};
use crate::repo::facts::Facts;
use crate::repo::layout;
use crate::repo::locks::is_abandoned;
use crate::repo::missing::{Missing, missing_snapshots};
use crate::repo::prune::live::Packs;
use crate::repo::repository::Repository;
use crate::repo::snapshots::Listing;

/// Records and facts, all of them readable and none missing.
pub(super) struct Survey {
    pub(super) listing: Listing,
    pub(super) facts: Facts,
}

impl Survey {
    /// Lists snapshots before facts, so that one that is being forgotten is either there or explained.
    pub(super) fn take(repository: &Repository) -> Result<Self> {
        let listing = Listing::read(repository)?;
        let facts = Facts::read(repository)?;
        facts.allow_pruning()?;
        if let Some(id) = facts.unknown.first() {
            let what = format!("{} is said in words of a later version", layout::fact(id));
            return Err(RepoError::Unsupported { what });
        }
        if let Some(damage) = listing.damage.iter().chain(&facts.damage).next() {
            return Err(damage.clone().into());
        }
        let missing = missing_snapshots(&listing, &facts);
        if let Some(Missing { id, source }) = missing.first() {
            let (id, of, others) = (*id, source.clone(), missing.len() - 1);
            return Err(RepoError::Missing { id, of, others });
        }
        Ok(Self { listing, facts })
    }

    /// True when nothing explains why there is no snapshot: all records may have been lost together.
    pub(super) fn is_silent(&self) -> bool {
        let explained =
            self.facts.subjects().any(|(it, _)| matches!(it, Subject::Forgotten { .. }));
        self.listing.ids.is_empty() && !explained
    }
}

/// The packs in the listing, with their length, and when they were written.
pub(super) fn list_packs(backend: &dyn Backend) -> Result<(Packs, Vec<(PackId, i64)>)> {
    let listing = backend.list(layout::PACKS)?;
    let packs = layout::ids::<PackId>(&listing).map(|(id, info)| (id, info.len)).collect();
    let times = layout::ids::<PackId>(&listing).map(|(id, info)| (id, info.modified_ns)).collect();
    Ok((packs, times))
}

/// Writers that left a marker.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    /// Alive (then without a time), or dead for less than the time that their packs are kept: until then.
    pub(super) kept: BTreeMap<SessionId, Option<i64>>,
    /// Dead for longer.
    pub(super) expired: BTreeSet<SessionId>,
}

impl Sessions {
    /// Tells the two apart. A last touch that lies in the future is no reason to keep packs for ever: `touch` sets it to now.
    pub(super) fn list(
        backend: &dyn Backend,
        now_ns: i64,
        keep_ns: i64,
        touch: bool,
    ) -> Result<Self> {
        let mut sessions = Self::default();
        let listing = backend.list(layout::SESSIONS)?;
        for (id, info) in layout::ids::<SessionId>(&listing) {
            let marker = layout::session(&id);
            let age_ns = now_ns.saturating_sub(info.modified_ns);
            let is_dead = is_abandoned(backend, &marker)?;
            if is_dead && age_ns.max(0) >= keep_ns {
                sessions.expired.insert(id);
                continue;
            }
            let touched_ns = info.modified_ns.min(now_ns);
            sessions.kept.insert(id, is_dead.then(|| touched_ns.saturating_add(keep_ns)));
            if touch && age_ns < 0 {
                touched(backend.touch(&marker))?;
            }
        }
        Ok(sessions)
    }
}

/// A session may end while it is looked at.
fn touched(outcome: std::result::Result<(), crate::repo::backend::BackendError>) -> Result<()> {
    match outcome {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}
