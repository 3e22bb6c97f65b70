//! The prediction of a tree page: its cells, and where `SQLite` puts them.
//!
//! `SQLite` puts a new cell right below the lowest one, and when it balances or
//! defragments it lays all cells down from the end of the page in the order of
//! their keys. So where cells lie follows from which cells there are, but for
//! exceptions. The bytes in between stay as they were.

use std::collections::VecDeque;

use crate::delta::btree::{Kind, Span, Tree, header_at, u16_at};
use crate::delta::script::{Exception, Item, Reference, Script};
use crate::delta::shape::PageShape;

/// The old images that a page is made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origins<'a> {
    /// What all pages have in common.
    pub(super) shape: PageShape,
    /// The page that is made.
    pub(super) number: u32,
    /// Slot 0: its own old image.
    pub(super) own: Option<&'a [u8]>,
    /// Slots 1 and up: other pages, by number.
    pub(super) others: &'a [(u32, &'a [u8])],
}

impl<'a> Origins<'a> {
    /// The page in `slot`.
    pub(super) fn get(&self, slot: usize) -> Option<(u32, &'a [u8])> {
        match slot.checked_sub(1) {
            None => self.own.map(|image| (self.number, image)),
            Some(other) => self.others.get(other).copied(),
        }
    }

    fn tree(&self, slot: usize) -> Option<Tree> {
        let (number, image) = self.get(slot)?;
        Tree::read(image, number, self.shape.usable())
    }
}

/// What a page is expected to be.
#[derive(Debug)]
pub(super) struct Prediction {
    /// The page.
    pub(super) image: Vec<u8>,
    /// The cells that no source had, which do not overlap.
    pub(super) new_cells: Vec<Span>,
}

impl Prediction {
    /// A page that looks as before, or is empty.
    pub(super) fn plain(origins: &Origins<'_>) -> Self {
        let empty = || vec![0; origins.shape.page_bytes()];
        Self { image: origins.own.map_or_else(empty, <[u8]>::to_vec), new_cells: Vec::new() }
    }

    /// The order in which a patch goes over the page: the new cells, then the rest.
    pub(super) fn order(&self) -> Vec<Span> {
        let mut order = self.new_cells.clone();
        let mut sorted = self.new_cells.clone();
        sorted.sort_unstable_by_key(|span| span.at);
        let mut at = 0;
        for span in sorted {
            order.push(Span { at, len: span.at.saturating_sub(at) });
            at = span.end();
        }
        order.push(Span { at, len: self.image.len().saturating_sub(at) });
        order
    }
}

/// A cell of the page that is made.
#[derive(Debug, Clone, Copy)]
struct Cell {
    len: usize,
    content: Content,
}

#[derive(Debug, Clone, Copy)]
enum Content {
    /// It stays where it is.
    Kept { at: usize },
    /// A cell of an old image.
    Copied { slot: usize, span: Span },
    /// Like the cell before it.
    LikePrevious,
    /// Like a cell of an old image.
    Like { slot: usize, span: Span },
    /// Unlike any.
    Unlike,
}

/// Goes through the cells of sources.
struct Walk<'a> {
    origins: &'a Origins<'a>,
    fresh: bool,
    trees: Vec<Option<Tree>>,
    slot: usize,
    cursor: usize,
    cells: Vec<Cell>,
}

/// Why a script makes no page.
type Refused = &'static str;

impl<'a> Walk<'a> {
    fn new(origins: &'a Origins<'a>, fresh: bool) -> Self {
        let trees = vec![None; origins.others.len() + 1];
        Self { origins, fresh, trees, slot: 0, cursor: 0, cells: Vec::new() }
    }

    fn source(&mut self) -> Result<&Tree, Refused> {
        let memo = self.trees.get_mut(self.slot).ok_or("a source that the page does not have")?;
        if memo.is_none() {
            *memo = self.origins.tree(self.slot);
        }
        memo.as_ref().ok_or("cells of a page that has none")
    }

