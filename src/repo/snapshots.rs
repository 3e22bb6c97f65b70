//! The records in `snapshots/`: what a repository has to give back.

use std::collections::BTreeMap;

use crate::codec::snapshot::SnapshotRecord;
use crate::id::SnapshotId;
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::index::LISTINGS;
use crate::repo::layout::{self, Trashed};
use crate::repo::named::read_named;
use crate::repo::repository::Repository;

/// A snapshot and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its name.
    pub id: SnapshotId,
    /// What it says.
    pub record: SnapshotRecord,
}

/// Every record of a repository, as far as they can be read.
#[derive(Debug, Default)]
pub struct Listing {
    /// Readable ones, by (source, sequence, id).
    pub snapshots: Vec<Snapshot>,
    /// Those that are not what their name promises.
    pub damage: Vec<Damage>,
    /// Names in `snapshots/`, the damaged ones included.
    pub ids: Vec<SnapshotId>,
    /// Source and sequence of every record in `trash/` that can be read: such a sequence is not given again.
    pub trashed: Vec<(String, u64)>,
}

impl Listing {
    /// Lists and reads every record. One that vanishes between listing and reading was just forgotten: the listing is taken again.
    pub fn read(repository: &Repository) -> Result<Self> {
        Self::default().refreshed(repository)
    }

    /// Lists again, and reads what this listing does not have yet: a record never changes.
    pub fn refreshed(self, repository: &Repository) -> Result<Self> {
        for _ in 1..LISTINGS {
            if let Some(listing) = self.try_refresh(repository, false)? {
                return Ok(listing);
            }
        }
        let listing = self.try_refresh(repository, true)?;
        Ok(listing.expect("invariant: the last listing is taken as it is"))
    }

    fn try_refresh(&self, repository: &Repository, is_last: bool) -> Result<Option<Self>> {
        let objects = repository.backend().list(layout::SNAPSHOTS)?;
        let mut listing =
            Self { ids: layout::ids(&objects).map(|(id, _)| id).collect(), ..Self::default() };
        let known: BTreeMap<SnapshotId, &Snapshot> =
            self.snapshots.iter().map(|snapshot| (snapshot.id, snapshot)).collect();
        for id in listing.ids.clone() {
            if let Some(snapshot) = known.get(&id) {
                listing.snapshots.push((*snapshot).clone());
                continue;
            }
            match read_record(repository, id) {
                Ok(Some(record)) => listing.snapshots.push(Snapshot { id, record }),
                Ok(None) if is_last => listing.damage.push(Damage::Object {
                    object: layout::snapshot(&id).to_string(),
                    reason: "is listed, and cannot be found".into(),
                }),
                Ok(None) => return Ok(None),
                Err(RepoError::Damaged(damage)) => listing.damage.push(damage),
                Err(error) => return Err(error),
            }
        }
        listing.snapshots.sort_by(|a, b| {
            let key = |s: &Snapshot| (s.record.source.clone(), s.record.sequence, s.id);
            key(a).cmp(&key(b))
        });
        // After the records: one that is being moved is seen here or there.
        listing.trashed = trashed_sequences(repository)?;
        Ok(Some(listing))
    }

    /// The snapshots of one source, oldest first.
    pub fn of_source<'a>(
        &'a self,
        source: &'a str,
    ) -> impl DoubleEndedIterator<Item = &'a Snapshot> {
        self.snapshots.iter().filter(move |snapshot| snapshot.record.source == source)
    }

    /// The newest snapshot of a source, by (sequence, id).
    pub fn newest(&self, source: &str) -> Option<&Snapshot> {
        self.snapshots.iter().rfind(|snapshot| snapshot.record.source == source)
    }
}

/// One record, proved by its name; `None` when no such object exists.
fn read_record(repository: &Repository, id: SnapshotId) -> Result<Option<SnapshotRecord>> {
    let key = layout::snapshot(&id);
    read_named(repository.backend(), &key, repository.keys(), |keys, bytes| {
        keys.snapshot_id(bytes) == id
    })
}

/// One forgotten record, where it lies now.
pub fn read_trashed(
    repository: &Repository,
    directory: &str,
    id: SnapshotId,
) -> Result<Option<SnapshotRecord>> {
    let key = layout::trashed_snapshot(directory, &id);
    read_named(repository.backend(), &key, repository.keys(), |keys, bytes| {
        keys.snapshot_id(bytes) == id
    })
}

/// What is damaged in trash says nothing, and hinders nobody.
fn trashed_sequences(repository: &Repository) -> Result<Vec<(String, u64)>> {
    let backend = repository.backend();
    let mut found = Vec::new();
    for directory in backend.list(layout::TRASH)?.iter().filter(|it| it.is_dir) {
        let directory = format!("{}/{}", layout::TRASH, directory.name);
        for object in backend.list(&directory)? {
            let Some(Trashed::Snapshot(id)) = Trashed::of_name(&object.name) else { continue };
            let record = read_trashed(repository, &directory, id).ok().flatten();
            found.extend(record.map(|record| (record.source, record.sequence)));
        }
    }
    Ok(found)
}
