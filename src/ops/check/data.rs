//! Reading every stored byte.

use std::collections::BTreeSet;

use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::error::{Error, Result};
use crate::id::{BlobId, BlobType, PackId};
use crate::observe::{Observer, Phase, Total};
use crate::ops::check::{Check, DataReport, Packs};
use crate::repo::blobs::BlobRead;
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
        self.prove_through_the_index(&unreadable.map(|((id, _), _)| **id).collect());
        let mut data = DataReport::default();
        for report in reports {
            data.bytes += report.read_bytes;
            data.sound_blobs += report.sound_blobs;
            data.blobs += report.listed.len() as u64;
            for damage in report.damage {
                let lost = match &damage {
                    Damage::Blob { blob_type, id, .. } => self.unless_elsewhere(*blob_type, *id),
                    _ => None,
                };
                self.found(damage, lost);
            }
        }
        self.report.data = Some(data);
        Ok(())
    }

    /// The blob, unless another place gives it: then nobody misses anything.
    fn unless_elsewhere(&self, blob_type: BlobType, id: BlobId) -> Option<(BlobType, BlobId)> {
        self.reader.get(blob_type, &id).is_err().then_some((blob_type, id))
    }

    /// Where a pack's own directory cannot be read, the index still knows where its blobs are: each that is needed is read.
    fn prove_through_the_index(&mut self, packs: &BTreeSet<PackId>) {
        if packs.is_empty() {
            return;
        }
        let mut needed: Vec<_> = self.needed.iter().copied().collect();
        needed.sort_unstable();
        for (blob_type, id) in needed {
            let places = self.reader.index().lookup(blob_type, &id).places;
            for place in places.iter().filter(|place| packs.contains(&place.pack)) {
                if let Err(damage) = self.reader.prove(place, &id) {
                    let lost = self.unless_elsewhere(blob_type, id);
                    self.found(damage, lost);
                }
            }
        }
    }
}
