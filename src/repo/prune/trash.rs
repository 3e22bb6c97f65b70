//! What was forgotten and removed, and is still there for a while.

use crate::codec::snapshot::SnapshotRecord;
use crate::id::{PackId, SnapshotId};
use crate::repo::backend::{Backend, Key};
use crate::repo::error::Result;
use crate::repo::foreign::is_there;
use crate::repo::layout::{self, Trashed};
use crate::repo::prune::maintainer::is_not_empty;
use crate::repo::repository::Repository;
use crate::repo::snapshots::read_trashed;

/// A directory of `trash/`: what one run forgot or removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discarded {
    /// When that was, nanoseconds since 1970.
    pub time_ns: i64,
    /// Packs, with their length.
    pub packs: Vec<(PackId, u64)>,
    /// Snapshot records.
    pub snapshots: Vec<SnapshotId>,
    /// Bytes of all objects in it.
    pub bytes: u64,
    pub(super) directory: String,
    /// Every object in it, also of names that larder does not give.
    names: Vec<String>,
}

/// What emptying the trash came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Emptied {
    /// Packs that are gone for good.
    pub packs: u64,
    /// Records that can no longer be brought back.
    pub snapshots: u64,
    /// Bytes that are free now.
    pub bytes: u64,
}

impl Emptied {
    /// This, and one directory more.
    pub(super) fn and(self, discarded: &Discarded) -> Self {
        let (packs, snapshots) = (discarded.packs.len(), discarded.snapshots.len());
        let bytes = discarded.bytes;
        self.plus(Self { packs: packs as u64, snapshots: snapshots as u64, bytes })
    }

    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            packs: self.packs + other.packs,
            snapshots: self.snapshots + other.snapshots,
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }
}

/// True when the grace of this part of the trash is over.
pub(super) fn is_due(discarded: &Discarded, now_ns: i64, grace_ns: i64) -> bool {
    now_ns.saturating_sub(discarded.time_ns).max(0) >= grace_ns
}

/// Everything in the trash, oldest first.
pub fn discarded(backend: &dyn Backend) -> Result<Vec<Discarded>> {
    let mut all = Vec::new();
    for entry in backend.list(layout::TRASH)?.iter().filter(|entry| entry.is_dir) {
        if let Some(time_ns) = layout::trash_time(&entry.name) {
            all.push(Discarded::read(backend, time_ns)?);
        }
    }
    all.sort_by_key(|discarded| discarded.time_ns);
    Ok(all)
}

impl Discarded {
    /// What one of its records says; nothing when it is gone by now.
    pub fn record(
        &self,
        repository: &Repository,
        id: SnapshotId,
    ) -> Result<Option<SnapshotRecord>> {
        read_trashed(repository, &self.directory, id)
    }

    fn read(backend: &dyn Backend, time_ns: i64) -> Result<Self> {
        let directory = layout::trash_directory(time_ns);
        let (packs, snapshots, names) = (Vec::new(), Vec::new(), Vec::new());
        let mut found = Self { time_ns, packs, snapshots, bytes: 0, directory, names };
        for object in backend.list(&found.directory)?.into_iter().filter(|object| !object.is_dir) {
            match Trashed::of_name(&object.name) {
                Some(Trashed::Pack(id)) => found.packs.push((id, object.len)),
                Some(Trashed::Snapshot(id)) => found.snapshots.push(id),
                Some(Trashed::Fact(_)) | None => {}
            }
            found.bytes = found.bytes.saturating_add(object.len);
            found.names.push(object.name);
        }
        Ok(found)
    }

    /// Records go before packs: one that cannot be brought back any more is not offered.
    fn remove(&self, backend: &dyn Backend) -> Result<()> {
        let is_pack =
            |name: &&String| matches!(Trashed::of_name(name.as_str()), Some(Trashed::Pack(_)));
        let (packs, records): (Vec<_>, Vec<_>) = self.names.iter().partition(is_pack);
        for name in records.into_iter().chain(packs) {
            let Some(key) = Key::new(format!("{}/{name}", self.directory)) else { continue };
            match backend.delete(&key) {
                Err(error) if !error.is_not_found() => return Err(error.into()),
                _ => {}
            }
        }
        match backend.remove_directory(&self.directory) {
            // A record was forgotten into it just now: it is for another time.
            Err(error) if is_not_empty(&error) => Ok(()),
            other => Ok(other?),
        }
    }
}

/// Removes for good what was discarded at least `grace_ns` ago. Only the maintainer may.
pub(super) fn empty(backend: &dyn Backend, now_ns: i64, grace_ns: i64) -> Result<Emptied> {
    let mut emptied = Emptied::default();
    let all = discarded(backend)?;
    let due = |it: &&Discarded| is_due(it, now_ns, grace_ns);
    for discarded in all.iter().filter(due) {
        discarded.remove(backend)?;
        emptied = emptied.and(discarded);
    }
    if all.iter().any(|it| due(&it)) {
        backend.sync(layout::TRASH)?;
    }
    Ok(emptied)
}

/// Moves objects into the trash of this moment, and makes both ends of the move durable. What is gone already is not missed.
/// Another run may empty the directory, and so remove it, between two moves: it is made again.
pub(in crate::repo) fn discard(
    backend: &dyn Backend,
    time_ns: i64,
    from: &str,
    moves: &[(Key, Trashed)],
) -> Result<()> {
    if moves.is_empty() {
        return Ok(());
    }
    let directory = layout::trash_directory(time_ns);
    backend.create_directories(&[&directory])?;
    for (key, what) in moves {
        move_one(backend, &directory, key, *what)?;
    }
    backend.sync(from)?;
    // Where it was emptied and removed meanwhile, nothing is left to be made durable.
    match backend.sync(&directory) {
        Err(_) if !still_there(backend, &directory)? => Ok(()),
        other => Ok(other?),
    }
}

/// How often a directory is made again that vanishes.
const ATTEMPTS: u32 = 4;

fn move_one(backend: &dyn Backend, directory: &str, key: &Key, what: Trashed) -> Result<()> {
    let to = match what {
        Trashed::Pack(id) => layout::trashed_pack(directory, &id),
        Trashed::Snapshot(id) => layout::trashed_snapshot(directory, &id),
        Trashed::Fact(id) => layout::trashed_fact(directory, &id),
    };
    for _ in 1..ATTEMPTS {
        match backend.rename(key, &to) {
            Ok(()) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) if still_there(backend, directory)? => return Err(error.into()),
            Err(_) => backend.create_directories(&[directory])?,
        }
    }
    Ok(backend.rename(key, &to)?)
}

fn still_there(backend: &dyn Backend, directory: &str) -> Result<bool> {
    is_there(backend, directory.rsplit('/').next().unwrap_or_default())
}
