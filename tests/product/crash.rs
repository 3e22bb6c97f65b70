//! A power loss before every operation of the disk, and every choice of what survives it.
//!
//! After each: whatever was reported as saved is there and reads back exactly,
//! whatever is visible is complete, check finds nothing, the next backup
//! succeeds. Nobody repairs anything in between.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use larder::error::{Error, Result};
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
    CopyCapture, Meanwhile, StopsAtDatabases, backend, fresh, host, init, open, options, save,
    settled,
};
use super::scenario::{Promises, Scenario, promise};
use super::tree::{Content, Tree};

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
    let stop = StopsAtDatabases::default();
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
fn power_lost_twice_loses_nothing_either() {
    let tree = Tree::new();
    let (base, before) = with_snapshots(&tree, 1, |_| {});
    tree.change();
    let work = saves(&tree);
    let states = vec![tree.content()];
    let scenario =
        Scenario { base, before, tree: &tree, states, work: &work, has_repository: true };
    let operations = scenario.operations();
    for seed in campaign::seeds("power-lost-twice", 200) {
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
