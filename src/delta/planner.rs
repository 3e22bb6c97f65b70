//! Choosing the script of a page: which cells it took over, and from where.

use std::collections::{HashMap, VecDeque};

use crate::delta::btree::{Span, Tree};
use crate::delta::layout::{Origins, first_top};
use crate::delta::matcher::OldImages;
use crate::delta::script::{Exception, Item, MOST_RANK, Reference, Script};
use crate::delta::slots::Slots;

/// Equal bytes from which on a cell counts as like another.
const LEAST_ALIKE: usize = 12;

/// What a script is made for.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    /// The page and its old image.
    pub(super) origins: &'a Origins<'a>,
    /// Its place in the segment.
    pub(super) place: usize,
    /// Its new image.
    pub(super) image: &'a [u8],
    /// The cells of that.
    pub(super) tree: &'a Tree,
    /// Where else to look.
    pub(super) old: &'a OldImages<'a>,
}

struct Draft<'a> {
    task: Task<'a>,
    fresh: bool,
    slots: Slots,
    items: Vec<Item>,
    slot: usize,
    cursor: usize,
    source: Option<(&'a [u8], Tree)>,
    placed: Vec<Span>,
}

/// A script for the page, with the sources that it needs: all cells placed anew, or
/// those of the own old image left where they are. None if that cannot be said.
pub(super) fn script(task: Task<'_>, fresh: bool) -> Option<(Script, Slots)> {
    let own = task.old.tree(task.place).filter(|own| own.kind == task.tree.kind);
    if own.is_none() && !fresh {
        return None;
    }
    let kept = match &own {
        Some(own) if !fresh => kept(task.tree, own),
        _ => vec![None; task.tree.cells.len()],
    };
    let mut draft = Draft::new(task, fresh);
    for (index, &span) in task.tree.cells.iter().enumerate() {
        match kept[index] {
            Some(cell) => draft.keep(cell),
            None => draft.add(span, kept[index..].iter().flatten().next().copied()),
        }
    }
    draft.finish()
}

/// For each cell of the new page its number in the old one, where it stayed in its place.
fn kept(new: &Tree, own: &Tree) -> Vec<Option<usize>> {
    let by_place: HashMap<usize, usize> =
        own.cells.iter().enumerate().map(|(cell, span)| (span.at, cell)).collect();
    let wanted: Vec<_> = new.cells.iter().map(|span| by_place.get(&span.at).copied()).collect();
    let same_len = |index: usize, cell: usize| new.cells[index].len == own.cells[cell].len;
    let candidates = wanted.iter().enumerate();
    let candidates = candidates.filter_map(|(index, cell)| Some((index, (*cell)?)));
    let candidates: Vec<_> = candidates.filter(|&(index, cell)| same_len(index, cell)).collect();
    let mut kept = vec![None; new.cells.len()];
    for (index, cell) in longest_ascent(&candidates) {
        kept[index] = Some(cell);
    }
    kept
}

/// The most pairs whose second numbers ascend strictly.
fn longest_ascent(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // `ends[n]` is where an ascent of n + 1 pairs ends lowest.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; pairs.len()];
    for (at, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < pair.1);
        before[at] = length.checked_sub(1).map(|length| ends[length]);
        ends.truncate(ends.len().max(length));
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let mut ascent: Vec<_> =
        std::iter::successors(ends.last().copied(), |at| before[*at]).map(|at| pairs[at]).collect();
    ascent.reverse();
    ascent
}

impl<'a> Draft<'a> {
    fn new(task: Task<'a>, fresh: bool) -> Self {
        let own = task.old.image(task.place);
        let source = own.zip(task.old.tree(task.place));
        let slots = Slots::new(task.place);
        Self { task, fresh, slots, items: Vec::new(), slot: 0, cursor: 0, source, placed: Vec::new() }
    }

    /// A cell that stays where it is in the own old image.
    fn keep(&mut self, cell: usize) {
        if self.slot != 0 || cell < self.cursor {
            self.go(self.task.place, 0, cell);
        } else if cell > self.cursor {
            self.items.push(Item::Skip(cell - self.cursor));
            self.cursor = cell;
        }
        self.run();
    }

    /// A cell that is placed; `next_kept` is the next cell that is not.
    fn add(&mut self, span: Span, next_kept: Option<usize>) {
        self.placed.push(span);
        let bytes = span.of(self.task.image);
        if self.copies_place() && self.at_cursor() == Some(bytes) {
            return self.run();
        }
        if let Some((place, cell)) = self.task.old.cell_like(bytes)
            && self.try_go(place, cell, bytes)
        {
            return self.run();
        }
        self.new_cell(bytes, next_kept);
    }

