//! A piece of work that is cut off at any operation of the disk, and what must hold afterwards.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use larder::error::{ErrorKind, Result};
use larder::id::SnapshotId;
use larder::ops::catalog::Catalog;
use larder::repo::backend::Backend;
use larder::repo::disk::Disk;
use larder_testkit::campaign;
use larder_testkit::sim_disk::{Pattern, SimDisk};

use super::rig::{backend, check_all, host, init, open, save, settled};
use super::tree::{Content, Tree, read_back};

/// What was promised to a user before the lights went out.
#[derive(Default)]
pub(super) struct Promises {
    pub(super) repository: bool,
    pub(super) snapshots: BTreeMap<SnapshotId, Content>,
    pub(super) tagged: BTreeSet<SnapshotId>,
}

/// What is done, and what it promises on the way.
pub(super) type Work<'a> = &'a dyn Fn(Arc<dyn Backend>, &RefCell<Promises>) -> Result<()>;

/// One piece of work on a prepared disk.
pub(super) struct Scenario<'a> {
    pub(super) base: SimDisk,
    /// What was promised before the work began.
    pub(super) before: BTreeMap<SnapshotId, Content>,
    pub(super) tree: &'a Tree,
    /// States of the source that a visible snapshot may hold.
    pub(super) states: Vec<Content>,
    pub(super) work: Work<'a>,
    pub(super) has_repository: bool,
}

impl Scenario<'_> {
    pub(super) fn promises(&self) -> RefCell<Promises> {
        RefCell::new(Promises {
            repository: self.has_repository,
            snapshots: self.before.clone(),
            tagged: BTreeSet::new(),
        })
    }

    /// Operations of the whole work, which must be few enough to crash at each.
    pub(super) fn operations(&self) -> u64 {
        let disk = settled(&self.base);
        (self.work)(backend(disk.clone()), &self.promises()).unwrap();
        let operations = disk.operations();
        assert!((1..=100).contains(&operations), "{operations}: {:#?}", disk.log());
        operations
    }

    /// The disk that died before its n-th operation.
    pub(super) fn until(&self, n: u64) -> (SimDisk, Promises) {
        let disk = settled(&self.base);
        disk.crash_at(n);
        let promises = self.promises();
        // It may succeed: the last operations tidy up, and their failure is nobody's.
        let _cut_short = (self.work)(backend(disk.clone()), &promises);
        assert!(disk.fired(), "the crash before operation {n} never came");
        (disk, promises.into_inner())
    }

    pub(super) fn crash_everywhere(&self) {
        let patterns = campaign::seeds("crash", 8);
        for n in 0..self.operations() {
            let (disk, promises) = self.until(n);
            let mut seen = HashSet::new();
            for pattern in patterns.clone().map(Pattern::from_seed) {
                let after = disk.crash_with(pattern);
                // Where nothing is unsynced all patterns leave the same disk.
                if seen.insert(state_of(&after)) {
                    self.assert_sound(&after, &promises, &format!("operation {n}, {pattern:?}"));
                }
            }
        }
    }

    /// Everything that must hold on a disk as the next boot finds it.
    pub(super) fn assert_sound(&self, after: &SimDisk, promises: &Promises, when: &str) {
        if promises.repository {
            self.assert_kept(after, promises, when);
        }
        if let Err(error) = open(backend(after.clone())) {
            assert!(!promises.repository, "{when}: {error}");
            assert_eq!(error.kind(), ErrorKind::NoRepository, "{when}: {error}");
            init(backend(after.clone()), &host(50)).unwrap();
        }
        let report = save(backend(after.clone()), self.tree, 51)
            .unwrap_or_else(|error| panic!("{when}: the next backup: {error}"));
        // A config that an interrupted init did not come to is said, and written.
        assert!(report.damage.is_empty() || !promises.repository, "{when}: {:?}", report.damage);
        let id = report.id.unwrap();
        assert_eq!(after.list("tmp").unwrap(), [], "{when}: leftovers");
        let mut snapshots = promises.snapshots.clone();
        snapshots.insert(id, self.tree.content());
        let kept = Promises { repository: true, snapshots, tagged: BTreeSet::new() };
        self.assert_kept(after, &kept, &format!("{when}, after the next backup"));
    }

    fn assert_kept(&self, after: &SimDisk, promises: &Promises, when: &str) {
        let repository = open(backend(after.clone())).unwrap();
        let report = check_all(&repository).unwrap_or_else(|error| panic!("{when}: {error}"));
        assert!(report.is_clean(), "{when}: {:#?} {:#?}", report.findings, report.missing);
        let catalog = Catalog::open(&repository).unwrap();
        assert_eq!(catalog.damage(), [], "{when}");
        let mut lost = promises.snapshots.clone();
        for (snapshot, tags) in catalog.snapshots() {
            let content = read_back(&catalog, snapshot)
                .unwrap_or_else(|error| panic!("{when}: snapshot {}: {error}", snapshot.id));
            match lost.remove(&snapshot.id) {
                Some(promise) => assert!(promise == content, "{when}: {} differs", snapshot.id),
                None => assert!(self.states.contains(&content), "{when}: an incomplete snapshot"),
            }
            let kept = !promises.tagged.contains(&snapshot.id) || tags.contains(&"keep".to_owned());
            assert!(kept, "{when}: the tag is gone");
        }
        assert_eq!(lost.keys().collect::<Vec<_>>(), [] as [&SnapshotId; 0], "{when}: lost");
    }
}

/// What tells two disks apart.
fn state_of(disk: &SimDisk) -> Vec<(String, Vec<u8>)> {
    let stages = disk.list("tmp").unwrap_or_default();
    let stages = stages.into_iter().map(|stage| (format!("tmp/{}", stage.name), Vec::new()));
    disk.files().into_iter().chain(stages).collect()
}

pub(super) fn promise(promises: &RefCell<Promises>, id: Option<SnapshotId>, tree: &Tree) {
    promises.borrow_mut().snapshots.insert(id.unwrap(), tree.content());
}
