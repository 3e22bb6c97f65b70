//! From a segment to page images.

use std::sync::Arc;

use crate::delta::cells::Origins;
use crate::delta::error::DeltaError;
use crate::delta::layout::{Prediction, predict};
use crate::delta::patch::{apply, gather, scatter};
use crate::delta::script::Recipe;
use crate::delta::shape::PageShape;
use crate::delta::streams::{Mark, Reader, Stream};
use crate::delta::varint;

/// A segment whose form has been checked: its pages can be made one by one.
#[derive(Debug)]
pub struct Segment<'a> {
    shape: PageShape,
    streams: Reader<'a>,
    pages: Arc<[Entry]>,
}

/// What [`Segment::parse`] found out about the bytes of a segment, to be kept beside them.
#[derive(Debug, Clone)]
pub struct SegmentIndex {
    shape: PageShape,
    pages: Arc<[Entry]>,
}

impl SegmentIndex {
    /// Where among the pages of the segment this number stands.
    pub fn place_of(&self, number: u32) -> Option<usize> {
        self.pages.binary_search_by_key(&number, |entry| entry.number).ok()
    }
}

#[derive(Debug)]
struct Entry {
    number: u32,
    /// Where its recipe begins.
    recipe: Mark,
}

/// Makes all new images of a segment, by number; `old` fills the old image of a page
/// in, or says that the version below has none.
pub fn decode_segment<E: From<DeltaError>>(
    bytes: &[u8],
    page_bytes: u32,
    mut old: impl FnMut(u32, &mut [u8]) -> Result<bool, E>,
) -> Result<Vec<(u32, Vec<u8>)>, E> {
    let segment = Segment::parse(bytes, page_bytes)?;
    let mut pages = Vec::with_capacity(segment.pages.len());
    for (place, entry) in segment.pages.iter().enumerate() {
        pages.push((entry.number, segment.page(place, &mut old)?));
    }
    Ok(pages)
}

impl<'a> Segment<'a> {
    /// Reads the operations of all pages, without needing an old image. Memory: a
    /// small entry a page.
    pub fn parse(bytes: &'a [u8], page_bytes: u32) -> Result<Self, DeltaError> {
        let frame = DeltaError::Frame { what: "it has no beginning" };
        let (&reserved_bytes, mut rest) = bytes.split_first().ok_or(frame.clone())?;
        let shape = PageShape::new(page_bytes, reserved_bytes)?;
        let count = varint::take(&mut rest).ok_or(frame)? as usize;
        if count > shape.segment_pages() {
            let (pages, limit) = (count as u64, shape.segment_pages());
            return Err(DeltaError::TooManyPages { pages, limit });
        }
        let beginning = Reader::new(rest)?;
        let mut streams = beginning.clone();
        let mut pages = Vec::new();
        let mut before = 0_u32;
        for place in 0..count {
            let skipped = streams.number(Stream::Numbers, u32::MAX as usize)?;
            let number = u32::try_from(skipped).ok().and_then(|skipped| skipped.checked_add(1));
            let number = number.and_then(|ahead| before.checked_add(ahead));
            let number = number.ok_or(DeltaError::Stream { stream: Stream::Numbers })?;
            before = number;
            pages.push(Entry { number, recipe: streams.mark() });
            Recipe::read(&mut streams, (place, count), shape)?;
        }
        streams.finish()?;
        Ok(Self { shape, streams: beginning, pages: pages.into() })
    }

    /// What there is to keep, so that the operations need not be read again.
    pub fn index(&self) -> SegmentIndex {
        SegmentIndex { shape: self.shape, pages: Arc::clone(&self.pages) }
    }

    /// The segment in the bytes that this index was made from; with other bytes its pages are errors, or other images.
    pub fn with_index(bytes: &'a [u8], index: &SegmentIndex) -> Result<Self, DeltaError> {
        let mut rest = bytes.get(1..).unwrap_or_default();
        varint::take(&mut rest).ok_or(DeltaError::Frame { what: "it has no beginning" })?;
        let (shape, pages) = (index.shape, Arc::clone(&index.pages));
        Ok(Self { shape, streams: Reader::new(rest)?, pages })
    }

    /// How many pages it holds.
    pub fn page_count(&self) -> usize {
        self.pages.len()
    }

    /// The numbers of its pages, ascending.
    pub fn numbers(&self) -> impl Iterator<Item = u32> {
        self.pages.iter().map(|entry| entry.number)
    }

    /// The pages whose old images are needed to make the page at `place`, its own
    /// aside, which is needed if it exists.
    pub fn sources(&self, place: usize) -> Result<Vec<u32>, DeltaError> {
        let others = self.recipe(place)?.others;
        Ok(others.into_iter().map(|other| self.pages[other].number).collect())
    }

    /// The new image of the page at `place`. `old` is asked for its own old image and
    /// for those of its sources.
    pub fn page<E: From<DeltaError>>(
        &self,
        place: usize,
        mut old: impl FnMut(u32, &mut [u8]) -> Result<bool, E>,
    ) -> Result<Vec<u8>, E> {
        let recipe = self.recipe(place)?;
        let number = self.pages[place].number;
        let mut fetch = |number: u32| -> Result<Option<Vec<u8>>, E> {
            let mut image = vec![0; self.shape.page_bytes()];
            Ok(old(number, &mut image)?.then_some(image))
        };
        let own = fetch(number)?;
        let mut images = Vec::with_capacity(recipe.others.len());
        for &other in &recipe.others {
            let missing = self.pages[other].number;
            let image = fetch(missing)?.ok_or(DeltaError::NoOldImage { number, missing })?;
            images.push((missing, image));
        }
        let others: Vec<_> = images.iter().map(|(number, image)| (*number, &image[..])).collect();
        let own = own.as_deref();
        let origins =
            Origins { shape: self.shape, number, own, others: &others, base: recipe.base };
        make(&origins, &recipe).map_err(|what| DeltaError::Page { number, what }.into())
    }

    fn recipe(&self, place: usize) -> Result<Recipe<'a>, DeltaError> {
        let pages = self.pages.len();
        let refused = DeltaError::Frame { what: "it has fewer pages than that" };
        let mut streams = self.streams.at(&self.pages.get(place).ok_or(refused)?.recipe);
        Recipe::read(&mut streams, (place, pages), self.shape)
    }
}

fn make(origins: &Origins<'_>, recipe: &Recipe<'_>) -> Result<Vec<u8>, &'static str> {
    let prediction = match &recipe.script {
        None => Prediction::plain(origins),
        Some(script) => predict(origins, script)?,
    };
    let order = prediction.order();
    let predicted = gather(&order, &prediction.image);
    Ok(scatter(&order, &apply(origins, &predicted, &recipe.ops)?))
}
