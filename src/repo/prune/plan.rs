//! What goes, what is rewritten and what waits. Pure: packs in, a plan out.

use std::collections::{BTreeMap, BTreeSet};

use crate::id::PackId;
use crate::repo::prune::live::Use;

/// A pack is worth rewriting when at least one in so many of its bytes is dead.
pub const DEAD_SHARE: u64 = 4;

/// Bytes that a run rewrites for each byte that it frees, at most.
pub const REWRITTEN_PER_FREED: u64 = 2;

/// Packs shorter than this are small.
pub const SMALL_BYTES: u64 = 4 << 20;

/// More small packs than this are many: hourly snapshots come to it in some weeks.
pub const MANY_SMALL: usize = 512;

/// Why a pack whose dead bytes could go is left alone in this run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Waiting {
    /// An unfinished session wrote it: the next backup may need what is in it.
    Unfinished,
    /// It is damaged, or may be the last hope of a blob that is.
    Damaged,
}

/// One pack as the planner sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its length in bytes.
    pub len: u64,
    /// When it was written, nanoseconds since 1970; only compared with those of other packs.
    pub written_ns: i64,
    /// What it is used for; nothing where no segment lists it.
    pub usage: Use,
    /// Why it must stay whatever is in it.
    pub waiting: Option<Waiting>,
}

/// What a run of prune does to the packs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// Packs with nothing alive in them.
    pub gone: BTreeSet<PackId>,
    /// Packs whose live blobs are written again, elsewhere, and which then go.
    pub rewritten: BTreeSet<PackId>,
    /// Among the rewritten, those that are only small and many.
    pub merged: BTreeSet<PackId>,
    /// Bytes that the repository is shorter by when the plan is done and the trash emptied.
    pub freed_bytes: u64,
    /// Payload bytes that are written again because their packs hold dead ones.
    pub rewritten_bytes: u64,
    /// Payload bytes that are written again because their packs are small and many.
    pub merged_bytes: u64,
    /// Dead bytes in packs that stay: a later run frees them.
    pub waiting_bytes: u64,
    /// Dead bytes of unfinished sessions.
    pub unfinished_bytes: u64,
}

impl Plan {
    /// Decides about every pack.
    pub fn of(packs: &BTreeMap<PackId, Candidate>) -> Self {
        let mut plan = Self::default();
        let mut candidates = Vec::new();
        for (id, pack) in packs {
            let dead = pack.dead_bytes();
            match pack.waiting {
                Some(Waiting::Unfinished) => plan.unfinished_bytes += dead,
                None if pack.usage.live_bytes == 0 => {
                    plan.gone.insert(*id);
                    plan.freed_bytes += pack.len;
                }
                None if pack.is_worth_rewriting() => candidates.push((id, pack)),
                Some(Waiting::Damaged) | None => plan.waiting_bytes += dead,
            }
        }
        plan.rewrite_within_bounds(candidates);
        plan.merge_small(packs);
        plan
    }

    /// The emptiest first: they free most for each byte that is written.
    fn rewrite_within_bounds(&mut self, mut candidates: Vec<(&PackId, &Candidate)>) {
        let share = |pack: &Candidate| {
            let scaled = u128::from(pack.usage.dead_bytes()) << 32;
            scaled / u128::from(pack.usage.listed_bytes.max(1))
        };
        candidates.sort_by_key(|(id, pack)| (std::cmp::Reverse(share(pack)), **id));
        for (id, pack) in candidates {
            let Use { live_bytes, .. } = pack.usage;
            let freed = self.freed_bytes.saturating_add(pack.usage.dead_bytes());
            let rewritten = self.rewritten_bytes.saturating_add(live_bytes);
            if rewritten <= freed.saturating_mul(REWRITTEN_PER_FREED) {
                (self.freed_bytes, self.rewritten_bytes) = (freed, rewritten);
                self.rewritten.insert(*id);
            } else {
                self.waiting_bytes += pack.usage.dead_bytes();
            }
        }
    }

