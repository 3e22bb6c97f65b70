//! What must be durable before anything goes: the rewritten packs, and a segment
//! for the packs that stay.
//!
//! Every blob is proved by its id before it is written again. A pack in which a
//! live blob is rotten waits: what was copied of it until then is a second
//! place, nothing more.

use std::collections::{BTreeMap, BTreeSet};

use crate::codec::index::{Place, SegmentBuilder};
use crate::codec::pack::{PackClass, TrailerEntry};
use crate::id::{BlobId, PackId, SegmentId};
use crate::repo::backend::Stage;
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::index::write::{MOST_SEGMENTS, publish, unbuildable};
use crate::repo::index::{Index, Segment, segment_damage};
use crate::repo::layout;
use crate::repo::pack::read::{directory, open_payload, payload_fault, read};
use crate::repo::pack::write::{OpenPack, Payload, Writer};
use crate::repo::prune::live::Packs;
use crate::repo::prune::maintainer::Maintainer;

/// Rewritten blobs in sealed packs, durable once their stage was.
#[derive(Default)]
pub(super) struct Rewritten {
    pub(super) packs: Vec<(PackId, u64)>,
    places: Vec<(BlobId, Place)>,
    /// Packs that must wait, and why.
    pub(super) waiting: BTreeMap<PackId, Damage>,
}

/// Writes the live blobs of these packs again.
pub(super) fn rewrite(
    maintainer: &Maintainer<'_>,
    stage: &dyn Stage,
    packs: &Packs,
    offsets: &BTreeMap<PackId, BTreeSet<u64>>,
) -> Result<Rewritten> {
    let mut writing =
        Writing { maintainer, stage, open: BTreeMap::new(), done: Rewritten::default() };
    for (pack, offsets) in offsets {
        if maintainer.observer().cancelled() {
            return Err(RepoError::Cancelled);
        }
        let len = packs.get(pack).copied().unwrap_or(0);
        match writing.pack((pack, len), offsets) {
            Err(RepoError::Damaged(damage)) => drop(writing.done.waiting.insert(*pack, damage)),
            other => other?,
        }
    }
    let classes: Vec<PackClass> = writing.open.keys().copied().collect();
    classes.into_iter().try_for_each(|class| writing.seal(class))?;
    stage.barrier()?;
    Ok(writing.done)
}

struct Growing {
    pack: OpenPack,
    places: Vec<(BlobId, Place)>,
}

struct Writing<'a> {
    maintainer: &'a Maintainer<'a>,
    stage: &'a dyn Stage,
    open: BTreeMap<PackClass, Growing>,
    done: Rewritten,
}

impl Writing<'_> {
    fn pack(&mut self, (pack, len): (&PackId, u64), offsets: &BTreeSet<u64>) -> Result<()> {
        let repository = self.maintainer.repository;
        let (backend, keys) = (repository.backend(), repository.keys());
        let directory = directory(backend, keys, repository.id(), (pack, len))?;
        let wanted = |entry: &&TrailerEntry| offsets.contains(&entry.offset);
        let entries: Vec<&TrailerEntry> = directory.entries.iter().filter(wanted).collect();
        if entries.len() != offsets.len() {
            let object = layout::pack(pack).to_string();
            let reason = "its directory lacks blobs that the index lists in it".to_owned();
            return Err(Damage::Object { object, reason }.into());
        }
        for entry in entries {
            let stored = self.proved(pack, entry)?;
            self.append(directory.class, entry, &stored)?;
            self.maintainer.observer().advance(1, u64::from(entry.stored_len));
        }
        Ok(())
    }

    /// The stored bytes of a blob. Bad ones are read once more before they are called damage.
    fn proved(&self, pack: &PackId, entry: &TrailerEntry) -> Result<Vec<u8>> {
        let repository = self.maintainer.repository;
        let keys = repository.keys();
        let mut fault = "cannot be read";
        for _ in 0..2 {
            let stored = read(repository.backend(), pack, entry.offset, entry.stored_len as usize)?;
            match payload_fault(keys, entry, &stored)
                .or_else(|| open_payload(keys, entry, &stored).err())
            {
                None => return Ok(stored),
                Some(what) => fault = what,
            }
        }
        let TrailerEntry { blob_type, id, offset, .. } = *entry;
        Err(Damage::Blob { blob_type, id, pack: *pack, offset, reason: fault.to_owned() }.into())
    }

    fn append(&mut self, class: PackClass, entry: &TrailerEntry, stored: &[u8]) -> Result<()> {
        if !self.open.contains_key(&class) {
            let growing = Growing { pack: self.begin(class)?, places: Vec::new() };
            self.open.insert(class, growing);
        }
        let Some(growing) = self.open.get_mut(&class) else { return Ok(()) };
        let TrailerEntry { blob_type, id, encoding, plain_len, check, .. } = *entry;
        let offset =
            growing.pack.add(&Payload { blob_type, id, encoding, stored, plain_len, check })?;
        // The pack has its name when it is sealed.
        let mut place = Place::of_entry(PackId::from_bytes([0; PackId::LEN]), entry);
        place.offset = offset;
        growing.places.push((id, place));
        if growing.pack.is_full() { self.seal(class) } else { Ok(()) }
    }

    fn begin(&self, class: PackClass) -> Result<OpenPack> {
        let Maintainer { repository, host, session, .. } = self.maintainer;
        let mut salt = [0; 32];
        host.fill_random(&mut salt);
        let writer =
            Writer { keys: repository.keys(), repository: *repository.id(), session: *session };
        OpenPack::begin(self.stage.create()?, class, writer, salt)
    }

    fn seal(&mut self, class: PackClass) -> Result<()> {
        let Some(Growing { pack, places }) = self.open.remove(&class) else { return Ok(()) };
        let (id, len) = pack.seal(self.maintainer.repository.keys())?;
        self.done.packs.push((id, len));
        let named = places.into_iter().map(|(blob, place)| (blob, Place { pack: id, ..place }));
        self.done.places.extend(named);
        Ok(())
    }
}