    /// Whether a cell taken from the source is placed, not kept.
    fn copies_place(&self) -> bool {
        self.slot != 0 || self.fresh
    }

    fn at_cursor(&self) -> Option<&'a [u8]> {
        let (image, tree) = self.source.as_ref()?;
        Some(tree.cells.get(self.cursor)?.of(image))
    }

    /// Turns to the cell, if it is one with these bytes and the page may use it.
    fn try_go(&mut self, place: usize, cell: usize, bytes: &[u8]) -> bool {
        if place == self.task.place && !self.fresh {
            return false;
        }
        let found = self.task.old.image(place).zip(self.task.old.tree(place));
        let found = found.and_then(|(image, tree)| Some(tree.cells.get(cell)?.of(image)));
        if found != Some(bytes) {
            return false;
        }
        let Some(slot) = self.slots.take(place) else { return false };
        self.go(place, slot, cell);
        true
    }

    fn go(&mut self, place: usize, slot: usize, cell: usize) {
        if slot == self.slot && cell == self.cursor {
            return;
        }
        if slot == self.slot && cell > self.cursor {
            self.items.push(Item::Skip(cell - self.cursor));
        } else {
            self.items.push(Item::From { slot, cell });
            self.source = self.task.old.image(place).zip(self.task.old.tree(place));
        }
        (self.slot, self.cursor) = (slot, cell);
    }

    fn run(&mut self) {
        match self.items.last_mut() {
            Some(Item::Run(cells)) => *cells += 1,
            _ => self.items.push(Item::Run(1)),
        }
        self.cursor += 1;
    }

    fn new_cell(&mut self, bytes: &[u8], next_kept: Option<usize>) {
        let alike = |other: Option<&[u8]>| {
            other.map_or(0, |other| bytes.iter().zip(other).filter(|(a, b)| a == b).count())
        };
        let next = alike(self.at_cursor());
        let previous = alike(self.previous());
        let own_cells = self.source.as_ref().map_or(0, |(_, tree)| tree.cells.len());
        let dropped = !self.copies_place() && self.cursor < next_kept.unwrap_or(own_cells);
        let reference = match () {
            () if next.max(previous) < LEAST_ALIKE => Reference::Nothing,
            () if next < previous => Reference::Previous,
            () if dropped => Reference::Replaced,
            () => Reference::Next,
        };
        if reference == Reference::Replaced {
            self.cursor += 1;
        }
        self.items.push(Item::New { reference, len: bytes.len() });
    }

    /// The cell before the one that was placed last.
    fn previous(&self) -> Option<&'a [u8]> {
        let placed = self.placed.last()?;
        let cells = &self.task.tree.cells;
        let index = cells.iter().position(|span| span.at == placed.at)?;
        Some(cells.get(index.checked_sub(1)?)?.of(self.task.image))
    }

    fn finish(mut self) -> Option<(Script, Slots)> {
        let exceptions =
            exceptions(&self.placed, first_top(self.task.origins, self.fresh))?;
        let at_end =
            self.source.as_ref().is_some_and(|(_, tree)| tree.cells.len() == self.cursor);
        if at_end {
            self.items.pop_if(|item| matches!(item, Item::Run(_)));
        }
        // Popping the run moves the cursor back to where the rest begins.
        self.items.push(if at_end { Item::Rest } else { Item::End });
        let script =
            Script { kind: self.task.tree.kind, fresh: self.fresh, items: self.items, exceptions };
        Some((script, self.slots))
    }
}

/// What is to be said about where cells lie; none if they lie too wildly.
fn exceptions(placed: &[Span], mut top: usize) -> Option<Vec<Exception>> {
    let mut downward: Vec<usize> = (0..placed.len()).collect();
    downward.sort_by_key(|cell| std::cmp::Reverse(placed[*cell].at));
    let mut turn_of = vec![0; placed.len()];
    let mut given = vec![None; placed.len()];
    for (turn, &cell) in downward.iter().enumerate() {
        let span = placed[cell];
        turn_of[cell] = turn;
        given[cell] = (span.end() != top).then_some(span.at);
        top = top.min(span.at);
    }
    let mut free: VecDeque<usize> = (0..placed.len()).collect();
    let mut exceptions = Vec::new();
    let mut gap = 0;
    for (turn, at) in turn_of.into_iter().zip(given) {
        let rank = free.iter().take(MOST_RANK + 1).position(|free| *free == turn)?;
        free.remove(rank);
        if rank == 0 && at.is_none() {
            gap += 1;
        } else {
            exceptions.push(Exception { gap, rank, at });
            gap = 0;
        }
    }
    Some(exceptions)
}
