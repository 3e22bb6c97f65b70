//! One page of a database, from the top of its version down, without making the whole.
//!
//! A page is proved by the ids of the blobs that it is made from. Whoever wants
//! thousands of pages makes the database instead (`read`).

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use crate::codec::content::{ChunkRef, Content};
use crate::codec::version::VersionRecord;
use crate::delta::decode::{Segment, SegmentIndex};
use crate::delta::error::DeltaError;
use crate::id::{BlobId, BlobType};
use crate::repo::blobs::BlobRead;
use crate::repo::error::{RepoError, Result};
use crate::snapshot::content::read::{PlacedChunk, chunks, read_chunk};
use crate::snapshot::structure::damaged;
use crate::snapshot::version::decode::fault;
use crate::snapshot::version::load::{base_list, load_version, page_count_with, refused};
use crate::snapshot::version::recent::Recent;

mod levels;

/// The most bytes of page images that are kept for the next page, and that one page may be made from on the way down.
const MOST_IMAGE_BYTES: usize = 16 * 1024 * 1024;

/// The most bytes of chunks of the base that are kept.
const MOST_CHUNK_BYTES: usize = 16 * 1024 * 1024;

/// The most bytes of segments that are kept.
const MOST_SEGMENT_BYTES: usize = 64 * 1024 * 1024;

/// Reads pages of one version. Memory: an entry for each page of the layers that were met, and a bounded number of bytes of
/// segments, chunks and images.
pub struct PageReader<'b> {
    blobs: &'b dyn BlobRead,
    id: BlobId,
    record: VersionRecord,
    layers: Vec<Option<Arc<LayerPages>>>,
    segments: Recent<BlobId>,
    /// By the number of layers that make them.
    images: HashMap<(usize, u32), Option<Arc<[u8]>>>,
    most_image_bytes: usize,
    base: BaseChunks<'b>,
}

/// The chunks of the base: where they are, and those that were read last.
struct BaseChunks<'b> {
    blobs: &'b dyn BlobRead,
    /// Empty until the first page is read.
    placed: Vec<PlacedChunk>,
    /// By their offset.
    recent: Recent<u64>,
}

/// What is in the segments of one layer, which were read and checked.
struct LayerPages {
    segments: Vec<KeptSegment>,
}

struct KeptSegment {
    id: BlobId,
    index: SegmentIndex,
}

impl<'b> PageReader<'b> {
    /// The version with this record.
    pub fn open(blobs: &'b dyn BlobRead, id: &BlobId) -> Result<Self> {
        let record = load_version(blobs, id, None)?;
        let layers = record.layers.iter().map(|_| None).collect();
        let base = BaseChunks { blobs, placed: Vec::new(), recent: Recent::new(MOST_CHUNK_BYTES) };
        let (segments, images) = (Recent::new(MOST_SEGMENT_BYTES), HashMap::new());
        let most_image_bytes = MOST_IMAGE_BYTES;
        Ok(Self { blobs, id: *id, record, layers, segments, images, most_image_bytes, base })
    }

    /// Keeps so many bytes of page images for the next page, 16 MiB otherwise. With few, pages take longer.
    #[must_use]
    pub fn keeping(self, most_image_bytes: usize) -> Self {
        Self { most_image_bytes, ..self }
    }

    /// Pages of the database.
    pub fn page_count(&self) -> u32 {
        self.record.page_count()
    }

    /// The page of this number, from 1; `None` beyond the last one.
    pub fn page(&mut self, number: u32) -> Result<Option<Arc<[u8]>>> {
        if self.image_bytes() > self.most_image_bytes / 2 {
            self.images.clear();
        }
        match self.image(self.record.layers.len(), number) {
            Err(RepoError::Unsupported { .. }) => {
                self.images.clear();
                self.by_levels(number)
            }
            page => page,
        }
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
        if self.image_bytes() > self.most_image_bytes {
            let what = "a page that is made from so many others level for level".to_owned();
            return Err(RepoError::Unsupported { what });
        }
        self.images.insert((layers, number), image.clone());
        Ok(image)
    }

