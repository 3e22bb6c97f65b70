//! From page images to a segment.

use crate::delta::btree::Tree;
use crate::delta::cells::{Origins, Told};
use crate::delta::error::DeltaError;
use crate::delta::grouping::segments;
use crate::delta::layout::{Prediction, predict};
use crate::delta::matcher::{OldImages, ops};
use crate::delta::patch::gather;
use crate::delta::planner::{Task, script, sibling};
use crate::delta::script::{Laying, Recipe, Script};
use crate::delta::shape::PageShape;
use crate::delta::slots::Slots;
use crate::delta::streams::{Stream, Writer};
use crate::delta::varint;

/// One page that changed.
#[derive(Debug, Clone, Copy)]
pub struct PageChange<'a> {
    /// Its number, from 1.
    pub number: u32,
    /// Its image in the version below, none if that has no such page.
    pub old: Option<&'a [u8]>,
    /// Its image now.
    pub new: &'a [u8],
}

/// Writes `pages`, whose numbers ascend strictly, as few segments, none longer than
/// `most_bytes`, and hands them to `emit` one by one.
pub fn encode_segments<E: From<DeltaError>>(
    pages: &[PageChange<'_>],
    shape: PageShape,
    most_bytes: usize,
    mut emit: impl FnMut(Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let mut left = segments(pages, shape);
    left.reverse();
    while let Some(mut places) = left.pop() {
        let chosen: Vec<_> = places.iter().map(|place| pages[*place]).collect();
        let bytes = encode_segment(&chosen, shape)?;
        // One page always fits, or nothing does.
        if bytes.len() <= most_bytes || places.len() == 1 {
            emit(bytes)?;
            continue;
        }
        left.push(places.split_off(places.len() / 2));
        left.push(places);
    }
    Ok(())
}

/// Writes the segment for `pages`, whose numbers ascend strictly.
pub fn encode_segment(pages: &[PageChange<'_>], shape: PageShape) -> Result<Vec<u8>, DeltaError> {
    check(pages, shape)?;
    let old = OldImages::new(pages, shape);
    let mut streams = Writer::default();
    let mut before = 0;
    for (place, page) in pages.iter().enumerate() {
        streams.number(Stream::Numbers, (page.number - before - 1) as usize);
        before = page.number;
        encode_page(page, place, &old, shape, &mut streams);
    }
    let mut out = vec![shape.reserved_bytes()];
    varint::put(&mut out, u32::try_from(pages.len()).expect("invariant: checked against a limit"));
    streams.append_to(&mut out);
    Ok(out)
}

fn check(pages: &[PageChange<'_>], shape: PageShape) -> Result<(), DeltaError> {
    let (limit, expected) = (shape.segment_pages(), shape.page_bytes());
    if pages.len() > limit {
        return Err(DeltaError::TooManyPages { pages: pages.len() as u64, limit });
    }
    let mut before = 0;
    for page in pages {
        if page.number <= before {
            return Err(DeltaError::Order { number: page.number });
        }
        before = page.number;
        for image in page.old.into_iter().chain([page.new]) {
            if image.len() != expected {
                let (number, actual) = (page.number, image.len());
                return Err(DeltaError::ImageLength { number, expected, actual });
            }
        }
    }
    Ok(())
}

/// A way to predict a page.
struct Candidate {
    script: Option<Script>,
    slots: Slots,
    base: usize,
    prediction: Prediction,
    cost: usize,
}

fn encode_page(
    page: &PageChange<'_>,
    place: usize,
    old: &OldImages<'_>,
    shape: PageShape,
    out: &mut Writer,
) {
    let origins = Origins { shape, number: page.number, own: page.old, others: &[], base: 0 };
    let mut best = Candidate::plain(&origins, place, page.new);
    if let Some(tree) = Tree::read(page.new, page.number, shape.usable()) {
        let task =
            Task { origins: &origins, place, base: place, image: page.new, tree: &tree, old };
        for base in [place].into_iter().chain(sibling(task)) {
            for laying in Laying::ALL {
                let candidate = Candidate::of_cells(Task { base, ..task }, laying);
                best = candidate.filter(|other| other.cost < best.cost).unwrap_or(best);
            }
        }
    }
    let order = best.prediction.order();
    let target = gather(&order, page.new);
    let predicted = gather(&order, &best.prediction.image);
    let ops = ops(&target, &predicted, old, &mut best.slots);
    let (others, base, script) = (best.slots.into_others(), best.base, best.script);
    Recipe { others, base, script, ops }.write(place, out);
}

impl Candidate {
    fn plain(origins: &Origins<'_>, place: usize, new: &[u8]) -> Self {
        let prediction = Prediction::plain(origins, Vec::new());
        let cost = differing(&prediction.image, new);
        Self { script: None, slots: Slots::new(place), base: 0, prediction, cost }
    }

    fn of_cells(task: Task<'_>, laying: Laying) -> Option<Self> {
        let (script, slots, base) = script(task, laying)?;
        let others = slots.others().iter().map(|place| task.old.page(*place));
        let others: Vec<_> = others.collect::<Option<_>>()?;
        let origins = Origins { others: &others, base, ..*task.origins };
        let prediction = predict(&origins, &script, &mut Told::default(), Vec::new()).ok()?;
        let said = script.items.len() + 3 * script.exceptions.len() + 2 * others.len();
        let cost = said + differing(&prediction.image, task.image);
        Some(Self { script: Some(script), slots, base, prediction, cost })
    }
}

fn differing(left: &[u8], right: &[u8]) -> usize {
    left.iter().zip(right).filter(|(left, right)| left != right).count()
}
