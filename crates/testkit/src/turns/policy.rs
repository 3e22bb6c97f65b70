//! Who is next.

use crate::seed::Seeded;

/// How the next call is chosen among those that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Policy {
    /// Each with the same chance.
    Uniform,
    /// In nine of ten cases whoever was last: long stretches of one piece of work.
    Bursts,
    /// Always the most important of those that can go on; at so many of the first `within` calls it becomes the least important.
    /// What goes wrong for one unlucky order of a few calls is found with a chance that does not depend on how many others there are.
    Priorities {
        /// How often the most important one becomes the least.
        changes: u64,
        /// Calls among which these moments are.
        within: u64,
    },
}

/// A policy at work.
#[derive(Debug)]
pub(super) struct Chooser {
    policy: Policy,
    seeded: Seeded,
    last: Option<usize>,
    calls: u64,
    /// Of each seat; the highest goes first.
    priorities: Vec<i64>,
    changes: Vec<u64>,
}

impl Chooser {
    pub(super) fn new(policy: Policy, seats: usize, seed: u64) -> Self {
        let mut seeded = Seeded::new(seed);
        let priorities = shuffled(seats, &mut seeded);
        let changes = match policy {
            Policy::Priorities { changes, within } => {
                (0..changes).map(|_| seeded.below(within)).collect()
            }
            _ => Vec::new(),
        };
        Self { policy, seeded, last: None, calls: 0, priorities, changes }
    }

    /// One of these seats, of which there is at least one.
    pub(super) fn choose(&mut self, ready: &[usize]) -> usize {
        let chosen = match self.policy {
            Policy::Uniform => self.any(ready),
            Policy::Bursts => match self.last.filter(|last| ready.contains(last)) {
                Some(last) if self.seeded.percent(90) => last,
                _ => self.any(ready),
            },
            Policy::Priorities { .. } => self.first(ready),
        };
        self.calls += 1;
        self.last = Some(chosen);
        chosen
    }

    fn any(&mut self, ready: &[usize]) -> usize {
        let at = self.seeded.below(ready.len() as u64);
        ready[usize::try_from(at).unwrap_or(0)]
    }

    fn first(&mut self, ready: &[usize]) -> usize {
        let priorities = &mut self.priorities;
        let chosen = ready.iter().copied().max_by_key(|seat| priorities[*seat]).unwrap_or(ready[0]);
        if self.changes.contains(&self.calls) {
            let least = priorities.iter().min().copied().unwrap_or(0);
            priorities[chosen] = least - 1;
        }
        chosen
    }
}

fn shuffled(seats: usize, seeded: &mut Seeded) -> Vec<i64> {
    let mut order: Vec<i64> = (0..).take(seats).collect();
    for last in (1..seats).rev() {
        let other = usize::try_from(seeded.below(last as u64 + 1)).unwrap_or(0);
        order.swap(last, other);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(policy: Policy, seed: u64) -> Vec<usize> {
        let mut chooser = Chooser::new(policy, 4, seed);
        (0..200).map(|_| chooser.choose(&[0, 1, 2, 3])).collect()
    }

    fn switches(order: &[usize]) -> usize {
        order.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }

    #[test]
    fn a_seed_decides_the_whole_order() {
        for policy in
            [Policy::Uniform, Policy::Bursts, Policy::Priorities { changes: 3, within: 200 }]
        {
            assert_eq!(run(policy, 7), run(policy, 7));
            assert_ne!(run(policy, 7), run(policy, 8), "{policy:?}");
        }
    }

    #[test]
    fn policies_differ_in_how_often_they_change() {
        assert!(switches(&run(Policy::Uniform, 1)) > 100);
        assert!((5..60).contains(&switches(&run(Policy::Bursts, 1))));
        let changes = |seed| switches(&run(Policy::Priorities { changes: 3, within: 200 }, seed));
        assert!((0..50).all(|seed| changes(seed) <= 3));
        assert!((0..50).any(|seed| changes(seed) == 3));
    }

    #[test]
    fn the_most_important_that_can_goes_first() {
        let mut chooser = Chooser::new(Policy::Priorities { changes: 0, within: 1 }, 3, 5);
        let first = chooser.choose(&[0, 1, 2]);
        let others: Vec<_> = (0..3).filter(|seat| *seat != first).collect();
        assert_ne!(chooser.choose(&others), first);
        assert_eq!(chooser.choose(&[0, 1, 2]), first);
    }
}