    fn base_page(&mut self, number: u32) -> Result<Option<Arc<[u8]>>> {
        let size = u64::from(self.record.page_size);
        let from = u64::from(number.saturating_sub(1)) * size;
        let list = base_list(&self.record);
        let page = self.base.read(list, from..from.saturating_add(size))?;
        if page.len() as u64 != size {
            return Err(refused(&self.id, format!("the base has no whole page {number}")));
        }
        Ok(Some(page.into()))
    }

    /// The old images come first: while they are made, which may take segments of all layers below, no segment is held on to.
    fn patched(&mut self, below: usize, kept: &KeptSegment, place: usize) -> Result<Arc<[u8]>> {
        let refuse = |error: DeltaError| damaged(BlobType::PagePatch, &kept.id, error.to_string());
        let needed = {
            let bytes = self.segment(&kept.id)?;
            let segment = Segment::with_index(&bytes, &kept.index).map_err(refuse)?;
            let mut needed = segment.sources(place).map_err(refuse)?;
            needed.extend(segment.numbers().nth(place));
            needed
        };
        let mut images = HashMap::new();
        for number in needed {
            images.insert(number, self.image(below, number)?);
        }
        let old = |_, number: u32| images.get(&number)?.as_deref();
        let bytes = self.segment(&kept.id)?;
        let segment = Segment::with_index(&bytes, &kept.index).map_err(refuse)?;
        segment.maker().page(place, old).map(Arc::from).map_err(refuse)
    }

    fn segment(&mut self, id: &BlobId) -> Result<Arc<Vec<u8>>> {
        let blobs = self.blobs;
        self.segments.get_or_read(*id, || blobs.get(BlobType::PagePatch, id))
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

    fn read_layer(&mut self, number: usize) -> Result<LayerPages> {
        let said = self.record.layers.get(number).cloned();
        let said = said.ok_or_else(|| refused(&self.id, "it has fewer layers"))?;
        let (mut segments, mut seen) = (Vec::new(), std::collections::HashSet::new());
        for reference in &said.segments {
            let (of, id) = (BlobType::PagePatch, reference.id);
            let bytes = self.segment(&id)?;
            let segment = Segment::parse(&bytes, self.record.page_size)
                .map_err(|error| damaged(of, &id, error.to_string()))?;
            if let Some(fault) = fault(&segment, reference, said.page_count, &mut seen) {
                return Err(damaged(of, &id, fault));
            }
            let index = segment.index();
            segments.push(KeptSegment { id, index });
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

impl BaseChunks<'_> {
    fn read(&mut self, list: ChunkRef, range: Range<u64>) -> Result<Vec<u8>> {
        if self.placed.is_empty() {
            let content = Content::List { root: list.id, len: list.len };
            self.placed = chunks(&content, self.blobs).collect::<Result<_>>()?;
        }
        let end_of = |placed: &PlacedChunk| placed.offset.saturating_add(placed.chunk.len);
        let first = self.placed.partition_point(|placed| end_of(placed) <= range.start);
        let mut bytes = Vec::new();
        for at in first..self.placed.len() {
            let Some(placed) = self.placed.get(at).filter(|it| it.offset < range.end).copied()
            else {
                break;
            };
            let within = |at: u64| usize::try_from(at.saturating_sub(placed.offset));
            let (from, end) = (within(range.start), within(range.end.min(end_of(&placed))));
            let part = from.ok().zip(end.ok());
            let chunk = self.chunk(placed)?;
            bytes.extend_from_slice(
                part.and_then(|(from, end)| chunk.get(from..end)).unwrap_or_default(),
            );
        }
        Ok(bytes)
    }

    fn chunk(&mut self, placed: PlacedChunk) -> Result<Arc<Vec<u8>>> {
        let blobs = self.blobs;
        self.recent.get_or_read(placed.offset, || read_chunk(blobs, &placed.chunk))
    }
}

impl LayerPages {
    fn find(&self, number: u32) -> Option<(&KeptSegment, usize)> {
        self.segments.iter().find_map(|kept| Some((kept, kept.index.place_of(number)?)))
    }
}
