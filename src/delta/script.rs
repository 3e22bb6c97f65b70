//! How one page is made, as data.

use crate::delta::btree::Kind;

/// Pages besides its own old image that a page may be made from.
pub(super) const OTHERS: usize = 63;

/// What a new cell is predicted to look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference {
    /// Like what lies in its place.
    Nothing,
    /// Like the cell before it in the new page.
    Previous,
    /// Like the source's cell at the cursor.
    Next,
    /// Like the source's cell at the cursor, which it replaces.
    Replaced,
}

impl Reference {
    /// All of them; the place of one here is its number in a segment.
    pub(super) const ALL: [Self; 4] = [Self::Nothing, Self::Previous, Self::Next, Self::Replaced];
}

/// A step through the cells of the new page, in the order of their keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// All cells of the source from the cursor on, and no more.
    Rest,
    /// The next cells of the source.
    Run(usize),
    /// A cell of `len` bytes that no source has.
    New {
        /// What it looks like.
        reference: Reference,
        /// Its length.
        len: usize,
    },
    /// The next cells of the source are not taken.
    Skip(usize),
    /// No more cells.
    End,
    /// From here on cells come from another page.
    From {
        /// Which: 0 is the page's own old image.
        slot: usize,
        /// The cell that the cursor is set to.
        cell: usize,
    },
}

/// Where the cells of the own old image go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Laying {
    /// They stay; others are taken out, and what comes from elsewhere is put in.
    Stay,
    /// They are laid down from the end of the page in the order of their keys, like all.
    Fresh,
}

impl Laying {
    /// All of them; the place of one here is its number in a segment.
    pub(super) const ALL: [Self; 2] = [Self::Stay, Self::Fresh];
}

/// Cells in a row with turns in a row that are out of order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Aside {
    /// The turn of the first, counted from the last turn.
    pub(super) back: usize,
    /// How many follow the first.
    pub(super) more: usize,
}

/// A cell that is not placed in the order of keys, or not where that leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exception {
    /// Placed cells since the last exception.
    pub(super) gap: usize,
    /// Its turn, if it is out of order.
    pub(super) aside: Option<Aside>,
    /// Where it begins, if that is elsewhere.
    pub(super) at: Option<usize>,
}

/// The cells of a tree page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Script {
    /// The kind of the page.
    pub(super) kind: Kind,
    /// Where the cells of the own old image go.
    pub(super) laying: Laying,
    /// Its cells.
    pub(super) items: Vec<Item>,
    /// Where they lie.
    pub(super) exceptions: Vec<Exception>,
}

/// A piece of the patch that turns a prediction into the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op<'a> {
    /// These bytes.
    Literal(&'a [u8]),
    /// As predicted.
    Predicted(usize),
    /// Bytes of an old image.
    Copy {
        /// Whose.
        slot: usize,
        /// Where they begin.
        at: usize,
        /// How many.
        len: usize,
    },
}

/// How one page is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Recipe<'a> {
    /// Slots 1 and up: places in the segment of other pages whose old images it needs.
    pub(super) others: Vec<usize>,
    /// The slot of the page that it is made from: 0 or 1.
    pub(super) base: usize,
    /// Its cells, if it is predicted as a tree page.
    pub(super) script: Option<Script>,
    /// The patch: fills the page exactly.
    pub(super) ops: Vec<Op<'a>>,
}