/// A segment that stands for others.
#[derive(Default)]
pub(super) struct Replacement {
    /// Durable and read back; nothing where nothing is left to be listed.
    pub(super) segment: Option<Segment>,
    /// The segments that it replaces.
    pub(super) replaced: Vec<SegmentId>,
}

/// Which segments go: those that name a pack that does not stay, and all of them when they are many.
pub(super) fn outdated<'i>(
    index: &'i Index,
    stays: &dyn Fn(&PackId) -> bool,
) -> Result<Vec<&'i Segment>> {
    let mut outdated = Vec::new();
    for segment in index.segments() {
        for pack in segment.view.packs() {
            let (pack, _) = pack.map_err(|error| segment_damage(&segment.id, error.to_string()))?;
            if !stays(&pack) {
                outdated.push(segment);
                break;
            }
        }
    }
    let left = index.segments().len() - outdated.len();
    let many = left + usize::from(!outdated.is_empty()) > MOST_SEGMENTS;
    Ok(if many { index.segments().iter().collect() } else { outdated })
}

/// Lists every place of the outdated segments whose pack stays, and of what was rewritten.
pub(super) fn replace(
    maintainer: &Maintainer<'_>,
    stage: &dyn Stage,
    outdated: &[&Segment],
    stays: &dyn Fn(&PackId) -> bool,
    rewritten: &Rewritten,
) -> Result<Replacement> {
    let repository = maintainer.repository;
    let mut builder = SegmentBuilder::new(*repository.id());
    for segment in outdated {
        absorb(&mut builder, segment, stays)?;
    }
    for (pack, len) in &rewritten.packs {
        builder.add_pack(*pack, *len).map_err(unbuildable)?;
    }
    for (id, place) in &rewritten.places {
        builder.add(id, place).map_err(unbuildable)?;
    }
    let mut replaced: Vec<SegmentId> = outdated.iter().map(|segment| segment.id).collect();
    if builder.is_empty() {
        return Ok(Replacement { segment: None, replaced });
    }
    let segment = publish(repository.backend(), stage, repository.keys(), builder)?
        .ok_or_else(unread_segment)?;
    // A run before this one was cut off when it had come so far.
    replaced.retain(|id| *id != segment.id);
    Ok(Replacement { segment: Some(segment), replaced })
}

/// Takes over the places of a segment in packs that stay.
pub(super) fn absorb(
    builder: &mut SegmentBuilder,
    segment: &Segment,
    stays: &dyn Fn(&PackId) -> bool,
) -> Result<()> {
    let damaged = |error: &dyn std::fmt::Display| segment_damage(&segment.id, error.to_string());
    for pack in segment.view.packs() {
        let (pack, len) = pack.map_err(|error| damaged(&error))?;
        if stays(&pack) {
            builder.add_pack(pack, len).map_err(unbuildable)?;
        }
    }
    for entry in segment.view.iter() {
        let (key, place) = entry.map_err(|error| damaged(&error))?;
        if stays(&place.pack) {
            builder.add_key(key, &place).map_err(unbuildable)?;
        }
    }
    Ok(())
}

pub(super) fn unread_segment() -> RepoError {
    let reason = "a segment that was just written does not read back".to_owned();
    Damage::Object { object: layout::INDEX.to_owned(), reason }.into()
}