    /// When small packs are many, the oldest half of them become few: what has lived long lives on.
    fn merge_small(&mut self, packs: &BTreeMap<PackId, Candidate>) {
        let stays = |id: &PackId| !self.gone.contains(id) && !self.rewritten.contains(id);
        let mut small: Vec<_> = packs
            .iter()
            .filter(|(id, pack)| {
                pack.len < SMALL_BYTES
                    && pack.waiting.is_none()
                    && pack.usage.live_bytes > 0
                    && stays(id)
            })
            .collect();
        if small.len() <= MANY_SMALL {
            return;
        }
        small.sort_by_key(|(id, pack)| (pack.written_ns, **id));
        small.truncate(small.len() / 2);
        for (id, pack) in small {
            self.merged_bytes += pack.usage.live_bytes;
            // Its dead bytes go with it.
            self.waiting_bytes = self.waiting_bytes.saturating_sub(pack.usage.dead_bytes());
            self.freed_bytes += pack.usage.dead_bytes();
            self.merged.insert(*id);
            self.rewritten.insert(*id);
        }
    }

    /// The same without writing anything: for a disk without room.
    #[must_use]
    pub fn without_rewriting(mut self, packs: &BTreeMap<PackId, Candidate>) -> Self {
        for id in std::mem::take(&mut self.rewritten) {
            let dead = packs.get(&id).map_or(0, |pack| pack.usage.dead_bytes());
            self.freed_bytes = self.freed_bytes.saturating_sub(dead);
            self.waiting_bytes += dead;
        }
        self.merged.clear();
        (self.rewritten_bytes, self.merged_bytes) = (0, 0);
        self
    }

    /// This pack stays after all, as it is.
    pub fn keep(&mut self, id: &PackId, pack: &Candidate) {
        let dead = pack.usage.dead_bytes();
        let freed = if self.gone.remove(id) {
            pack.len
        } else if self.rewritten.remove(id) {
            self.merged.remove(id);
            dead
        } else {
            return;
        };
        self.freed_bytes = self.freed_bytes.saturating_sub(freed);
        self.waiting_bytes += dead;
    }

    /// Packs that leave `packs/`.
    pub fn leaving(&self) -> BTreeSet<PackId> {
        self.gone.union(&self.rewritten).copied().collect()
    }

    /// Payload bytes that are written again.
    pub fn written_bytes(&self) -> u64 {
        self.rewritten_bytes.saturating_add(self.merged_bytes)
    }
}

impl Candidate {
    /// All of a pack in which nothing lives, else the dead payloads.
    pub fn dead_bytes(&self) -> u64 {
        if self.usage.live_bytes == 0 { self.len } else { self.usage.dead_bytes() }
    }

