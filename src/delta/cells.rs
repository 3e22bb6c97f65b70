//! The cells of a page, as its script tells them.

use crate::delta::btree::{Span, Tree};
use crate::delta::script::{Item, Laying, Reference};
use crate::delta::shape::PageShape;

/// Why a recipe makes no page.
pub(super) type Refused = &'static str;

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
    /// The slot of the page that this one was made from: its own, or that of another,
    /// because balancing gives pages new numbers.
    pub(super) base: usize,
}

impl<'a> Origins<'a> {
    /// The page in `slot`.
    pub(super) fn get(&self, slot: usize) -> Option<(u32, &'a [u8])> {
        match slot.checked_sub(1) {
            None => self.own.map(|image| (self.number, image)),
            Some(other) => self.others.get(other).copied(),
        }
    }

    /// The image that it is made from.
    pub(super) fn base_image(&self) -> Option<&'a [u8]> {
        self.get(self.base).map(|(_, image)| image)
    }
}

/// A cell of the page that is made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cell {
    /// Its length.
    pub(super) len: usize,
    /// What is in it.
    pub(super) content: Content,
    /// The cell of the base that it takes the place of.
    pub(super) replaces: Option<usize>,
}

/// What is in a cell.
#[derive(Debug, Clone, Copy)]
pub(super) enum Content {
    /// A cell of the base that was left in the page.
    Kept(usize),
    /// A cell of an old image.
    Copied { slot: usize, span: Span },
    /// Like the cell before it.
    LikePrevious,
    /// Like a cell of an old image.
    Like { slot: usize, span: Span },
    /// Like the bytes that lie there.
    Unlike,
}

/// What a script tells. The room of one is used again for the next.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// The cells of the page, in the order of their keys.
    pub(super) cells: Vec<Cell>,
    sources: Vec<Source>,
}

/// A slot.
#[derive(Debug, Default)]
struct Source {
    /// Whether it has cells, once that was looked at.
    is_tree: Option<bool>,
    cells: Vec<Span>,
}

impl Told {
    /// The cells that `items` tell, and those of the base, if it has some.
    pub(super) fn tell(
        &mut self,
        origins: &Origins<'_>,
        laying: Laying,
        items: &[Item],
    ) -> Result<(), Refused> {
        self.cells.clear();
        let slots = self.sources.len().max(origins.others.len() + 1);
        self.sources.resize_with(slots, Source::default);
        for source in &mut self.sources {
            source.is_tree = None;
        }
        let mut walk = Walk { origins, laying, told: self, slot: origins.base, cursor: 0 };
        items.iter().try_for_each(|item| walk.step(*item))
    }

    /// The cells of the base, which must have some.
    pub(super) fn base_cells(
        &mut self,
        origins: &Origins<'_>,
    ) -> Result<(&[Cell], &[Span]), Refused> {
        let base = self.sources.get_mut(origins.base).ok_or(NO_SOURCE)?;
        Ok((&self.cells, base.cells(origins, origins.base)?))
    }
}

const NO_SOURCE: Refused = "a source that the page does not have";

impl Source {
    /// The cells of the page in this slot, which are read when they are first needed.
    fn cells(&mut self, origins: &Origins<'_>, slot: usize) -> Result<&[Span], Refused> {
        let read = |cells| {
            let (number, image) = origins.get(slot)?;
            Tree::read_cells(image, number, origins.shape.usable(), cells)
        };
        let is_tree = *self.is_tree.get_or_insert_with(|| read(&mut self.cells).is_some());
        if is_tree { Ok(&self.cells) } else { Err("cells of a page that has none") }
    }
}

/// Goes through the cells of sources.
struct Walk<'a> {
    origins: &'a Origins<'a>,
    laying: Laying,
    told: &'a mut Told,
    slot: usize,
    cursor: usize,
}

impl Walk<'_> {
    fn source(&mut self) -> Result<&[Span], Refused> {
        let source = self.told.sources.get_mut(self.slot).ok_or(NO_SOURCE)?;
        source.cells(self.origins, self.slot)
    }

    fn step(&mut self, item: Item) -> Result<(), Refused> {
        match item {
            Item::Rest => {
                let cells = self.source()?.len();
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
        let (slot, from) = (self.slot, self.cursor);
        let stays = slot == self.origins.base && self.laying == Laying::Stay;
        let end = from.checked_add(cells).ok_or("a cell that its source lacks")?;
        let source = self.told.sources.get_mut(slot).ok_or(NO_SOURCE)?;
        let spans = source.cells(self.origins, slot)?.get(from..end);
        let spans = spans.ok_or("a cell that its source lacks")?;
        let content = |index, span| {
            if stays { Content::Kept(index) } else { Content::Copied { slot, span } }
        };
        let cell = |(index, &span): (usize, &Span)| Cell {
            len: span.len,
            content: content(index, span),
            replaces: None,
        };
        self.told.cells.extend((from..).zip(spans).map(cell));
        self.cursor = end;
        self.bounded()
    }

    fn new_cell(&mut self, reference: Reference, len: usize) -> Result<(), Refused> {
        let content = match reference {
            Reference::Nothing => Content::Unlike,
            Reference::Previous => Content::LikePrevious,
            Reference::Next | Reference::Replaced => {
                let (slot, cursor) = (self.slot, self.cursor);
                let span = self.source()?.get(cursor).copied();
                Content::Like { slot, span: span.ok_or("a cell that its source lacks")? }
            }
        };
        let mut replaces = None;
        if reference == Reference::Replaced {
            replaces = (self.slot == self.origins.base).then_some(self.cursor);
            self.skip(1)?;
        }
        self.told.cells.push(Cell { len, content, replaces });
        self.bounded()
    }

    fn bounded(&self) -> Result<(), Refused> {
        // Two bytes of each cell's place must fit.
        if self.told.cells.len() > self.origins.shape.page_bytes() / 2 {
            return Err("more cells than a page holds");
        }
        Ok(())
    }
}
