//! A power loss before every operation of the disk, and every choice of what survives it.
//!
//! After each: whatever was reported as saved is there and reads back exactly,
//! whatever is visible is complete, check finds nothing, the next backup
//! succeeds. Nobody repairs anything in between.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use larder::error::{Error, ErrorKind, Result};
use larder::id::SnapshotId;
use larder::observe::Unobserved;
use larder::ops::backup::backup;
use larder::ops::catalog::Catalog;
use larder::ops::tag::{TagChange, tag};
use larder::repo::backend::Backend;
use larder::repo::disk::Disk;
use larder_testkit::campaign;
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::{Pattern, SimDisk};

use super::rig::{
    CopyCapture, Meanwhile, StopsAt, backend, check_all, fresh, host, init, open, options, save,
    settled,
};
use super::tree::{Content, Tree, read_back};

/// What was promised to a user before the lights went out.
#[derive(Default)]
struct Promises {
    repository: bool,
    snapshots: BTreeMap<SnapshotId, Content>,
    tagged: BTreeSet<SnapshotId>,
}

/// What is done, and what it promises on the way.
type Work<'a> = &'a dyn Fn(Arc<dyn Backend>, &RefCell<Promises>) -> Result<()>;

/// One piece of work on a prepared disk.
struct Scenario<'a> {
    base: SimDisk,
    /// What was promised before the work began.
    before: BTreeMap<SnapshotId, Content>,
    tree: &'a Tree,
    /// States of the source that a visible snapshot may hold.
    states: Vec<Content>,
    work: Work<'a>,
    has_repository: bool,
}

impl Scenario<'_> {
    fn promises(&self) -> RefCell<Promises> {
        RefCell::new(Promises {
            repository: self.has_repository,
            snapshots: self.before.clone(),
            tagged: BTreeSet::new(),
        })
    }

    /// Operations of the whole work, which must be few enough to crash at each.
    fn operations(&self) -> u64 {
        let disk = settled(&self.base);
        (self.work)(backend(disk.clone()), &self.promises()).unwrap();
        let operations = disk.operations();
        assert!((1..=100).contains(&operations), "{operations}: {:#?}", disk.log());
        operations
    }

    /// The disk that died before its n-th operation.
    fn until(&self, n: u64) -> (SimDisk, Promises) {
        let disk = settled(&self.base);
        disk.crash_at(n);
        let promises = self.promises();
        // It may succeed: the last operations tidy up, and their failure is nobody's.
        let _cut_short = (self.work)(backend(disk.clone()), &promises);
        assert!(disk.fired(), "the crash before operation {n} never came");
        (disk, promises.into_inner())
    }

    fn crash_everywhere(&self) {
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
    fn assert_sound(&self, after: &SimDisk, promises: &Promises, when: &str) {
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

fn promise(promises: &RefCell<Promises>, id: Option<SnapshotId>, tree: &Tree) {
    promises.borrow_mut().snapshots.insert(id.unwrap(), tree.content());
}

/// A disk with a snapshot of each state that `prepare` leaves the tree in.
fn with_snapshots(
    tree: &Tree,
    count: u64,
    prepare: impl Fn(u64),
) -> (SimDisk, BTreeMap<SnapshotId, Content>) {
    let disk = fresh();
    let mut saved = BTreeMap::new();
    for number in 1..=count {
        prepare(number);
        let report = save(backend(disk.clone()), tree, number).unwrap();
        saved.insert(report.id.unwrap(), tree.content());
    }
    (settled(&disk), saved)
}

fn saves(tree: &Tree) -> impl Fn(Arc<dyn Backend>, &RefCell<Promises>) -> Result<()> {
    |backend, promises| {
        let report = save(backend, tree, 40)?;
        promise(promises, report.id, tree);
        Ok(())
    }
}

#[test]
fn init_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let work = |backend: Arc<dyn Backend>, promises: &RefCell<Promises>| {
        init(backend, &host(40))?;
        promises.borrow_mut().repository = true;
        Ok(())
    };
    let scenario = Scenario {
        base: SimDisk::new(),
        before: BTreeMap::new(),
        tree: &tree,
        states: Vec::new(),
        work: &work,
        has_repository: false,
    };
    scenario.crash_everywhere();
}

#[test]
fn the_first_backup_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let work = saves(&tree);
    let scenario = Scenario {
        base: fresh(),
        before: BTreeMap::new(),
        tree: &tree,
        states: vec![tree.content()],
        work: &work,
        has_repository: true,
    };
    scenario.crash_everywhere();
}

