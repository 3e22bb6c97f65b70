//! Reading every stored byte, and what the bad ones take away.

use std::collections::BTreeSet;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::error::{Error, Result};
use crate::id::{BlobId, BlobType, PackId};
use crate::observe::{Observer, Phase, Total};
use crate::ops::check::{Check, DataReport, Packs};
use crate::repo::distrust::Spot;
use crate::repo::error::Damage;
use crate::repo::verify::{PackReport, verify_pack};

impl Check<'_> {
    pub(super) fn data(&mut self, packs: &Packs, observer: &dyn Observer) -> Result<()> {
        let total =
            Total { items: packs.len() as u64, bytes: packs.values().sum(), estimated: false };
        observer.begin(Phase::CheckData, Some(total));
        let list: Vec<_> = packs.iter().collect();
        let reports: Vec<PackReport> = list
            .par_iter()
            .map(|(id, len)| {
                if observer.cancelled() {
                    return Err(Error::Interrupted);
                }
                let report = verify_pack(self.catalog.repository(), (id, **len), &|bytes| {
                    observer.advance(0, bytes);
                })?;
                observer.advance(1, 0);
                Ok(report)
            })
            .collect::<Result<_>>()?;
        let unreadable = list.iter().zip(&reports).filter(|(_, report)| report.directory_lost);
        let unreadable = unreadable.map(|((id, _), _)| **id).collect();
        let mut damage = self.prove_through_the_index(&unreadable);
        let mut data = DataReport::default();
        for report in reports {
            data.bytes += report.read_bytes;
            data.sound_blobs += report.sound_blobs;
            data.blobs += report.listed.len() as u64;
            damage.extend(report.damage);
        }
        self.report.data = Some(data);
        self.attribute_to_blobs(damage, packs)
    }

    /// Where a pack's own directory cannot be read, the index still knows where its blobs are: each that is needed is read.
    fn prove_through_the_index(&self, packs: &BTreeSet<PackId>) -> Vec<Damage> {
        let mut damage = Vec::new();
        if packs.is_empty() {
            return damage;
        }
        let mut needed: Vec<_> = self.needed.iter().copied().collect();
        needed.sort_unstable();
        for (blob_type, id) in needed {
            let places = self.reader.index().lookup(blob_type, &id).places;
            let places = places.iter().filter(|place| packs.contains(&place.pack));
            damage.extend(places.filter_map(|place| self.reader.prove(place, &id).err()));
        }
        damage
    }

    /// A blob is gone with its bad places unless it has another one; by now every place was read.
    fn attribute_to_blobs(&mut self, damage: Vec<Damage>, packs: &Packs) -> Result<()> {
        let bad: BTreeSet<Spot> = damage.iter().filter_map(spot).collect();
        for damage in damage {
            match &damage {
                Damage::Blob { blob_type, id, .. } => {
                    let blob = (*blob_type, *id);
                    if self.is_sound_somewhere(blob, packs, &bad)? {
                        self.found_served(damage);
                    } else {
                        self.found(damage, [blob]);
                    }
                }
                _ => self.found(damage, []),
            }
        }
        Ok(())
    }

    fn is_sound_somewhere(
        &self,
        (blob_type, id): (BlobType, BlobId),
        packs: &Packs,
        bad: &BTreeSet<Spot>,
    ) -> Result<bool> {
        let mut places = self.reader.index().lookup(blob_type, &id).places;
        places.extend(self.reader.salvaged(blob_type, &id)?);
        Ok(places.iter().any(|place| {
            let end = place.offset.saturating_add(u64::from(place.stored_len));
            let fits = packs.get(&place.pack).is_some_and(|len| end <= *len);
            fits && !bad.contains(&(place.pack, place.offset))
        }))
    }
}

/// The place that a damage is about.
pub(super) fn spot(damage: &Damage) -> Option<Spot> {
    match damage {
        Damage::Blob { pack, offset, .. } => Some((*pack, *offset)),
        _ => None,
    }
}
