//! From the old cells of a page to its new ones, one at a time.

use crate::delta::btree::Span;
use crate::delta::cells::{Cell, Content, Origins, Refused};
use crate::delta::replay::Replay;
use crate::delta::turns::Turns;

/// A page on its way from its old cells to its new ones.
#[derive(Debug, Clone)]
pub(super) struct Live<'a> {
    cells: &'a [Cell],
    /// Where each new cell stands among all cells, old and new.
    key_of: Vec<usize>,
    /// The same for each old one.
    old_key_of: Vec<usize>,
    /// Those that are in the page now, ascending.
    present: Vec<usize>,
    page: Replay,
}

const CONFUSED: Refused = "cells that do not fit into the page as it was";

impl<'a> Live<'a> {
    /// Begins with the base in `image`, and takes out the cells of it that are neither kept nor replaced.
    pub(super) fn new(
        origins: &Origins<'_>,
        (cells, own): (&'a [Cell], &[Span]),
        image: Vec<u8>,
    ) -> Result<Self, Refused> {
        let (number, _) = origins.get(origins.base).ok_or("cells of a page that has none")?;
        let (key_of, old_key_of) = keys(cells, own.len())?;
        let page = Replay::new(image, number, own, origins.shape.usable()).ok_or(CONFUSED)?;
        let present = old_key_of.clone();
        let mut stays = vec![false; own.len()];
        for cell in cells {
            match (cell.content, cell.replaces) {
                (Content::Kept(old), _) | (_, Some(old)) => stays[old] = true,
                _ => {}
            }
        }
        let mut live = Self { cells, key_of, old_key_of, present, page };
        for old in (0..stays.len()).filter(|old| !stays[*old]) {
            live.remove(old)?;
        }
        Ok(live)
    }

    fn remove(&mut self, old: usize) -> Result<(), Refused> {
        let index = self.present.binary_search(&self.old_key_of[old]);
        // Two cells may say that they replace the same one.
        let Ok(index) = index else { return Ok(()) };
        self.present.remove(index);
        self.page.remove(index).ok_or(CONFUSED)
    }

    /// Puts a new cell in.
    pub(super) fn insert(&mut self, cell: usize) -> Result<(), Refused> {
        if let Some(old) = self.cells[cell].replaces {
            self.remove(old)?;
        }
        let key = self.key_of[cell];
        let index = self.present.partition_point(|present| *present < key);
        self.present.insert(index, key);
        self.page.insert(index, self.cells[cell].len).ok_or(CONFUSED)
    }

    /// Where a new cell would begin if it came next and replaced none.
    pub(super) fn would_begin(&self, cell: usize) -> Option<usize> {
        self.page.would_begin(self.cells[cell].len)
    }

    /// Puts all new cells in, each at its turn.
    pub(super) fn play(mut self, turns: &Turns) -> Result<(Vec<u8>, Vec<Span>), Refused> {
        let placed = (0..self.cells.len()).filter(|cell| self.is_placed(*cell));
        let placed: Vec<_> = placed.collect();
        for turn in &turns.order {
            self.insert(placed[*turn])?;
        }
        for (cell, at) in placed.iter().zip(&turns.given) {
            if let Some(at) = at {
                self.page.set_place(*cell, *at).ok_or(CONFUSED)?;
            }
        }
        let spans = self.spans().ok_or(CONFUSED)?;
        Ok((self.page.into_image(), spans))
    }

    fn is_placed(&self, cell: usize) -> bool {
        !matches!(self.cells[cell].content, Content::Kept(_))
    }

    /// Where the cells lie, once all of them are there and no other.
    pub(super) fn spans(&self) -> Option<Vec<Span>> {
        if self.present != self.key_of {
            return None;
        }
        let span = |(index, cell): (usize, &Cell)| {
            Some(Span { at: self.page.place(index)?, len: cell.len })
        };
        self.cells.iter().enumerate().map(span).collect()
    }
}

/// Numbers new and old cells through in the order of their keys; one that is kept is
/// both and has one number.
fn keys(cells: &[Cell], old_cells: usize) -> Result<(Vec<usize>, Vec<usize>), Refused> {
    let mut old_key_of = Vec::with_capacity(old_cells);
    let mut key_of = Vec::with_capacity(cells.len());
    let mut next = 0..;
    for cell in cells {
        if let Content::Kept(old) = cell.content {
            if old < old_key_of.len() || old >= old_cells {
                return Err("cells that are kept in another order");
            }
            old_key_of.extend(next.by_ref().take(old - old_key_of.len()));
            let key = next.next().unwrap_or(usize::MAX);
            old_key_of.push(key);
            key_of.push(key);
        } else {
            key_of.extend(next.next());
        }
    }
    old_key_of.extend(next.take(old_cells - old_key_of.len()));
    Ok((key_of, old_key_of))
}
