//! Choosing the script of a page: which cells it took over, and from where.

use std::collections::HashMap;

use crate::delta::btree::{Kind, Span, Tree};
use crate::delta::cells::{Cell, Content, Origins, Told};
use crate::delta::layout::{How, lay};
use crate::delta::live::Live;
use crate::delta::matcher::OldImages;
use crate::delta::script::{Item, Laying, Reference, Script};
use crate::delta::slots::Slots;
use crate::delta::turns::{Turns, longest_ascent};

/// One cell in this many that were in another page make that a base.
const LEAST_SHARE: usize = 4;
/// Equal bytes from which on a cell counts as like another.
const LEAST_ALIKE: usize = 20;

/// What a script is made for.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    /// The page and its old image.
    pub(super) origins: &'a Origins<'a>,
    /// Its place in the segment.
    pub(super) place: usize,
    /// The place of the page that it may have been made from.
    pub(super) base: usize,
    /// Its new image.
    pub(super) image: &'a [u8],
    /// The cells of that.
    pub(super) tree: &'a Tree,
    /// Where else to look.
    pub(super) old: &'a OldImages<'a>,
}

struct Draft<'a> {
    task: Task<'a>,
    laying: Laying,
    slots: Slots,
    base: usize,
    items: Vec<Item>,
    slot: usize,
    cursor: usize,
    source: Option<(&'a [u8], Tree)>,
    placed: Vec<Span>,
}

/// A script for the page, with the sources that it needs. None if the cells cannot
/// be said to lie that way.
pub(super) fn script(task: Task<'_>, laying: Laying) -> Option<(Script, Slots, usize)> {
    let own = task.old.tree(task.base).filter(|own| own.kind == task.tree.kind);
    let kept = match (&own, laying) {
        (_, Laying::Fresh) => vec![None; task.tree.cells.len()],
        (Some(own), Laying::Stay) => kept(task, own)?,
        (None, Laying::Stay) => return None,
    };
    let mut draft = Draft::new(task, laying);
    let mut next_kept = kept.clone();
    for index in (1..kept.len()).rev() {
        next_kept[index - 1] = kept[index - 1].or(next_kept[index]);
    }
    for (index, cell) in kept.into_iter().enumerate() {
        match cell {
            Some(cell) => draft.keep(cell),
            None => draft.add(index, next_kept[index]),
        }
    }
    draft.finish()
}

/// The page, not its own, that most cells of the page were in, if that is many.
pub(super) fn sibling(task: Task<'_>) -> Option<usize> {
    let mut cells = HashMap::new();
    for span in &task.tree.cells {
        let found = task.old.cell_like(span.of(task.image));
        if let Some((place, _)) = found.filter(|(place, _)| *place != task.place) {
            *cells.entry(place).or_insert(0_usize) += 1;
        }
    }
    let (place, count) = cells.into_iter().max_by_key(|(place, count)| (*count, *place))?;
    (count * LEAST_SHARE >= task.tree.cells.len()).then_some(place)
}

/// For each cell of the new page the number of the cell of the old one that it is:
/// it has the same bytes, or the same place.
fn kept(task: Task<'_>, own: &Tree) -> Option<Vec<Option<usize>>> {
    let old = task.old.image(task.base)?;
    let old_cells = || own.cells.iter().enumerate();
    let by_bytes: HashMap<_, _> = old_cells().map(|(cell, span)| (span.of(old), cell)).collect();
    let by_place: HashMap<_, _> = old_cells().map(|(cell, span)| (*span, cell)).collect();
    let pairs = task.tree.cells.iter().enumerate().filter_map(|(index, span)| {
        let same = by_bytes.get(span.of(task.image)).or_else(|| by_place.get(span));
        Some((index, *same?))
    });
    let mut kept = vec![None; task.tree.cells.len()];
    for (index, cell) in longest_ascent(&pairs.collect::<Vec<_>>()) {
        kept[index] = Some(cell);
    }
    Some(kept)
}

impl<'a> Draft<'a> {
    fn new(task: Task<'a>, laying: Laying) -> Self {
        let source = task.old.image(task.base).zip(task.old.tree(task.base));
        let (slots, base) = Slots::with_base(task.place, task.base);
        Self {
            task,
            laying,
            slots,
            base,
            items: Vec::new(),
            slot: base,
            cursor: 0,
            source,
            placed: Vec::new(),
        }
    }

    /// A cell that stays where it is in the own old image.
    fn keep(&mut self, cell: usize) {
        if self.slot != self.base || cell < self.cursor {
            self.go(self.task.base, self.base, cell);
        } else if cell > self.cursor {
            self.items.push(Item::Skip(cell - self.cursor));
            self.cursor = cell;
        }
        self.run();
    }

    /// Cell `index`, which is placed; `next_kept` is the next cell of the base that is not.
    fn add(&mut self, index: usize, next_kept: Option<usize>) {
        let span = self.task.tree.cells[index];
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
        self.new_cell(index, next_kept);
    }