/// A backup in whose middle a minute passes, so that it makes a barrier there.
#[test]
fn a_backup_of_several_barriers_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let work = |backend: Arc<dyn Backend>, promises: &RefCell<Promises>| {
        let (repository, host) = (open(backend)?, host(40));
        let slow = Meanwhile::new(|| host.advance_ns(61_000_000_000));
        let report = backup(&repository, &options(&tree), &slow, &host, &Unobserved)?;
        promise(promises, report.id, &tree);
        Ok(())
    };
    let scenario = Scenario {
        base: fresh(),
        before: BTreeMap::new(),
        tree: &tree,
        states: vec![tree.content()],
        work: &work,
        has_repository: true,
    };
    let whole = settled(&scenario.base);
    (scenario.work)(backend(whole.clone()), &scenario.promises()).unwrap();
    assert_eq!(whole.list("index").unwrap().len(), 2, "a segment at each barrier");
    scenario.crash_everywhere();
}

#[test]
fn the_second_backup_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (base, before) = with_snapshots(&tree, 1, |_| {});
    tree.change();
    let work = saves(&tree);
    let states = vec![tree.content()];
    let scenario =
        Scenario { base, before, tree: &tree, states, work: &work, has_repository: true };
    scenario.crash_everywhere();
}

#[test]
fn an_interrupted_backup_and_its_resumption_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let resume = saves(&tree);
    let work = |backend: Arc<dyn Backend>, promises: &RefCell<Promises>| {
        let stopped = interrupted(Arc::clone(&backend), &tree);
        let Err(Error::Interrupted) = stopped else { return stopped };
        resume(backend, promises)
    };
    let scenario = Scenario {
        base: fresh(),
        before: BTreeMap::new(),
        tree: &tree,
        states: vec![tree.content()],
        work: &work,
        has_repository: true,
    };
    scenario.crash_everywhere();
}

/// A backup that is asked to stop when all files are stored and the database is not.
fn interrupted(backend: Arc<dyn Backend>, tree: &Tree) -> Result<()> {
    let repository = open(backend)?;
    let stop = StopsAt::new(8);
    backup(&repository, &options(tree), &CopyCapture, &host(39), &stop).map(drop)
}

#[test]
fn a_tag_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (base, before) = with_snapshots(&tree, 1, |_| {});
    let id = *before.keys().next().unwrap();
    let work = |backend: Arc<dyn Backend>, promises: &RefCell<Promises>| {
        let repository = open(backend)?;
        let catalog = Catalog::open(&repository)?;
        let snapshot = catalog.listing().newest("shelf").expect("the promised snapshot");
        tag(&catalog, snapshot, &[TagChange::Add("keep".into())], &host(40))?;
        promises.borrow_mut().tagged.insert(id);
        Ok(())
    };
    let states = Vec::new();
    let scenario =
        Scenario { base, before, tree: &tree, states, work: &work, has_repository: true };
    scenario.crash_everywhere();
}

#[test]
fn merging_segments_can_be_cut_off_anywhere() {
    let tree = Tree::bare();
    let add = |number: u64| tree.write(&format!("{number}"), format!("night {number}").as_bytes());
    let (base, before) = with_snapshots(&tree, 8, add);
    add(9);
    let work = saves(&tree);
    let states = vec![tree.content()];
    assert_eq!(base.list("index").unwrap().len(), 8);
    let scenario =
        Scenario { base, before, tree: &tree, states, work: &work, has_repository: true };
    let merged = settled(&scenario.base);
    (scenario.work)(backend(merged.clone()), &scenario.promises()).unwrap();
    assert_eq!(merged.list("index").unwrap().len(), 1, "nothing was merged");
    scenario.crash_everywhere();
    for n in 0..scenario.operations() {
        let after = scenario.until(n).0.crash_with(Pattern::Everything);
        save(backend(after.clone()), &tree, 50).unwrap();
        save(backend(after.clone()), &tree, 51).unwrap();
        assert!(after.list("index").unwrap().len() <= 8, "operation {n}: merging is stuck");
    }
}

#[test]
fn crash_twice_and_nothing_is_lost_either() {
    let tree = Tree::new();
    let (base, before) = with_snapshots(&tree, 1, |_| {});
    tree.change();
    let work = saves(&tree);
    let states = vec![tree.content()];
    let scenario =
        Scenario { base, before, tree: &tree, states, work: &work, has_repository: true };
    let operations = scenario.operations();
    for seed in campaign::seeds("crash-twice", 200) {
        let mut seeded = Seeded::new(seed);
        let (n, pattern) = (seeded.below(operations), Pattern::from_seed(seeded.below(64)));
        let (first, mut promises) = scenario.until(n);
        let second = first.crash_with(pattern);
        let again = settled(&second);
        save(backend(again.clone()), &tree, 45).unwrap();
        let m = seeded.below(again.operations());
        second.crash_at(m);
        if let Ok(report) = save(backend(second.clone()), &tree, 45) {
            promises.snapshots.insert(report.id.unwrap(), tree.content());
        }
        assert!(second.fired(), "seed {seed}");
        let after = second.crash_with(Pattern::from_seed(seeded.below(64)));
        scenario.assert_sound(&after, &promises, &format!("seed {seed}: {n} {pattern:?}, {m}"));
    }
}
