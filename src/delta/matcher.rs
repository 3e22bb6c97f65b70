//! Finding bytes and cells of new pages in the old images of a segment.

use crate::delta::btree::{Span, Tree};
use crate::delta::encode::PageChange;
use crate::delta::script::Op;
use crate::delta::shape::PageShape;
use crate::delta::slots::Slots;

/// Bytes that are looked up at a time.
const SHINGLE: usize = 8;
/// One in this many shingles is remembered; which ones, their bytes decide.
const SAMPLED: u64 = 8;
/// A shorter run of bytes as predicted is cheaper as literals.
const LEAST_PREDICTED: usize = 6;
/// A shorter copy from a page that is a source already is cheaper as literals.
const LEAST_COPY: usize = 20;
/// The same for a page that is not yet a source.
const LEAST_FAR_COPY: usize = 28;

/// The old images of a segment, by what is in them.
pub(super) struct OldImages<'a> {
    shape: PageShape,
    pages: &'a [PageChange<'a>],
    /// Where a shingle lies: place in the segment times page size, plus the offset, plus one.
    shingles: Vec<u32>,
    /// Where a cell lies: place in the segment and number within its page, plus one.
    cells: Vec<(u32, u32)>,
}

/// Spreads `value` over 64 bits.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^ (value >> 29)
}

fn shingle(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..)?.first_chunk::<SHINGLE>()?;
    Some(mix(u64::from_le_bytes(*bytes)))
}

pub(super) fn hash(bytes: &[u8]) -> u64 {
    let mut hash = bytes.len() as u64;
    for piece in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..piece.len()].copy_from_slice(piece);
        hash = mix(hash.rotate_left(23) ^ u64::from_le_bytes(word));
    }
    hash
}

/// The place of `hash` in a table of a power of two.
fn bucket(hash: u64, table: usize) -> usize {
    usize::try_from(hash >> 40).unwrap_or(0) & (table - 1)
}

/// How many bytes two slices begin with in common.
pub(super) fn common(left: &[u8], right: &[u8]) -> usize {
    let mut len = 0;
    for (left, right) in left.chunks(8).zip(right.chunks(8)) {
        if left != right || left.len() < 8 {
            return len + left.iter().zip(right).take_while(|(left, right)| left == right).count();
        }
        len += 8;
    }
    len
}

fn common_back(left: &[u8], right: &[u8]) -> usize {
    left.iter().rev().zip(right.iter().rev()).take_while(|(left, right)| left == right).count()
}

