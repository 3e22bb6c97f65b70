//! The ordered steps from written packs to a named snapshot.

use crate::codec::snapshot::SnapshotRecord;
use crate::id::SnapshotId;
use crate::repo::error::{RepoError, Result};
use crate::repo::foreign::sync_trash;
use crate::repo::index::write::{MOST_SEGMENTS, merge, stage_segment, worth_merging};
use crate::repo::index::{Index, Segment, open_segment};
use crate::repo::layout;
use crate::repo::locks::try_maintain;
use crate::repo::session::Session;
use crate::repo::session::growth::Growth;

/// A snapshot that is saved: it survives a crash at any later moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Committed {
    /// Its name.
    pub id: SnapshotId,
}

impl Session<'_> {
    /// Makes the snapshot durable and gives its name back. Nothing before the last line of this may be reported as saved.
    pub fn commit(self, record: &SnapshotRecord) -> Result<Committed> {
        let backend = self.repository.backend();
        let mut growth = self.growth();
        let id = self.guarded(&mut growth, |session, growth| {
            session.publish(growth)?;
            // Others may have been killed between naming an object and syncing its directory. The record relies on their segments and
            // packs, which an undo may have moved out of the trash, and names their snapshots: those names must be durable before its own.
            backend.sync(layout::INDEX)?;
            backend.sync(layout::PACKS)?;
            sync_trash(backend)?;
            backend.sync(layout::SNAPSHOTS)?;
            session.known.confirm(session.repository)?;
            session.publish_record(record)
        })?;
        // The snapshot is saved: trouble with tidying up must not make it look otherwise.
        let _ = self.tidy(&mut growth);
        drop(growth);
        Ok(Committed { id })
    }

    fn publish_record(&self, record: &SnapshotRecord) -> Result<SnapshotId> {
        // A thousand findings with long paths may not fit; the record counts all of them in any case.
        let bytes = record.clone().encode_fitting().map_err(RepoError::Encode)?;
        let id = self.repository.keys().snapshot_id(&bytes);
        self.stage.put(&layout::snapshot(&id), &bytes)?;
        self.stage.barrier()?;
        Ok(id)
    }

    /// Seals, then packs, barrier, segment, barrier. Does nothing when nothing was written.
    pub(super) fn publish(&self, growth: &mut Growth) -> Result<()> {
        let (backend, keys) = (self.repository.backend(), self.repository.keys());
        growth.seal_all(keys)?;
        let packs = growth.sealed_packs();
        if packs.is_empty() {
            return Ok(());
        }
        growth.published = true;
        if self.known.has_replaced() {
            // Without the fact that made a blob be stored again, nobody could tell the new copy from the rotten one.
            backend.sync(layout::FACTS)?;
        }
        self.stage.barrier()?;
        let places = growth.places();
        let (id, len) = stage_segment(&*self.stage, keys, self.repository.id(), &packs, places)?;
        self.stage.barrier()?;
        let segments = match open_segment(backend, keys, id, len)? {
            Some(segment) => vec![segment],
            // A maintainer has merged it already.
            None => Index::load(backend, keys)?.into_segments(),
        };
        self.known.absorb(segments, &packs);
        backend.touch(&layout::session(&self.id))?;
        growth.settle(self.host.now_ns());
        Ok(())
    }

    /// Removes the marker, tells later runs of bad places, and merges segments when there are many and no maintainer is at work.
    fn tidy(&self, growth: &mut Growth) -> Result<()> {
        let backend = self.repository.backend();
        if std::mem::take(&mut growth.announced) {
            backend.delete(&layout::session(&self.id))?;
        }
        self.facts.publish_damaged(self.repository, &self.known.distrusted.met(), self.host)?;
        if backend.list(layout::INDEX)?.len() <= MOST_SEGMENTS {
            return Ok(());
        }
        let Some(_maintaining) = try_maintain(backend)? else { return Ok(()) };
        let index = Index::load(backend, self.repository.keys())?;
        // What is damaged stays as it is, for check to name it; the others must not wait for its repair.
        let sound: Vec<&Segment> = index
            .segments()
            .iter()
            .filter(|segment| segment.view.verify_all().is_empty())
            .collect();
        let lengths: Vec<u64> = sound.iter().map(|segment| segment.len).collect();
        let chosen: Vec<&Segment> =
            worth_merging(&lengths).into_iter().map(|at| sound[at]).collect();
        if !chosen.is_empty() {
            merge(backend, &*self.stage, self.repository.keys(), self.repository.id(), &chosen)?;
        }
        Ok(())
    }
}
