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

    /// The page in `slot` as a tree page.
    pub(super) fn tree(&self, slot: usize) -> Option<Tree> {
        let (number, image) = self.get(slot)?;
        Tree::read(image, number, self.shape.usable())
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

/// Goes through the cells of sources.
struct Walk<'a> {
    origins: &'a Origins<'a>,
    laying: Laying,
    trees: Vec<Option<Tree>>,
    slot: usize,
    cursor: usize,
    cells: Vec<Cell>,
}

/// The cells that `items` tell, in the order of their keys, and the base as a tree page if they needed it.
pub(super) fn cells(
    origins: &Origins<'_>,
    laying: Laying,
    items: &[Item],
) -> Result<(Vec<Cell>, Option<Tree>), Refused> {
    let trees = vec![None; origins.others.len() + 1];
    let mut walk =
        Walk { origins, laying, trees, slot: origins.base, cursor: 0, cells: Vec::new() };
    for item in items {
        walk.step(*item)?;
    }
    let base = walk.trees.get_mut(origins.base).and_then(Option::take);
    Ok((walk.cells, base))
}

/// The page in `slot`, which is read when it is first needed.
fn source<'t>(
    origins: &Origins<'_>,
    trees: &'t mut [Option<Tree>],
    slot: usize,
) -> Result<&'t Tree, Refused> {
    let memo = trees.get_mut(slot).ok_or("a source that the page does not have")?;
    if memo.is_none() {
        *memo = origins.tree(slot);
    }
    memo.as_ref().ok_or("cells of a page that has none")
}

impl Walk<'_> {
    fn source(&mut self) -> Result<&Tree, Refused> {
        source(self.origins, &mut self.trees, self.slot)
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
        let (slot, from) = (self.slot, self.cursor);
        let stays = slot == self.origins.base && self.laying == Laying::Stay;
        let end = from.checked_add(cells).ok_or("a cell that its source lacks")?;
        let tree = source(self.origins, &mut self.trees, slot)?;
        let spans = tree.cells.get(from..end).ok_or("a cell that its source lacks")?;
        let content = |index, span| {
            if stays { Content::Kept(index) } else { Content::Copied { slot, span } }
        };
        let cell = |(index, &span): (usize, &Span)| Cell {
            len: span.len,
            content: content(index, span),
            replaces: None,
        };
        self.cells.extend((from..).zip(spans).map(cell));
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
                Content::Like { slot, span: span.ok_or("a cell that its source lacks")? }
            }
        };
        let mut replaces = None;
        if reference == Reference::Replaced {
            replaces = (self.slot == self.origins.base).then_some(self.cursor);
            self.skip(1)?;
        }
        self.cells.push(Cell { len, content, replaces });
        self.bounded()
    }

    fn bounded(&self) -> Result<(), Refused> {
        // Two bytes of each cell's place must fit.
        if self.cells.len() > self.origins.shape.page_bytes() / 2 {
            return Err("more cells than a page holds");
        }
        Ok(())
    }
}
