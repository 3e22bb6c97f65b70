//! What snapshots need, told to the engine that removes the rest.

use crate::observe::{Observer, Phase, Total};
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::facts::Facts;
use crate::repo::prune::Walk;
use crate::repo::prune::live::{Batch, Live};
use crate::repo::read::Reader;
use crate::repo::repository::Repository;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::reach::{Reach, Reached, Visitor};

/// Walks manifests, and no node twice: after a call that failed it is of no use any more, since what lies below a node is then not
/// known to be marked.
pub struct Marks<'a> {
    repository: &'a Repository,
    observer: &'a dyn Observer,
    reach: Reach,
}

impl<'a> Marks<'a> {
    /// Nothing marked yet.
    pub fn new(repository: &'a Repository, observer: &'a dyn Observer) -> Self {
        Self { repository, observer, reach: Reach::new() }
    }
}

impl Walk for Marks<'_> {
    fn mark(&mut self, snapshots: &[Snapshot], live: &dyn Live) -> Result<()> {
        let total = Total { items: snapshots.len() as u64, bytes: 0, estimated: false };
        self.observer.begin(Phase::Mark, Some(total));
        let facts = Facts::read(self.repository)?;
        let reader = Reader::open(self.repository, &facts)?;
        let mut marking =
            Marking { batch: Batch::new(live), observer: self.observer, failed: None };
        for snapshot in snapshots {
            let walked = self.reach.walk(&reader, &snapshot.record.manifest, &mut marking);
            marking.failed.take().map_or(walked, Err)?;
            self.observer.advance(1, 0);
        }
        marking.batch.flush()?;
        reader.take_damage().iter().try_for_each(|damage| live.met(damage))
    }
}

struct Marking<'a> {
    batch: Batch<'a>,
    observer: &'a dyn Observer,
    /// The first thing that could not be marked: after it the walk is of no use.
    failed: Option<RepoError>,
}

impl Visitor for Marking<'_> {
    fn reached(&mut self, blob: Reached<'_>) {
        if self.failed.is_none() {
            self.failed = self.batch.add(blob.blob_type, &blob.id).err();
        }
    }

    fn unreadable(&mut self, _: Reached<'_>, damage: &Damage) {
        self.failed.get_or_insert_with(|| damage.clone().into());
    }

    fn cancelled(&self) -> bool {
        self.failed.is_some() || self.observer.cancelled()
    }
}
