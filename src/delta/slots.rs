//! The pages that one page is made from, while they are being chosen.

use crate::delta::script::OTHERS;

/// Slot 0 is the page itself, the others are given out on demand.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    own: usize,
    others: Vec<usize>,
}

impl Slots {
    /// Of the page at place `own` of its segment.
    pub(super) fn new(own: usize) -> Self {
        Self { own, others: Vec::new() }
    }

    /// The slot of the page at `base`, which is taken first.
    pub(super) fn with_base(own: usize, base: usize) -> (Self, usize) {
        let mut slots = Self::new(own);
        let base = slots.take(base).unwrap_or(0);
        (slots, base)
    }

    /// The slot of the page at `place`, if it has one.
    pub(super) fn find(&self, place: usize) -> Option<usize> {
        if place == self.own {
            return Some(0);
        }
        self.others.iter().position(|other| *other == place).map(|slot| slot + 1)
    }

    /// The slot of the page at `place`; none if all are taken.
    pub(super) fn take(&mut self, place: usize) -> Option<usize> {
        if let Some(slot) = self.find(place) {
            return Some(slot);
        }
        if self.others.len() == OTHERS {
            return None;
        }
        self.others.push(place);
        Some(self.others.len())
    }

    /// Places in the segment of the pages in slots 1 and up.
    pub(super) fn others(&self) -> &[usize] {
        &self.others
    }

    /// The same, when no more are wanted.
    pub(super) fn into_others(self) -> Vec<usize> {
        self.others
    }
}
