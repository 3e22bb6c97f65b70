//! In which order cells are placed.
//!
//! In the order of their keys, but for some: those are said with the turn they have,
//! counted from the last, because cells that came later lie after all others.

use crate::delta::cells::Refused;
use crate::delta::script::{Aside, Exception};

/// The turns of the cells that are placed, which are numbered in the order of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turns {
    /// The cells in the order of their turns.
    pub(super) order: Vec<usize>,
    /// By cell: where it begins, if that does not follow from its turn.
    pub(super) given: Vec<Option<usize>>,
}

impl Turns {
    /// The turns of `count` cells with these exceptions.
    pub(super) fn read(count: usize, exceptions: &[Exception]) -> Result<Self, Refused> {
        let mut given = vec![None; count];
        let mut is_aside = vec![false; count];
        let mut order = vec![None; count];
        let mut cell = 0_usize;
        for exception in exceptions {
            cell = cell.checked_add(exception.gap).ok_or(NO_CELL)?;
            *given.get_mut(cell).ok_or(NO_CELL)? = exception.at;
            if let Some(Aside { back, more }) = exception.aside {
                let turn = (count - 1).checked_sub(back).ok_or("a turn that there is not")?;
                for (cell, turn) in (cell..=cell.saturating_add(more)).zip(turn..) {
                    *is_aside.get_mut(cell).ok_or(NO_CELL)? = true;
                    let taken = order.get_mut(turn).ok_or("a turn that there is not")?;
                    if taken.replace(cell).is_some() {
                        return Err("two cells in one turn");
                    }
                }
                cell += more;
            }
            cell += 1;
        }
        let mut in_order = (0..count).filter(|cell| !is_aside[*cell]);
        let order = order.into_iter().filter_map(|aside| aside.or_else(|| in_order.next()));
        Ok(Self { order: order.collect(), given })
    }

    /// The exceptions that say these turns.
    pub(super) fn exceptions(&self) -> Vec<Exception> {
        let count = self.order.len();
        let mut turn_of: Vec<_> = (0..count).map(|cell| (cell, 0)).collect();
        for (turn, cell) in self.order.iter().enumerate() {
            turn_of[*cell].1 = turn;
        }
        let mut back: Vec<_> = turn_of.iter().map(|(_, turn)| Some(count - 1 - turn)).collect();
        for (cell, _) in longest_ascent(&turn_of) {
            back[cell] = None;
        }
        self.said(&back)
    }

    /// Puts together what follows on: `back` are the turns out of order, from the last.
    fn said(&self, back: &[Option<usize>]) -> Vec<Exception> {
        let mut exceptions: Vec<Exception> = Vec::new();
        let mut gap = 0;
        for (&back, &at) in back.iter().zip(&self.given) {
            let run = exceptions.last_mut().filter(|_| gap == 0 && at.is_none());
            match (back, run.and_then(|run| run.aside.as_mut())) {
                (Some(back), Some(run)) if back + run.more + 1 == run.back => run.more += 1,
                (None, _) if at.is_none() => gap += 1,
                _ => {
                    let aside = back.map(|back| Aside { back, more: 0 });
                    exceptions.push(Exception { gap, aside, at });
                    gap = 0;
                }
            }
        }
        exceptions
    }
}

const NO_CELL: Refused = "an exception for no cell";

/// The most pairs whose second numbers ascend strictly.
pub(super) fn longest_ascent(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // `ends[n]` is where an ascent of n + 1 pairs ends lowest.
    let mut ends: Vec<usize> = Vec::new();
    let mut before = vec![None; pairs.len()];
    for (at, pair) in pairs.iter().enumerate() {
        let length = ends.partition_point(|end| pairs[*end].1 < pair.1);
        before[at] = length.checked_sub(1).map(|length| ends[length]);
        match ends.get_mut(length) {
            Some(end) => *end = at,
            None => ends.push(at),
        }
    }
    let last = ends.last().copied();
    let mut ascent: Vec<_> =
        std::iter::successors(last, |at| before[*at]).map(|at| pairs[at]).collect();
    ascent.reverse();
    ascent
}