    /// Whether a cell taken from the source is placed, not kept.
    fn copies_place(&self) -> bool {
        self.slot != self.base || self.laying == Laying::Fresh
    }

    fn at_cursor(&self) -> Option<&'a [u8]> {
        let (image, tree) = self.source.as_ref()?;
        Some(tree.cells.get(self.cursor)?.of(image))
    }

    /// Turns to the cell, if it is one with these bytes and the page may use it.
    fn try_go(&mut self, place: usize, cell: usize, bytes: &[u8]) -> bool {
        if place == self.task.base && self.laying != Laying::Fresh {
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

    fn new_cell(&mut self, index: usize, next_kept: Option<usize>) {
        let cell = |index: usize| self.task.tree.cells[index].of(self.task.image);
        let bytes = cell(index);
        let alike = |other: Option<&[u8]>| {
            other.map_or(0, |other| bytes.iter().zip(other).filter(|(a, b)| a == b).count())
        };
        let next = alike(self.at_cursor());
        let previous = alike(index.checked_sub(1).map(cell));
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

    fn finish(mut self) -> Option<(Script, Slots, usize)> {
        let at_end = self.source.as_ref().is_some_and(|(_, tree)| tree.cells.len() == self.cursor);
        if at_end {
            self.items.pop_if(|item| matches!(item, Item::Run(_)));
        }
        // Popping the run moves the cursor back to where the rest begins.
        self.items.push(if at_end { Item::Rest } else { Item::End });
        let others = self.slots.others().iter().map(|place| self.task.old.page(*place));
        let others: Vec<_> = others.collect::<Option<_>>()?;
        let origins = Origins { others: &others, base: self.base, ..*self.task.origins };
        let how = (self.task.tree.kind, self.laying);
        let turns = turns(&origins, how, &self.items, (&self.task.tree.cells, &self.placed))?;
        let (kind, laying) = how;
        let script = Script { kind, laying, items: self.items, exceptions: turns.exceptions() };
        Some((script, self.slots, self.base))
    }
}

/// The turns that lead to where the cells lie, as far as any do. `lie` says where all
/// cells lie, and where those that are placed.
fn turns(
    origins: &Origins<'_>,
    (kind, laying): (Kind, Laying),
    items: &[Item],
    (lie, placed): (&[Span], &[Span]),
) -> Option<Turns> {
    let mut told = Told::default();
    told.tell(origins, laying, items).ok()?;
    let order = match laying {
        Laying::Stay => replayed_order(origins, told.base_cells(origins).ok()?, lie)?,
        Laying::Fresh => {
            let mut order: Vec<_> = (0..placed.len()).collect();
            order.sort_by_key(|cell| std::cmp::Reverse(placed[*cell].at));
            order
        }
    };
    let mut turns = Turns { order, given: vec![None; placed.len()] };
    if laying == Laying::Fresh {
        let mut top = origins.shape.usable();
        for &cell in &turns.order {
            turns.given[cell] = (placed[cell].end() != top).then_some(placed[cell].at);
            top = top.min(placed[cell].at);
        }
        return Some(turns);
    }
    let how = How { kind, laying, turns: &turns };
    let (_, spans) = lay(origins, how, &mut told, image_of(origins)?).ok()?;
    let reached = spans.iter().zip(&told.cells).zip(lie);
    let reached = reached.filter(|((_, cell), _)| !matches!(cell.content, Content::Kept(_)));
    for (given, ((span, _), wanted)) in turns.given.iter_mut().zip(reached) {
        *given = (span.at != wanted.at).then_some(wanted.at);
    }
    Some(turns)
}

fn image_of(origins: &Origins<'_>) -> Option<Vec<u8>> {
    origins.base_image().map(<[u8]>::to_vec)
}

/// Cells that are tried for one turn.
const MOST_TRIED: usize = 24;

/// The order in which placing the cells one by one leads to where they lie.
fn replayed_order(
    origins: &Origins<'_>,
    (cells, base): (&[Cell], &[Span]),
    lie: &[Span],
) -> Option<Vec<usize>> {
    let mut page = Live::new(origins, (cells, base), image_of(origins)?).ok()?;
    let placed = cells.iter().enumerate();
    let placed = placed.filter(|(_, cell)| !matches!(cell.content, Content::Kept(_)));
    let mut left: Vec<(usize, usize)> = placed.map(|(cell, _)| cell).enumerate().collect();
    let mut order = Vec::with_capacity(left.len());
    while !left.is_empty() {
        let fits = |(_, cell): &(usize, usize)| page.would_begin(*cell) == Some(lie[*cell].at);
        let fitting = left.iter().take(MOST_TRIED).position(fits);
        // What was there before the page was defragmented lies highest.
        let highest = || (0..left.len()).max_by_key(|turn| lie[left[*turn].1].at);
        let (turn, cell) = left.remove(fitting.or_else(highest)?);
        page.insert(cell).ok()?;
        order.push(turn);
    }
    Some(order)
}
