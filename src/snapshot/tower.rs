//! A tree built from its leaves upwards, out of a stream, with one open node a level.
//!
//! Manifests and content lists are both such trees. Where a node ends is
//! decided by the items in it alone, so equal streams make equal trees.

use crate::repo::error::Result;

/// What the nodes of one kind of tree are.
pub(super) trait Tier {
    /// What a node holds, and what stands for a node in its parent.
    type Item;
    /// What has to be remembered of an open node to know where it ends.
    type Cut;

    /// A node of this level with nothing in it. Level 0 is the lowest of the tower.
    fn empty(&self, level: u8) -> Self::Cut;

    /// Takes note of the next item; true when the node ends after it.
    /// Must hold back until a node has two items: a tower of single items would have no top.
    fn ends_after(&self, cut: &mut Self::Cut, item: &Self::Item) -> bool;

    /// Stores a node and returns what stands for it.
    fn store(&self, level: u8, items: Vec<Self::Item>) -> Result<Self::Item>;
}

struct Open<T: Tier> {
    items: Vec<T::Item>,
    cut: T::Cut,
    seen: u64,
}

/// The open nodes, lowest first.
pub(super) struct Tower<T: Tier> {
    tier: T,
    levels: Vec<Open<T>>,
}

impl<T: Tier> Tower<T> {
    pub(super) fn new(tier: T) -> Self {
        Self { tier, levels: Vec::new() }
    }

    /// Adds the next item to the lowest level; stores every node that ends with it.
    pub(super) fn add(&mut self, item: T::Item) -> Result<()> {
        self.add_from(0, item)
    }

    /// Ends all nodes; returns what stands for the whole tree, which is a lone item itself, and nothing for no item.
    pub(super) fn finish(mut self) -> Result<Option<T::Item>> {
        let mut level = 0;
        while let Some(open) = self.levels.get_mut(level) {
            if open.seen == 1 {
                return Ok(open.items.pop());
            }
            if !open.items.is_empty() {
                let node = self.close(level)?;
                self.add_from(level + 1, node)?;
            }
            level += 1;
        }
        Ok(None)
    }

    fn add_from(&mut self, level: usize, item: T::Item) -> Result<()> {
        let (mut level, mut item) = (level, item);
        while self.push(level, item) {
            item = self.close(level)?;
            level += 1;
        }
        Ok(())
    }

    fn push(&mut self, level: usize, item: T::Item) -> bool {
        if level == self.levels.len() {
            let cut = self.tier.empty(height(level));
            self.levels.push(Open { items: Vec::new(), cut, seen: 0 });
        }
        let open = &mut self.levels[level];
        let ends = self.tier.ends_after(&mut open.cut, &item);
        open.items.push(item);
        open.seen += 1;
        ends
    }

    fn close(&mut self, level: usize) -> Result<T::Item> {
        let open = &mut self.levels[level];
        open.cut = self.tier.empty(height(level));
        self.tier.store(height(level), std::mem::take(&mut open.items))
    }
}

fn height(level: usize) -> u8 {
    u8::try_from(level)
        .expect("invariant: every level has at most half the nodes of the one below it")
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// Items are numbers; nodes end after a multiple of three, and are written down.
    struct Threes<'a>(&'a RefCell<Vec<(u8, Vec<u32>)>>);

    impl Tier for Threes<'_> {
        type Item = u32;
        type Cut = u32;

        fn empty(&self, _: u8) -> u32 {
            0
        }

        fn ends_after(&self, cut: &mut u32, item: &u32) -> bool {
            *cut += 1;
            *cut >= 2 && item.is_multiple_of(3)
        }

        fn store(&self, level: u8, items: Vec<u32>) -> Result<u32> {
            let first = items[0];
            self.0.borrow_mut().push((level, items));
            Ok(first)
        }
    }

    fn built(items: impl Iterator<Item = u32>) -> (Option<u32>, Vec<(u8, Vec<u32>)>) {
        let nodes = RefCell::new(Vec::new());
        let mut tower = Tower::new(Threes(&nodes));
        for item in items {
            tower.add(item).unwrap();
        }
        let top = tower.finish().unwrap();
        (top, nodes.into_inner())
    }

    #[test]
    fn nothing_makes_nothing_and_one_item_is_its_own_tree() {
        assert_eq!(built(0..0), (None, vec![]));
        assert_eq!(built(3..4), (Some(3), vec![]));
    }

    #[test]
    fn a_stream_that_ends_with_a_node_gets_no_empty_node() {
        assert_eq!(built(1..4), (Some(1), vec![(0, vec![1, 2, 3])]));
    }

    #[test]
    fn levels_rise_until_one_node_is_left() {
        let (top, nodes) = built(1..12);
        assert_eq!(top, Some(1));
        let expected = [
            (0, vec![1, 2, 3]),
            (0, vec![4, 5, 6]),
            (0, vec![7, 8, 9]),
            (0, vec![10, 11]),
            (1, vec![1, 4, 7, 10]),
        ];
        assert_eq!(nodes, expected);
    }
}
