//! Which changed pages go into one segment together.
//!
//! A page can only be made from old images of its own segment, and `SQLite` moves
//! cells between pages that lie anywhere in the file. So pages that exchanged cells
//! are kept together; cutting by number alone made patches of two segments twice as
//! large (`docs/adr`).

use crate::delta::btree::Tree;
use crate::delta::encode::PageChange;
use crate::delta::matcher::hash;
use crate::delta::shape::PageShape;

/// One in this many cells is looked at; which ones, their bytes decide.
const SAMPLED: u64 = 4;
/// About how many bytes of pages there are for one cell that is looked at.
const BYTES_A_CELL: usize = 128;
/// The largest table of cells, in entries of eight bytes.
const MOST_CELLS: usize = 1 << 20;

/// The segments for `pages`, whose numbers ascend: the places of the pages of each,
/// ascending. Memory: some bytes a page and a table of at most 8 MiB.
pub fn segments(pages: &[PageChange<'_>], shape: PageShape) -> Vec<Vec<usize>> {
    let limit = shape.segment_pages();
    if pages.len() <= limit {
        return if pages.is_empty() { Vec::new() } else { vec![(0..pages.len()).collect()] };
    }
    let mut segments: Vec<Vec<usize>> = Vec::new();
    for group in groups(pages, shape) {
        for piece in group.chunks(limit) {
            match segments.last_mut().filter(|segment| segment.len() + piece.len() <= limit) {
                Some(segment) => segment.extend(piece),
                None => segments.push(piece.to_vec()),
            }
        }
    }
    for segment in &mut segments {
        segment.sort_unstable();
    }
    segments
}

/// Pages that exchanged cells, directly or over others, in the order of their first.
fn groups(pages: &[PageChange<'_>], shape: PageShape) -> Vec<Vec<usize>> {
    let cells = Cells::of_old_images(pages, shape);
    let mut union = Union { leader: (0..pages.len()).collect() };
    for (place, page) in pages.iter().enumerate() {
        for from in cells.origins(page, place, shape) {
            union.join(place, from);
        }
    }
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); pages.len()];
    for place in 0..pages.len() {
        groups[union.leader_of(place)].push(place);
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// In which old image a cell was: the upper half of its hash and the page, plus one.
struct Cells {
    table: Vec<(u32, u32)>,
}

fn sampled(image: &[u8], number: u32, shape: PageShape) -> impl Iterator<Item = u64> {
    let tree = Tree::read(image, number, shape.usable());
    let cells = tree.map(|tree| tree.cells).unwrap_or_default().into_iter();
    cells.map(|span| hash(span.of(image))).filter(|hash| hash.is_multiple_of(SAMPLED))
}

/// The lower and the upper half of a hash.
fn halves(hash: u64) -> (usize, u32) {
    let half = |bits: u64| u32::try_from(bits & 0xffff_ffff).unwrap_or(0);
    (half(hash >> 3) as usize, half(hash >> 32))
}

impl Cells {
    fn of_old_images(pages: &[PageChange<'_>], shape: PageShape) -> Self {
        let entries = (pages.len() * shape.page_bytes() / BYTES_A_CELL).clamp(1 << 10, MOST_CELLS);
        let mut table = vec![(0, 0); entries.next_power_of_two()];
        for (place, page) in (1..).zip(pages) {
            let Some(image) = page.old else { continue };
            for hash in sampled(image, page.number, shape) {
                let (low, high) = halves(hash);
                let slot = low & (table.len() - 1);
                table[slot] = (high, place);
            }
        }
        Self { table }
    }

    /// The pages that cells of this one were in, if not in itself.
    fn origins(
        &self,
        page: &PageChange<'_>,
        own: usize,
        shape: PageShape,
    ) -> impl Iterator<Item = usize> {
        sampled(page.new, page.number, shape).filter_map(move |hash| {
            let (low, high) = halves(hash);
            let (known, place) = self.table[low & (self.table.len() - 1)];
            let place = place.checked_sub(1)? as usize;
            (known == high && place != own).then_some(place)
        })
    }
}

/// Disjoint sets: each page names one of its set, the first names itself.
struct Union {
    leader: Vec<usize>,
}

impl Union {
    fn leader_of(&mut self, mut place: usize) -> usize {
        while self.leader[place] != place {
            self.leader[place] = self.leader[self.leader[place]];
            place = self.leader[place];
        }
        place
    }

    fn join(&mut self, left: usize, right: usize) {
        let (left, right) = (self.leader_of(left), self.leader_of(right));
        self.leader[left.max(right)] = left.min(right);
    }
}
