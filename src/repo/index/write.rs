//! Making segments: from what a session wrote, and from other segments.

use crate::codec::index::{BuildError, Place, SegmentBuilder};
use crate::id::{BlobId, HashKeys, PackId, RepositoryId, SegmentId};
use crate::repo::backend::{Backend, Stage};
use crate::repo::error::{RepoError, Result};
use crate::repo::index::{Segment, open_segment, segment_damage};
use crate::repo::layout;

/// A repository is kept at about so many segments: every lookup asks all of them.
pub const MOST_SEGMENTS: usize = 8;

/// At most so many remain after a merge, so that not every backup merges.
const AIM: usize = 6;

/// Stages a segment that lists these packs and places; it has its name after the next barrier.
pub fn stage_segment(
    stage: &dyn Stage,
    keys: &HashKeys,
    repository: &RepositoryId,
    packs: &[(PackId, u64)],
    places: impl Iterator<Item = (BlobId, Place)>,
) -> Result<(SegmentId, u64)> {
    let mut builder = SegmentBuilder::new(*repository);
    for (pack, len) in packs {
        builder.add_pack(*pack, *len).map_err(unbuildable)?;
    }
    for (id, place) in places {
        builder.add(&id, &place).map_err(unbuildable)?;
    }
    let bytes = builder.finish(keys);
    let id = keys.segment_id(&bytes);
    stage.put(&layout::segment(&id), &bytes)?;
    Ok((id, bytes.len() as u64))
}

/// Replaces segments by one that lists every place of theirs. The new one is durable before the first old one goes, so a crash
/// leaves both, never neither. Nothing when they stay as they are.
pub fn merge(
    backend: &dyn Backend,
    stage: &dyn Stage,
    keys: &HashKeys,
    repository: &RepositoryId,
    old: &[&Segment],
) -> Result<Option<Segment>> {
    let mut builder = SegmentBuilder::new(*repository);
    for segment in old {
        absorb(&mut builder, segment)?;
    }
    let Some(merged) = publish(backend, stage, keys, builder)? else { return Ok(None) };
    let id = merged.id;
    for segment in old.iter().filter(|segment| segment.id != id) {
        match backend.delete(&layout::segment(&segment.id)) {
            Ok(()) => {}
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    backend.sync(layout::INDEX)?;
    Ok(Some(merged))
}

/// The segment, durable and read back; nothing when it cannot stand for what it was made from.
pub fn publish(
    backend: &dyn Backend,
    stage: &dyn Stage,
    keys: &HashKeys,
    builder: SegmentBuilder,
) -> Result<Option<Segment>> {
    let bytes = builder.finish(keys);
    let id = keys.segment_id(&bytes);
    match backend.stat(&layout::segment(&id)) {
        // A merge before this one was cut off when it had come so far.
        Ok(_) => backend.sync(layout::INDEX)?,
        Err(error) if error.is_not_found() => {
            stage.put(&layout::segment(&id), &bytes)?;
            stage.barrier()?;
        }
        Err(error) => return Err(error.into()),
    }
    let merged = open_segment(backend, keys, id, bytes.len() as u64)?;
    Ok(merged.filter(|merged| merged.view.bytes() == bytes))
}

fn absorb(builder: &mut SegmentBuilder, segment: &Segment) -> Result<()> {
    let damaged = |error: &dyn std::fmt::Display| segment_damage(&segment.id, error.to_string());
    for pack in segment.view.packs() {
        let (pack, len) = pack.map_err(|error| damaged(&error))?;
        builder.add_pack(pack, len).map_err(unbuildable)?;
    }
    for entry in segment.view.iter() {
        let (key, place) = entry.map_err(|error| damaged(&error))?;
        builder.add_key(key, &place).map_err(unbuildable)?;
    }
    Ok(())
}

/// Segments disagree, or are too large for one: whatever it is, nothing may be replaced.
pub fn unbuildable(error: BuildError) -> RepoError {
    RepoError::Index(error)
}

/// Which of these lengths to merge: the smallest, as long as each is no longer than all before it together, and as many as it takes
/// for few to remain. So lengths grow geometrically, and each entry is copied about as often as their number has binary digits.
/// Empty when there is nothing worth merging.
pub fn worth_merging(lengths: &[u64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|index| lengths[*index]);
    let mut together = 0_u64;
    let mut take = 0;
    for (rank, index) in order.iter().enumerate() {
        let too_many = lengths.len() - rank >= AIM;
        if rank > 0 && !too_many && lengths[*index] > together {
            break;
        }
        together = together.saturating_add(lengths[*index]);
        take = rank + 1;
    }
    order.truncate(take);
    if order.len() < 2 { Vec::new() } else { order }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_segment_is_left_alone_by_small_ones() {
        assert_eq!(worth_merging(&[1_000_000, 10, 10]), [1, 2]);
        assert!(worth_merging(&[1_000_000, 10]).is_empty());
        assert!(worth_merging(&[5]).is_empty());
        assert!(worth_merging(&[]).is_empty());
    }

    #[test]
    fn there_are_never_many_and_each_byte_is_copied_seldom() {
        let mut lengths: Vec<u64> = Vec::new();
        let mut copied = 0;
        for _ in 0..1000 {
            lengths.push(100);
            if lengths.len() > MOST_SEGMENTS {
                let chosen = worth_merging(&lengths);
                let sum: u64 = chosen.iter().map(|index| lengths[*index]).sum();
                copied += sum;
                let mut kept: Vec<u64> = (0..lengths.len())
                    .filter(|index| !chosen.contains(index))
                    .map(|index| lengths[index])
                    .collect();
                kept.push(sum);
                lengths = kept;
            }
            assert!(lengths.len() <= MOST_SEGMENTS);
        }
        assert_eq!(lengths.iter().sum::<u64>(), 100_000);
        assert!(copied <= 100_000 * 5, "{copied}");
    }
}
