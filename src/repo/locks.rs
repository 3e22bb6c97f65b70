//! Who may work at the same time.
//!
//! Kernel locks on files that are never renamed or deleted: a dead holder holds
//! nothing, so no lock is ever stale and nothing ever has to be unlocked.

use std::time::Duration;

use crate::codec::Durable;
use crate::codec::session::SessionRecord;
use crate::id::SessionId;
use crate::observe::{Holder, Observer, Occupied, Unobserved};
use crate::repo::backend::{Backend, Key};
use crate::repo::disk::{LockGuard, LockMode};
use crate::repo::error::{RepoError, Result};
use crate::repo::layout;

/// Locks held for one piece of work; given back when dropped.
#[must_use = "a lock is held only while its guard lives"]
pub struct Held {
    guards: Vec<Box<dyn LockGuard>>,
}

/// Work that needs the repository to stay: backup, restore, check.
pub fn share_repository(backend: &dyn Backend) -> Result<Held> {
    let guard = take(backend, &layout::repository_lock(), LockMode::Shared, "the repository")?;
    Ok(Held { guards: vec![guard] })
}

/// The same, and this source's name for oneself: two backups of one source have no use.
pub fn share_repository_for_source(backend: &dyn Backend, source: &str) -> Result<Held> {
    let mut held = share_repository(backend)?;
    let what = format!("source {source:?}");
    held.guards.push(take(backend, &layout::source_lock(source), LockMode::Exclusive, &what)?);
    Ok(held)
}

/// How long to wait for others, and who is told that one waits.
#[derive(Clone, Copy)]
pub struct Patience<'a> {
    /// No longer than this.
    pub wait: Duration,
    /// Is told whom one waits for.
    pub observer: &'a dyn Observer,
}

/// Without waiting for those who share it longer than one has patience: for the moment in which something is removed. `own` is the
/// session of who asks.
pub fn alone(backend: &dyn Backend, patience: Patience<'_>, own: SessionId) -> Result<Held> {
    wait_for(backend, &layout::repository_lock(), patience, ("the repository", Some(own)))
}

/// Deciding which snapshots stay, for oneself: two who decide at once could each rely on what the other one forgets, and what is
/// pinned meanwhile would go.
pub fn decide_alone(backend: &dyn Backend, wait: Duration) -> Result<Held> {
    let patience = Patience { wait, observer: &Unobserved };
    wait_for(backend, &layout::forget_lock(), patience, ("the choice of snapshots to keep", None))
}

/// The maintainer's lock, for a whole run.
pub fn maintain(backend: &dyn Backend, patience: Patience<'_>) -> Result<Held> {
    let what = "the lock for prune, undo and repair";
    wait_for(backend, &layout::maintenance_lock(), patience, (what, None))
}

fn wait_for(
    backend: &dyn Backend,
    key: &Key,
    patience: Patience<'_>,
    (what, own): (&str, Option<SessionId>),
) -> Result<Held> {
    let pauses = patience.wait.as_nanos().div_ceil(PAUSE.as_nanos());
    for pause in 0..=pauses {
        if let Some(guard) = backend.lock(key, LockMode::Exclusive)? {
            return Ok(Held { guards: vec![guard] });
        }
        if patience.observer.cancelled() {
            return Err(RepoError::Cancelled);
        }
        if pause == u128::from(PATIENCE) && pause < pauses {
            patience.observer.waits(&occupied(backend, what, own));
        }
        if pause < pauses {
            std::thread::sleep(PAUSE);
        }
    }
    Err(RepoError::Locked(occupied(backend, what, own)))
}

/// The repository for oneself, if nobody else works with it now.
pub fn try_alone(backend: &dyn Backend) -> Result<Option<Held>> {
    let guard = backend.lock(&layout::repository_lock(), LockMode::Exclusive)?;
    Ok(guard.map(|guard| Held { guards: vec![guard] }))
}

/// The maintainer's lock, if nobody holds it now.
pub fn try_maintain(backend: &dyn Backend) -> Result<Option<Held>> {
    let guard = backend.lock(&layout::maintenance_lock(), LockMode::Exclusive)?;
    Ok(guard.map(|guard| Held { guards: vec![guard] }))
}

/// A maintainer's switch and a sweep hold the repository for milliseconds; longer holders are worth an error.
const PATIENCE: u32 = 40;
const PAUSE: Duration = Duration::from_millis(5);

fn take(
    backend: &dyn Backend,
    key: &Key,
    mode: LockMode,
    what: &str,
) -> Result<Box<dyn LockGuard>> {
    let patience = if mode == LockMode::Shared { PATIENCE } else { 0 };
    for _ in 0..patience {
        if let Some(guard) = backend.lock(key, mode)? {
            return Ok(guard);
        }
        std::thread::sleep(PAUSE);
    }
    match backend.lock(key, mode)? {
        Some(guard) => Ok(guard),
        None => Err(RepoError::Locked(occupied(backend, what, None))),
    }
}

/// True when the session behind a marker is over and has left it: the living hold theirs locked.
pub(super) fn is_abandoned(backend: &dyn Backend, marker: &Key) -> Result<bool> {
    match backend.stat(marker) {
        Ok(_) => {}
        Err(error) if error.is_not_found() => return Ok(false),
        Err(error) => return Err(error.into()),
    }
    let Some(_ours) = backend.lock(marker, LockMode::Exclusive)? else { return Ok(false) };
    // Its owner may have removed it just before it was locked, and locking has made it again, empty.
    let made_again = backend.stat(marker)?.len == 0;
    if made_again {
        backend.delete(marker)?;
    }
    Ok(!made_again)
}

/// Who is at work and has announced it, for a message; nobody where it cannot be read.
fn occupied(backend: &dyn Backend, what: &str, own: Option<SessionId>) -> Occupied {
    let sessions = backend.list(layout::SESSIONS).unwrap_or_default();
    let holders = layout::ids::<SessionId>(&sessions)
        .filter(|(id, _)| Some(*id) != own)
        .filter(|(id, _)| !is_abandoned(backend, &layout::session(id)).unwrap_or(false))
        .filter_map(|(id, _)| backend.get(&layout::session(&id)).ok())
        .filter_map(|bytes| SessionRecord::decode(&bytes).ok())
        .map(|SessionRecord { command, host, pid, since_ns, .. }| Holder {
            command,
            host,
            pid,
            since_ns,
        })
        .collect();
    Occupied { what: what.to_owned(), holders }
}
