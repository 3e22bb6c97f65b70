//! In which order cells are placed.
//!
//! In the order of their keys, but for some: those are said with the turn they have,
//! counted from the last, because cells that came later lie after all others.

use crate::delta::cells::Refused;
use crate::delta::script::Exception;

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
        let mut turn_of = vec![None; count];
        let mut order = vec![None; count];
        let mut cell = 0_usize;
        for exception in exceptions {
            cell = cell.checked_add(exception.gap).filter(|cell| *cell < count)
                .ok_or("an exception for no cell")?;
            given[cell] = exception.at;
            if let Some(back) = exception.back {
                let turn = (count - 1).checked_sub(back).ok_or("a turn that there is not")?;
                if order[turn].replace(cell).is_some() {
                    return Err("two cells in one turn");
                }
                turn_of[cell] = Some(turn);
            }
            cell += 1;
        }
        let mut in_order = (0..count).filter(|cell| turn_of[*cell].is_none());
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
        let mut exceptions = Vec::new();
        let mut gap = 0;
        for (back, at) in back.into_iter().zip(&self.given) {
            if back.is_none() && at.is_none() {
                gap += 1;
                continue;
            }
            exceptions.push(Exception { gap, back, at: *at });
            gap = 0;
        }
        exceptions
    }
}

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