impl<'a> OldImages<'a> {
    /// Looks through all old images of `pages`.
    pub(super) fn new(pages: &'a [PageChange<'a>], shape: PageShape) -> Self {
        let bytes = pages.len() * shape.page_bytes();
        let table = |one_in: usize| (bytes / one_in).clamp(1 << 10, 1 << 24).next_power_of_two();
        let shingles = vec![0; table(16)];
        let cells = vec![(0, 0); table(64)];
        let mut old = Self { shape, pages, shingles, cells };
        for (place, page) in pages.iter().enumerate() {
            if let Some(image) = page.old {
                old.add_shingles(place, image);
                old.add_cells(place, page.number, image);
            }
        }
        old
    }

    fn add_shingles(&mut self, place: usize, image: &[u8]) {
        let mut before = 0;
        for at in 0..image.len() {
            let Some(hash) = shingle(image, at) else { break };
            // A run of one byte is one shingle over and over.
            if hash % SAMPLED == 0 && hash != before {
                let bucket = bucket(hash, self.shingles.len());
                let position = place * self.shape.page_bytes() + at + 1;
                self.shingles[bucket] = u32::try_from(position).unwrap_or(0);
            }
            before = hash;
        }
    }

    fn add_cells(&mut self, place: usize, number: u32, image: &[u8]) {
        let Some(tree) = Tree::read(image, number, self.shape.usable()) else { return };
        for (cell, span) in (1..).zip(&tree.cells) {
            let bucket = bucket(hash(span.of(image)), self.cells.len());
            self.cells[bucket] = (u32::try_from(place).unwrap_or(0), cell);
        }
    }

    /// The old image of the page at `place`.
    pub(super) fn image(&self, place: usize) -> Option<&'a [u8]> {
        self.pages.get(place)?.old
    }

    /// The number and the old image of the page at `place`.
    pub(super) fn page(&self, place: usize) -> Option<(u32, &'a [u8])> {
        let page = self.pages.get(place)?;
        Some((page.number, page.old?))
    }

    /// The old image of the page at `place` as a tree page.
    pub(super) fn tree(&self, place: usize) -> Option<Tree> {
        let page = self.pages.get(place)?;
        Tree::read(page.old?, page.number, self.shape.usable())
    }

    /// A page, by its place, and a cell of it that may be this one.
    pub(super) fn cell_like(&self, cell: &[u8]) -> Option<(usize, usize)> {
        let (place, number) = self.cells[bucket(hash(cell), self.cells.len())];
        Some((place as usize, number.checked_sub(1)? as usize))
    }

    /// The longest copy found for `target` at `at` that begins no earlier than `from`.
    fn copy_for(&self, target: &[u8], from: usize, at: usize) -> Option<Found> {
        let hash = shingle(target, at).filter(|hash| hash % SAMPLED == 0)?;
        let position = self.shingles[bucket(hash, self.shingles.len())].checked_sub(1)? as usize;
        let (place, offset) =
            (position / self.shape.page_bytes(), position % self.shape.page_bytes());
        let image = self.image(place)?;
        let ahead = common(&target[at..], &image[offset..]);
        if ahead < SHINGLE {
            return None;
        }
        let back = common_back(&target[from..at], &image[..offset]);
        Some(Found {
            place,
            begin: at - back,
            source: Span { at: offset - back, len: ahead + back },
        })
    }
}

/// A piece of an old image that fits.
struct Found {
    place: usize,
    /// Where in the new page it belongs.
    begin: usize,
    source: Span,
}

/// Operations under construction.
struct Ops<'t> {
    target: &'t [u8],
    literal_from: usize,
    made: Vec<Op<'t>>,
}

impl<'t> Ops<'t> {
    fn push(&mut self, at: usize, op: Op<'t>, len: usize) {
        if self.literal_from < at {
            self.made.push(Op::Literal(&self.target[self.literal_from..at]));
        }
        self.made.push(op);
        self.literal_from = at + len;
    }

    fn finish(mut self) -> Vec<Op<'t>> {
        if self.literal_from < self.target.len() {
            self.made.push(Op::Literal(&self.target[self.literal_from..]));
        }
        self.made
    }
}

/// A patch that makes `target` of what was `predicted`, both in the order of the patch.
pub(super) fn ops<'t>(
    target: &'t [u8],
    predicted: &[u8],
    old: &OldImages<'_>,
    slots: &mut Slots,
) -> Vec<Op<'t>> {
    let mut made = Ops { target, literal_from: 0, made: Vec::new() };
    let mut at = 0;
    while at < target.len() {
        let run = common(&target[at..], &predicted[at..]);
        if run >= LEAST_PREDICTED || (run > 0 && at + run == target.len()) {
            made.push(at, Op::Predicted(run), run);
            at += run;
            continue;
        }
        let found = old.copy_for(target, made.literal_from, at);
        let found = found.and_then(|found| Some((worth(&found, slots)?, found)));
        match found {
            Some((slot, Found { begin, source, .. })) => {
                made.push(begin, Op::Copy { slot, at: source.at, len: source.len }, source.len);
                at = begin + source.len;
            }
            None => at += 1,
        }
    }
    made.finish()
}

/// The slot for a copy that is cheaper than its bytes.
fn worth(found: &Found, slots: &mut Slots) -> Option<usize> {
    let least = match slots.find(found.place) {
        Some(_) => LEAST_COPY,
        None => LEAST_FAR_COPY,
    };
    (found.source.len >= least).then(|| slots.take(found.place))?
}
