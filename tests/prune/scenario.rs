//! Work that is cut off at any operation of the disk, and what must hold afterwards.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use larder::error::Result;
use larder::id::SnapshotId;
use larder::repo::backend::Backend;
use larder_testkit::campaign;
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::{Pattern, SimDisk};

use super::rig::{Saved, Tree, assert_clean, backend, prune_now, read_all, save, settled};

/// One piece of work on a prepared disk.
pub(super) struct Scenario<'a> {
    pub(super) base: SimDisk,
    /// Must be there whatever happens.
    pub(super) promised: Saved,
    /// May be there or not; where they are there, they are complete.
    pub(super) possible: Saved,
    pub(super) tree: &'a Tree,
    pub(super) work: &'a dyn Fn(Arc<dyn Backend>) -> Result<()>,
}

impl Scenario<'_> {
    /// Operations of the whole work, which must be few enough to crash at each.
    pub(super) fn operations(&self) -> u64 {
        let disk = settled(&self.base);
        (self.work)(backend(disk.clone())).unwrap();
        let operations = disk.operations();
        assert!((3..=160).contains(&operations), "{operations}: {:#?}", disk.log());
        operations
    }

    /// The disk that died before its n-th operation.
    pub(super) fn until(&self, n: u64) -> SimDisk {
        let disk = settled(&self.base);
        disk.crash_at(n);
        // It may succeed: the last operations tidy up, and their failure is nobody's.
        let _cut_short = (self.work)(backend(disk.clone()));
        assert!(disk.fired(), "the crash before operation {n} never came");
        disk
    }

    /// The work is killed before each of its operations, others finish theirs, and then the power fails. `others` says what they were
    /// promised.
    pub(super) fn killed_then(&self, others: &dyn Fn(&SimDisk) -> Saved) {
        let patterns = campaign::seeds("prune-killed", 8);
        for n in 0..self.operations() {
            let disk = self.until(n);
            disk.revive();
            let mut promised = self.promised.clone();
            promised.extend(others(&disk));
            let mut seen = HashSet::new();
            for pattern in patterns.clone().map(Pattern::from_seed) {
                let after = disk.crash_with(pattern);
                if seen.insert(after.files().into_iter().collect::<Vec<_>>()) {
                    let when = format!("killed at {n}, then {pattern:?}");
                    self.assert_sound_with(&after, &promised, &when);
                }
            }
        }
    }

    /// The same of work that may save one snapshot more, of the tree as it is.
    pub(super) fn crash_everywhere_with_more(&self) {
        let seen: BTreeSet<SnapshotId> = self.promised.keys().copied().collect();
        for n in 0..self.operations() {
            let disk = self.until(n);
            for pattern in campaign::seeds("prune", 8).map(Pattern::from_seed) {
                let after = disk.crash_with(pattern);
                let when = format!("operation {n}, {pattern:?}");
                let mut promised = self.promised.clone();
                let found = read_all(&after, &when);
                for (id, content) in found.into_iter().filter(|(id, _)| !seen.contains(id)) {
                    assert!(content == self.tree.content(), "{when}: snapshot {id} differs");
                    promised.insert(id, content);
                }
                self.assert_sound_with(&after, &promised, &when);
            }
        }
    }

    pub(super) fn crash_everywhere(&self) {
        let patterns = campaign::seeds("prune", 8);
        for n in 0..self.operations() {
            let disk = self.until(n);
            let mut seen = HashSet::new();
            for pattern in patterns.clone().map(Pattern::from_seed) {
                let after = disk.crash_with(pattern);
                // Where nothing is unsynced all patterns leave the same disk.
                if seen.insert(after.files().into_iter().collect::<Vec<_>>()) {
                    self.assert_sound(&after, &format!("operation {n}, {pattern:?}"));
                }
            }
        }
    }

    /// A second power loss, while the first is being recovered from.
    pub(super) fn crash_twice(&self, name: &str, default: u64) {
        let operations = self.operations();
        for seed in campaign::seeds(name, default) {
            let mut seeded = Seeded::new(seed);
            let (n, pattern) = (seeded.below(operations), Pattern::from_seed(seeded.below(64)));
            let second = self.until(n).crash_with(pattern);
            let whole = settled(&second);
            (self.work)(backend(whole.clone())).ok();
            prune_now(backend(whole.clone()), 45).unwrap();
            let m = seeded.below(whole.operations());
            second.crash_at(m);
            let _cut_short = (self.work)(backend(second.clone()));
            let _cut_short = prune_now(backend(second.clone()), 45);
            assert!(second.fired(), "seed {seed}");
            let after = second.crash_with(Pattern::from_seed(seeded.below(64)));
            self.assert_sound(&after, &format!("seed {seed}: {n} {pattern:?}, {m}"));
        }
    }

    /// Everything that must hold on a disk as the next boot finds it.
    pub(super) fn assert_sound(&self, after: &SimDisk, when: &str) {
        self.assert_sound_with(after, &self.promised, when);
    }

    fn assert_sound_with(&self, after: &SimDisk, promised: &Saved, when: &str) {
        self.assert_kept(after, promised, when);
        let id = save(backend(after.clone()), self.tree, 51)
            .unwrap_or_else(|error| panic!("{when}: the next backup: {error}"))
            .id
            .unwrap();
        let mut promised = promised.clone();
        promised.insert(id, self.tree.content());
        self.assert_kept(after, &promised, &format!("{when}, after the next backup"));
        prune_now(backend(after.clone()), 52)
            .unwrap_or_else(|error| panic!("{when}: the next prune: {error}"));
        self.assert_kept(after, &promised, &format!("{when}, after the next prune"));
        assert_clean(after, &format!("{when}, after the next prune"));
    }

    fn assert_kept(&self, after: &SimDisk, promised: &Saved, when: &str) {
        let mut lost = promised.clone();
        for (id, content) in read_all(after, when) {
            let promise = lost.remove(&id);
            let expected = promise.as_ref().or_else(|| self.possible.get(&id));
            assert!(expected == Some(&content), "{when}: snapshot {id} differs");
        }
        assert!(lost.is_empty(), "{when}: lost {:?}", lost.keys());
    }
}