    fn step(&mut self, item: Item) -> Result<(), Refused> {
        match item {
            Item::Rest => {
                let cells = self.source()?.cells.len();
                self.run(cells.saturating_sub(self.cursor))
            }
            Item::Run(cells) => self.run(cells),
            Item::New { reference, len } => self.new_cell(reference, len),
            Item::Skip(cells) => self.skip(cells),
            Item::End => Ok(()),
            Item::From { slot, cell } => {
                (self.slot, self.cursor) = (slot, cell);
                Ok(())
            }
        }
    }

    fn skip(&mut self, cells: usize) -> Result<(), Refused> {
        self.cursor = self.cursor.checked_add(cells).ok_or("a cell that its source lacks")?;
        Ok(())
    }

    fn run(&mut self, cells: usize) -> Result<(), Refused> {
        let (slot, from, stays) = (self.slot, self.cursor, self.slot == 0 && !self.fresh);
        let end = from.checked_add(cells).ok_or("a cell that its source lacks")?;
        let spans = self.source()?.cells.get(from..end).ok_or("a cell that its source lacks")?;
        let made = spans.iter().map(|&span| Cell {
            len: span.len,
            content: if stays {
                Content::Kept { at: span.at }
            } else {
                Content::Copied { slot, span }
            },
        });
        let made: Vec<_> = made.collect();
        self.cells.extend(made);
        self.cursor = end;
        self.bounded()
    }

    fn new_cell(&mut self, reference: Reference, len: usize) -> Result<(), Refused> {
        let content = match reference {
            Reference::Nothing => Content::Unlike,
            Reference::Previous => Content::LikePrevious,
            Reference::Next | Reference::Replaced => {
                let (slot, cursor) = (self.slot, self.cursor);
                let span = self.source()?.cells.get(cursor).copied();
                let span = span.ok_or("a cell that its source lacks")?;
                Content::Like { slot, span }
            }
        };
        if reference == Reference::Replaced {
            self.skip(1)?;
        }
        self.cells.push(Cell { len, content });
        self.bounded()
    }

    fn bounded(&self) -> Result<(), Refused> {
        // Two bytes of each cell's place must fit.
        match self.cells.len() <= self.origins.shape.page_bytes() / 2 {
            true => Ok(()),
            false => Err("more cells than a page holds"),
        }
    }
}

/// What the page of a script is expected to be.
pub(super) fn predict(origins: &Origins<'_>, script: &Script) -> Result<Prediction, Refused> {
    let mut walk = Walk::new(origins, script.fresh);
    for item in &script.items {
        walk.step(*item)?;
    }
    let cells = walk.cells;
    let placed = cells.iter().map(|cell| match cell.content {
        Content::Kept { .. } => None,
        _ => Some(cell.len),
    });
    let placed: Vec<_> = placed.flatten().collect();
    let top = first_top(origins, script.fresh);
    let mut places = place(&placed, &script.exceptions, top)?.into_iter();
    let mut spans = Vec::with_capacity(cells.len());
    for cell in &cells {
        let at = match cell.content {
            Content::Kept { at } => Some(at),
            _ => places.next(),
        };
        let span = Span { at: at.ok_or("a cell without a place")?, len: cell.len };
        if span.end() > origins.shape.page_bytes() {
            return Err("a cell beyond the page");
        }
        spans.push(span);
    }
    paint(origins, script, &cells, &spans)
}

/// Where the first cell that is placed ends.
pub(super) fn first_top(origins: &Origins<'_>, fresh: bool) -> usize {
    let usable = origins.shape.usable();
    let header = header_at(origins.number);
    match origins.own.and_then(|image| u16_at(image, header + 5)) {
        Some(content) if !fresh && content > 0 => content.min(usable),
        _ => usable,
    }
}

