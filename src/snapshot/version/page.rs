//! One page of a database, from the top of its version down, without making the whole.
//!
//! A page is proved by the ids of the blobs that it is made from. Whoever wants
//! thousands of pages makes the database instead (`read`).

use std::collections::HashMap;
use std::sync::Arc;

use crate::codec::content::Content;
use crate::codec::version::VersionRecord;
use crate::delta::decode::{Segment, SegmentIndex};
use crate::delta::error::DeltaError;
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobRead;
use crate::repo::error::{RepoError, Result};
use crate::snapshot::content::read::read_range;
use crate::snapshot::structure::damaged;
use crate::snapshot::version::decode::fault;
use crate::snapshot::version::load::{base_list, load_version, page_count_with, refused};

/// The most bytes of page images that are kept for the next page, and that one page may be made from.
const MOST_IMAGE_BYTES: usize = 16 * 1024 * 1024;

/// Reads pages of one version. Memory: the segments of its layers as they are met, and a bounded number of images.
pub struct PageReader<'b> {
    blobs: &'b dyn BlobRead,
    id: BlobId,
    record: VersionRecord,
    layers: Vec<Option<Arc<LayerPages>>>,
    /// By the number of layers that make them.
    images: HashMap<(usize, u32), Option<Arc<[u8]>>>,
}

/// The segments of one layer, read and checked.
struct LayerPages {
    segments: Vec<KeptSegment>,
}

struct KeptSegment {
    id: BlobId,
    bytes: Vec<u8>,
    index: SegmentIndex,
}

impl<'b> PageReader<'b> {
    /// The version with this record.
    pub fn open(blobs: &'b dyn BlobRead, id: &BlobId) -> Result<Self> {
        let record = load_version(blobs, id, None)?;
        let layers = record.layers.iter().map(|_| None).collect();
        Ok(Self { blobs, id: *id, record, layers, images: HashMap::new() })
    }

    /// Pages of the database.
    pub fn page_count(&self) -> u32 {
        self.record.page_count()
    }

    /// The page of this number, from 1; `None` beyond the last one.
    pub fn page(&mut self, number: u32) -> Result<Option<Arc<[u8]>>> {
        if self.image_bytes() > MOST_IMAGE_BYTES / 2 {
            self.images.clear();
        }
        self.image(self.record.layers.len(), number)
    }

    fn image_bytes(&self) -> usize {
        self.images.len() * self.record.page_size as usize
    }

    /// What the first `layers` layers make of a page. Recursion is as deep as there are layers: each step goes down.
    fn image(&mut self, layers: usize, number: u32) -> Result<Option<Arc<[u8]>>> {
        if number == 0 || number > page_count_with(&self.record, layers) {
            return Ok(None);
        }
        if let Some(known) = self.images.get(&(layers, number)) {
            return Ok(known.clone());
        }
        let image = match layers.checked_sub(1) {
            None => self.base_page(number)?,
            Some(below) => {
                let layer = self.layer(below)?;
                match layer.find(number) {
                    Some((segment, place)) => Some(self.patched(below, segment, place)?),
                    None => self.image(below, number)?,
                }
            }
        };
        if self.image_bytes() > MOST_IMAGE_BYTES {
            return Err(RepoError::Unsupported {
                what: format!("page {number} alone is made from too many others; make the whole"),
            });
        }
        self.images.insert((layers, number), image.clone());
        Ok(image)
    }

    fn base_page(&self, number: u32) -> Result<Option<Arc<[u8]>>> {
        let list = base_list(&self.record);
        let content = Content::List { root: list.id, len: list.len };
        let from = u64::from(number - 1) * u64::from(self.record.page_size);
        let until = from + u64::from(self.record.page_size);
        let mut page = Vec::with_capacity(self.record.page_size as usize);
        for piece in read_range(&content, from..until, self.blobs) {
            page.extend_from_slice(&piece?);
        }
        if page.len() != self.record.page_size as usize {
            return Err(refused(&self.id, format!("the base has no whole page {number}")));
        }
        Ok(Some(page.into()))
    }

    fn patched(&mut self, below: usize, kept: &KeptSegment, place: usize) -> Result<Arc<[u8]>> {
        let refuse = |error: &DeltaError| damaged(BlobType::PagePatch, &kept.id, error.to_string());
        let segment =
            Segment::with_index(&kept.bytes, &kept.index).map_err(|error| refuse(&error))?;
        let page = segment.page(place, |number, image| match self.image(below, number)? {
            Some(page) => {
                image.copy_from_slice(&page);
                Ok(true)
            }
            None => Ok::<_, PageError>(false),
        });
        match page {
            Ok(page) => Ok(page.into()),
            Err(PageError::Delta(error)) => Err(refuse(&error)),
            Err(PageError::Repository(error)) => Err(error),
        }
    }

    fn layer(&mut self, number: usize) -> Result<Arc<LayerPages>> {
        if let Some(Some(layer)) = self.layers.get(number) {
            return Ok(Arc::clone(layer));
        }
        let layer = Arc::new(self.read_layer(number)?);
        if let Some(slot) = self.layers.get_mut(number) {
            *slot = Some(Arc::clone(&layer));
        }
        Ok(layer)
    }

    fn read_layer(&self, number: usize) -> Result<LayerPages> {
        let said = self.record.layers.get(number);
        let said = said.ok_or_else(|| refused(&self.id, "it has fewer layers"))?;
        let (mut segments, mut seen) = (Vec::new(), std::collections::HashSet::new());
        for reference in &said.segments {
            let (of, id) = (BlobType::PagePatch, reference.id);
            let bytes = self.blobs.get(of, &id)?;
            let segment = Segment::parse(&bytes, self.record.page_size)
                .map_err(|error| damaged(of, &id, error.to_string()))?;
            if let Some(fault) = fault(&segment, reference, said.page_count, &mut seen) {
                return Err(damaged(of, &id, fault));
            }
            let index = segment.index();
            segments.push(KeptSegment { id, bytes, index });
        }
        let below = page_count_with(&self.record, number);
        let new = seen.iter().filter(|page| **page > below).count() as u64;
        if new < u64::from(said.page_count.saturating_sub(below)) {
            let what = "a layer lacks pages that are beyond what is below it";
            return Err(refused(&self.id, what));
        }
        Ok(LayerPages { segments })
    }
}

impl LayerPages {
    fn find(&self, number: u32) -> Option<(&KeptSegment, usize)> {
        self.segments.iter().find_map(|kept| Some((kept, kept.index.place_of(number)?)))
    }
}

#[derive(Debug)]
enum PageError {
    Delta(DeltaError),
    Repository(RepoError),
}

impl From<DeltaError> for PageError {
    fn from(error: DeltaError) -> Self {
        Self::Delta(error)
    }
}

impl From<RepoError> for PageError {
    fn from(error: RepoError) -> Self {
        Self::Repository(error)
    }
}
