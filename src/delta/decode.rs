//! From a segment to page images.

use std::mem;
use std::sync::Arc;

use crate::delta::cells::{Origins, Refused, Told};
use crate::delta::error::DeltaError;
use crate::delta::layout::{Prediction, predict};
use crate::delta::patch::apply;
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

/// Makes all new images of a segment, by number; `old` gives the old image of a page,
/// none if the version below has no such page.
pub fn decode_segment<'o>(
    bytes: &[u8],
    page_bytes: u32,
    old: impl Fn(u32) -> Option<&'o [u8]>,
) -> Result<Vec<(u32, Vec<u8>)>, DeltaError> {
    let segment = Segment::parse(bytes, page_bytes)?;
    let mut maker = segment.maker();
    let mut pages = Vec::with_capacity(segment.pages.len());
    for (place, entry) in segment.pages.iter().enumerate() {
        pages.push((entry.number, maker.page(place, |_, number| old(number))?.to_vec()));
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
        let (mut before, mut recipe) = (0_u32, Recipe::default());
        for place in 0..count {
            let skipped = streams.number(Stream::Numbers, u32::MAX as usize)?;
            let number = u32::try_from(skipped).ok().and_then(|skipped| skipped.checked_add(1));
            let number = number.and_then(|ahead| before.checked_add(ahead));
            let number = number.ok_or(DeltaError::Stream { stream: Stream::Numbers })?;
            before = number;
            pages.push(Entry { number, recipe: streams.mark() });
            recipe.read(&mut streams, (place, count), shape)?;
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
        let mut recipe = Recipe::default();
        self.read_recipe(place, &mut recipe)?;
        Ok(recipe.others.into_iter().map(|other| self.pages[other].number).collect())
    }

    /// Somebody who makes its pages.
    pub fn maker(&self) -> PageMaker<'_, 'a> {
        let (recipe, told) = (Recipe::default(), Told::default());
        PageMaker { segment: self, recipe, told, image: Vec::new() }
    }

    fn read_recipe(&self, place: usize, recipe: &mut Recipe<'a>) -> Result<(), DeltaError> {
        let pages = self.pages.len();
        let refused = DeltaError::Frame { what: "it has fewer pages than that" };
        let mut streams = self.streams.at(&self.pages.get(place).ok_or(refused)?.recipe);
        recipe.read(&mut streams, (place, pages), self.shape)
    }

    /// The old image of the page at `place`, which has the length of a page.
    fn old<'o>(
        &self,
        place: usize,
        old: &impl Fn(usize, u32) -> Option<&'o [u8]>,
    ) -> Result<Option<&'o [u8]>, DeltaError> {
        let (number, expected) = (self.pages[place].number, self.shape.page_bytes());
        match old(place, number) {
            Some(image) if image.len() != expected => {
                Err(DeltaError::ImageLength { number, expected, actual: image.len() })
            }
            image => Ok(image),
        }
    }
}

/// Makes pages of a segment one after the other, each in the same room.
#[derive(Debug)]
pub struct PageMaker<'s, 'a> {
    segment: &'s Segment<'a>,
    recipe: Recipe<'a>,
    told: Told,
    image: Vec<u8>,
}

impl PageMaker<'_, '_> {
    /// The new image of the page at `place`. `old` is asked for its own old image and
    /// for those of its sources, by place and number.
    pub fn page<'o>(
        &mut self,
        place: usize,
        old: impl Fn(usize, u32) -> Option<&'o [u8]>,
    ) -> Result<&[u8], DeltaError> {
        let Self { segment, recipe, told, image } = self;
        segment.read_recipe(place, recipe)?;
        let number = segment.pages[place].number;
        let mut others = Vec::with_capacity(recipe.others.len());
        for &other in &recipe.others {
            let missing = segment.pages[other].number;
            let image = segment.old(other, &old)?;
            others.push((missing, image.ok_or(DeltaError::NoOldImage { number, missing })?));
        }
        let own = segment.old(place, &old)?;
        let (shape, base) = (segment.shape, recipe.base);
        let origins = Origins { shape, number, own, others: &others, base };
        let made = make(&origins, recipe, told, mem::take(image));
        *image = made.map_err(|what| DeltaError::Page { number, what })?;
        Ok(image)
    }
}

fn make(
    origins: &Origins<'_>,
    recipe: &Recipe<'_>,
    told: &mut Told,
    room: Vec<u8>,
) -> Result<Vec<u8>, Refused> {
    let mut prediction = match &recipe.script {
        None => Prediction::plain(origins, room),
        Some(script) => predict(origins, script, told, room)?,
    };
    apply(origins, &prediction.order(), &recipe.ops, &mut prediction.image)?;
    Ok(prediction.image)
}