/// Where cells begin that are laid down from `top`, each below the one before it
/// but for the exceptions.
fn place(lens: &[usize], exceptions: &[Exception], top: usize) -> Result<Vec<usize>, Refused> {
    let mut turns = vec![(0, None); lens.len()];
    let mut free: VecDeque<usize> = (0..lens.len()).collect();
    let mut next = exceptions.iter().peekable();
    let mut gap = 0;
    for cell in 0..lens.len() {
        let exception = next.next_if(|exception| exception.gap == gap);
        gap = if exception.is_some() { 0 } else { gap + 1 };
        let rank = exception.map_or(0, |exception| exception.rank);
        let turn = free.remove(rank).ok_or("a place that there is not")?;
        turns[turn] = (cell, exception.and_then(|exception| exception.at));
    }
    if next.next().is_some() {
        return Err("an exception for no cell");
    }
    lay_down(lens, &turns, top)
}

fn lay_down(
    lens: &[usize],
    turns: &[(usize, Option<usize>)],
    mut top: usize,
) -> Result<Vec<usize>, Refused> {
    let mut places = vec![0; lens.len()];
    for &(cell, given) in turns {
        let at = match given {
            Some(at) => at,
            None => top.checked_sub(lens[cell]).ok_or("a cell before the page")?,
        };
        places[cell] = at;
        top = top.min(at);
    }
    Ok(places)
}

fn paint(
    origins: &Origins<'_>,
    script: &Script,
    cells: &[Cell],
    spans: &[Span],
) -> Result<Prediction, Refused> {
    let mut image = Prediction::plain(origins).image;
    let mut new_cells = Vec::new();
    let mut previous = None;
    for (cell, &span) in cells.iter().zip(spans) {
        match cell.content {
            Content::Kept { .. } => {}
            Content::Copied { slot, span: from } => copy(origins, slot, from, &mut image, span),
            Content::Like { slot, span: from } => copy(origins, slot, from, &mut image, span),
            Content::LikePrevious => {
                let Span { at, len } = previous.ok_or("no cell is before the first")?;
                image.copy_within(at..at + span.len.min(len), span.at);
            }
            Content::Unlike => {}
        }
        if !matches!(cell.content, Content::Kept { .. } | Content::Copied { .. }) {
            new_cells.push(span);
        }
        previous = Some(span);
    }
    write_header(origins, script, spans, &mut image)?;
    disjoint(&new_cells)?;
    Ok(Prediction { image, new_cells })
}

/// Copies as much of a cell as there is room for.
fn copy(origins: &Origins<'_>, slot: usize, from: Span, image: &mut [u8], to: Span) {
    let Some((_, source)) = origins.get(slot) else { return };
    let bytes = from.of(source);
    let len = bytes.len().min(to.len);
    image[to.at..to.at + len].copy_from_slice(&bytes[..len]);
}

fn write_header(
    origins: &Origins<'_>,
    script: &Script,
    spans: &[Span],
    image: &mut [u8],
) -> Result<(), Refused> {
    let header = header_at(origins.number);
    let array = header + script.kind.header_bytes();
    let body = array + 2 * spans.len();
    let lowest = spans.iter().map(|span| span.at).min().unwrap_or(origins.shape.usable());
    if body > image.len() {
        return Err("more cells than a page holds");
    }
    image[header] = script.kind.byte();
    if script.fresh {
        image[header + 1..header + 3].fill(0);
        image[header + 7] = 0;
    }
    put_u16(image, header + 3, spans.len());
    put_u16(image, header + 5, lowest);
    for (index, span) in spans.iter().enumerate() {
        put_u16(image, array + 2 * index, span.at);
    }
    Ok(())
}

/// The lowest two bytes of a number, the higher first: 65536 is written as 0.
fn put_u16(image: &mut [u8], at: usize, value: usize) {
    let low = u16::try_from(value & 0xffff).expect("invariant: sixteen bits");
    image[at..at + 2].copy_from_slice(&low.to_be_bytes());
}

fn disjoint(cells: &[Span]) -> Result<(), Refused> {
    let mut sorted = cells.to_vec();
    sorted.sort_unstable_by_key(|span| span.at);
    match sorted.windows(2).all(|pair| pair[0].end() <= pair[1].at) {
        true => Ok(()),
        false => Err("new cells overlap"),
    }
}
