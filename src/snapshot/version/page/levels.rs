//! A page that is made from many others: level by level, from the base up.
//!
//! Going down from a page remembers every image of every level; going up needs those
//! of two levels at a time. What is needed is found out first, without any image.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::delta::decode::Segment;
use crate::delta::error::DeltaError;
use crate::id::BlobType;
use crate::repo::error::{RepoError, Result};
use crate::snapshot::structure::damaged;
use crate::snapshot::version::load::page_count_with;
use crate::snapshot::version::page::{KeptSegment, LayerPages, PageReader};

/// The most bytes of page images of one level.
const MOST_LEVEL_BYTES: usize = 16 * 1024 * 1024;

type Images = HashMap<u32, Arc<[u8]>>;

impl PageReader<'_> {
    /// The page of this number, which there is.
    pub(super) fn by_levels(&mut self, number: u32) -> Result<Option<Arc<[u8]>>> {
        let mut levels = vec![BTreeSet::from([number])];
        for layer in (0..self.record.layers.len()).rev() {
            let above = levels.last().cloned().unwrap_or_default();
            let below = self.needed(layer, &above)?;
            if below.len() * self.record.page_size as usize > MOST_LEVEL_BYTES {
                return Err(RepoError::Unsupported {
                    what: format!(
                        "page {number} alone is made from too many others; make the whole"
                    ),
                });
            }
            levels.push(below);
        }
        let mut images = Images::new();
        for needed in levels.pop().unwrap_or_default() {
            images.extend(self.base_page(needed)?.map(|image| (needed, image)));
        }
        for (layer, wanted) in levels.into_iter().rev().enumerate() {
            images = self.level(layer, &wanted, &images)?;
        }
        Ok(images.remove(&number))
    }

    /// What must be there below a layer so that it makes these pages.
    fn needed(&mut self, layer: usize, wanted: &BTreeSet<u32>) -> Result<BTreeSet<u32>> {
        let below = page_count_with(&self.record, layer);
        let pages = self.layer(layer)?;
        let mut needed = BTreeSet::new();
        for (kept, places) in by_segment(&pages, wanted, |number| needed.extend([number])) {
            let refuse = |error| refused(kept, &error);
            let bytes = self.segment(&kept.id)?;
            let segment = Segment::with_index(&bytes, &kept.index).map_err(refuse)?;
            for (number, place) in places {
                needed.extend(segment.sources(place).map_err(refuse)?);
                needed.insert(number);
            }
        }
        // What is beyond has no old image; making a page from it is refused then.
        needed.retain(|number| *number <= below);
        Ok(needed)
    }

    /// These pages with a layer on top, from those that are below it.
    fn level(&mut self, layer: usize, wanted: &BTreeSet<u32>, below: &Images) -> Result<Images> {
        let pages = self.layer(layer)?;
        let mut images = Images::new();
        let mut stays =
            |number| images.extend(below.get(&number).map(|old| (number, Arc::clone(old))));
        let segments = by_segment(&pages, wanted, &mut stays);
        for (kept, places) in segments {
            let refuse = |error| refused(kept, &error);
            let bytes = self.segment(&kept.id)?;
            let segment = Segment::with_index(&bytes, &kept.index).map_err(refuse)?;
            let mut maker = segment.maker();
            for (number, place) in places {
                let old = |_, number| below.get(&number).map(|old| &old[..]);
                let image = maker.page(place, old).map_err(refuse)?;
                images.insert(number, Arc::from(image));
            }
        }
        Ok(images)
    }
}

/// The pages that are in the layer, by segment, with their places; `stays` is told the others.
fn by_segment<'l>(
    pages: &'l LayerPages,
    wanted: &BTreeSet<u32>,
    mut stays: impl FnMut(u32),
) -> Vec<(&'l KeptSegment, Vec<(u32, usize)>)> {
    let mut segments: Vec<_> = pages.segments.iter().map(|kept| (kept, Vec::new())).collect();
    for number in wanted {
        let place = |(kept, _): &(&KeptSegment, _)| kept.index.place_of(*number);
        let found = segments.iter().enumerate().find_map(|(at, it)| Some((at, place(it)?)));
        match found {
            Some((at, place)) => segments[at].1.push((*number, place)),
            None => stays(*number),
        }
    }
    segments.retain(|(_, places)| !places.is_empty());
    segments
}

fn refused(kept: &KeptSegment, error: &DeltaError) -> RepoError {
    damaged(BlobType::PagePatch, &kept.id, error.to_string())
}