    fn is_worth_rewriting(&self) -> bool {
        let Use { listed_bytes, .. } = self.usage;
        self.usage.dead_bytes().saturating_mul(DEAD_SHARE) >= listed_bytes.max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEADER: u64 = 200;

    fn candidate(live: u64, dead: u64, written_ns: i64, waiting: u8) -> Candidate {
        let usage = Use { listed_bytes: live + dead, live_bytes: live };
        let waiting = match waiting {
            0 => Some(Waiting::Unfinished),
            1 => Some(Waiting::Damaged),
            _ => None,
        };
        Candidate { len: live + dead + HEADER, written_ns, usage, waiting }
    }

    fn packs(of: impl IntoIterator<Item = Candidate>) -> BTreeMap<PackId, Candidate> {
        let id = |number: u16| {
            let [high, low] = number.to_be_bytes();
            let mut bytes = [7; 32];
            (bytes[0], bytes[1]) = (high, low);
            PackId::from_bytes(bytes)
        };
        (0..).map(id).zip(of).collect()
    }

    fn any_packs() -> impl Strategy<Value = BTreeMap<PackId, Candidate>> {
        let bytes = prop_oneof![Just(0), 0..1000_u64, 0..100_000_000_u64];
        let one = (bytes.clone(), bytes, 0..50_i64, 0..12_u8)
            .prop_map(|(live, dead, ns, waiting)| candidate(live, dead, ns, waiting));
        proptest::collection::vec(one, 0..40).prop_map(packs)
    }

    /// The rules said another way: decide by repeatedly looking for the emptiest pack that still fits.
    fn reference(packs: &BTreeMap<PackId, Candidate>) -> (BTreeSet<PackId>, BTreeSet<PackId>) {
        let free = |pack: &Candidate| pack.waiting.is_none();
        let lives = |pack: &Candidate| pack.usage.live_bytes > 0;
        let gone: BTreeSet<PackId> =
            packs.iter().filter(|(_, it)| free(it) && !lives(it)).map(|(id, _)| *id).collect();
        let mut freed: u64 = gone.iter().map(|id| packs[id].len).sum();
        let (mut written, mut taken) = (0, BTreeSet::new());
        let mut open: Vec<(PackId, Candidate)> = packs
            .iter()
            .filter(|(_, it)| free(it) && lives(it))
            .filter(|(_, it)| {
                let dead = it.usage.listed_bytes - it.usage.live_bytes;
                4 * dead >= it.usage.listed_bytes
            })
            .map(|(id, it)| (*id, *it))
            .collect();
        while !open.is_empty() {
            let at = (0..open.len())
                .min_by(|a, b| {
                    let ((id_a, a), (id_b, b)) = (&open[*a], &open[*b]);
                    let dead = |it: &Candidate| u128::from(it.usage.dead_bytes());
                    let listed = |it: &Candidate| u128::from(it.usage.listed_bytes);
                    // Shares are compared in 2^-32.
                    let share = |it: &Candidate| (dead(it) * (1 << 32)) / listed(it);
                    share(b).cmp(&share(a)).then(id_a.cmp(id_b))
                })
                .unwrap();
            let (id, it) = open.remove(at);
            let dead = it.usage.listed_bytes - it.usage.live_bytes;
            if written + it.usage.live_bytes <= 2 * (freed + dead) {
                written += it.usage.live_bytes;
                freed += dead;
                taken.insert(id);
            }
        }
        (gone, taken)
    }

    proptest! {
        #[test]
        fn the_plan_is_what_a_slow_planner_decides(packs in any_packs()) {
            let plan = Plan::of(&packs);
            let (gone, rewritten) = reference(&packs);
            prop_assert_eq!(&plan.gone, &gone);
            prop_assert_eq!(&plan.rewritten, &rewritten);
            prop_assert!(plan.rewritten_bytes <= 2 * plan.freed_bytes);
        }

        #[test]
        fn every_dead_byte_is_counted_once(packs in any_packs()) {
            let plan = Plan::of(&packs);
            let dead: u64 = packs.values().map(Candidate::dead_bytes).sum();
            prop_assert_eq!(dead, plan.freed_bytes + plan.waiting_bytes + plan.unfinished_bytes);
            let waits = |id: &PackId| packs[id].waiting.is_some();
            prop_assert!(!plan.leaving().iter().any(waits));
            prop_assert!(plan.gone.iter().all(|id| packs[id].usage.live_bytes == 0));
            let bare = plan.clone().without_rewriting(&packs);
            prop_assert_eq!(&bare.gone, &plan.gone);
            prop_assert_eq!(bare.leaving(), bare.gone.clone());
            prop_assert_eq!(
                bare.freed_bytes + bare.waiting_bytes,
                plan.freed_bytes + plan.waiting_bytes
            );
        }
    }

    #[test]
    fn a_quarter_dead_is_rewritten_and_less_waits() {
        let packs =
            packs([candidate(75, 25, 0, 9), candidate(76, 24, 0, 9), candidate(0, 100, 0, 9)]);
        let plan = Plan::of(&packs);
        assert_eq!((plan.gone.len(), plan.rewritten.len()), (1, 1));
        assert_eq!((plan.freed_bytes, plan.waiting_bytes), (300 + 25, 24));
    }

    #[test]
    fn what_would_cost_more_than_it_frees_twice_over_waits() {
        // 75 live bytes for 25 dead ones are three times as much, and nothing else is freed.
        let packs = packs([candidate(75, 25, 0, 9)]);
        let plan = Plan::of(&packs);
        assert_eq!((plan.rewritten.len(), plan.waiting_bytes), (0, 25));
    }

    #[test]
    fn small_packs_are_merged_only_when_they_are_many_and_the_oldest_first() {
        let some = |count: i64| packs((0..count).map(|age| candidate(1000, 0, 1000 - age, 9)));
        let many = i64::try_from(MANY_SMALL).unwrap();
        assert_eq!(Plan::of(&some(many)), Plan::default());
        let packs = some(many + 2);
        let plan = Plan::of(&packs);
        assert_eq!(plan.merged.len(), MANY_SMALL / 2 + 1);
        assert_eq!((plan.freed_bytes, plan.rewritten_bytes), (0, 0));
        assert_eq!(plan.merged_bytes, 1000 * plan.merged.len() as u64);
        let newest_merged = plan.merged.iter().map(|id| packs[id].written_ns).max();
        let stays = packs.iter().filter(|(id, _)| !plan.merged.contains(*id));
        assert!(newest_merged < stays.map(|(_, pack)| pack.written_ns).min());
    }
}
