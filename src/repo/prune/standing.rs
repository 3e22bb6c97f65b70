//! Which places of a blob can be relied upon, given the segments and packs that stand.

use std::collections::BTreeSet;

use crate::codec::index::Place;
use crate::id::{BlobId, BlobType, PackId};
use crate::repo::distrust::Spot;
use crate::repo::error::{Damage, Result};
use crate::repo::index::{Segment, segment_damage};
use crate::repo::prune::live::{Live, Packs};

/// Segments, the packs that are there, and the places in them that were found damaged.
pub(super) struct Standing<'a> {
    pub(super) segments: Vec<&'a Segment>,
    pub(super) packs: &'a Packs,
    pub(super) damaged: &'a BTreeSet<Spot>,
}

/// The places of a blob in packs that stand.
#[derive(Default)]
pub(super) struct Places {
    pub(super) sound: Vec<PackId>,
    pub(super) damaged: Vec<PackId>,
}

impl Standing<'_> {
    /// Every place that is listed, in a pack long enough for it.
    pub(super) fn places(&self, blob_type: BlobType, id: &BlobId) -> Result<Places> {
        let mut places = Places::default();
        for segment in &self.segments {
            let found = segment.view.lookup(blob_type, id);
            let found = found.map_err(|error| segment_damage(&segment.id, error.to_string()))?;
            for place in found.iter().filter(|place| self.holds(place)) {
                let damaged = self.damaged.contains(&(place.pack, place.offset));
                if damaged { &mut places.damaged } else { &mut places.sound }.push(place.pack);
            }
        }
        Ok(places)
    }

    fn holds(&self, place: &Place) -> bool {
        let end = place.offset.saturating_add(u64::from(place.stored_len));
        self.packs.get(&place.pack).is_some_and(|len| end <= *len)
    }
}

/// A blob lives here only where a sound place stands.
impl Live for Standing<'_> {
    fn live(&self, blob_type: BlobType, id: &BlobId) -> Result<()> {
        if self.places(blob_type, id)?.sound.is_empty() {
            return Err(Damage::Unlisted { blob_type, id: *id }.into());
        }
        Ok(())
    }
}
