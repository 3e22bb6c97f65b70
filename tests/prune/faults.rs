//! Disks that fail, at every change and at every look, once and for good.
//!
//! What was saved stays, the next run succeeds once the disk works again, and
//! after a look that failed nothing is removed.

use std::sync::Arc;

use larder::error::{ErrorKind, Result};
use larder::repo::backend::Backend;
use larder::repo::prune::undo::{Undone, undo};
use larder_testkit::sim_disk::{Errno, Operation, Repeat, SimDisk};

use super::rig::{
    AT_ONCE, Saved, Tree, backend, forget_one, host, manifests, open, options, prune_now,
    prune_with, settled, three_nights,
};
use super::scenario::Scenario;

/// True for what may take an object away. Markers and stages are one's own.
fn removes(operation: &Operation) -> bool {
    let of_objects = ["packs/", "index/", "snapshots/", "facts/", "trash/"];
    matches!(operation.verb, "remove" | "rename")
        && of_objects.iter().any(|directory| operation.path.starts_with(directory))
}

fn extent(scenario: &Scenario<'_>) -> (u64, u64) {
    let disk = settled(&scenario.base);
    (scenario.work)(backend(disk.clone())).unwrap();
    assert!(disk.log().iter().any(removes), "this work removes nothing");
    (disk.operations(), disk.reads())
}

fn fail_every_change(scenario: &Scenario<'_>, errno: Errno) {
    let (changes, _) = extent(scenario);
    for repeat in [Repeat::Once, Repeat::Sticky] {
        for n in 0..changes {
            let disk = settled(&scenario.base);
            disk.fail_at(n, errno, repeat);
            let when = format!("{errno:?} {repeat:?} at change {n}");
            let outcome = (scenario.work)(backend(disk.clone()));
            assert!(disk.fired(), "{when}: the planned failure never came");
            if let (Err(error), Errno::NOSPC) = (&outcome, errno) {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{when}: {error}");
            }
            // The disk works again, without a power loss in between.
            scenario.assert_sound(&settled(&disk), &when);
        }
    }
}

fn fail_every_look(scenario: &Scenario<'_>) {
    let (_, reads) = extent(scenario);
    for repeat in [Repeat::Once, Repeat::Sticky] {
        for n in 0..reads {
            let disk = settled(&scenario.base);
            disk.fail_read_at(n, Errno::IO, repeat);
            let when = format!("{repeat:?} at look {n}");
            let outcome = (scenario.work)(backend(disk.clone()));
            assert!(disk.fired(), "{when}: the planned failure never came");
            // Objects are read twice before they are given up, so a failure that passes may go unnoticed.
            if outcome.is_err() || repeat == Repeat::Sticky {
                let after = disk.log_after_failed_read();
                assert!(!after.iter().any(removes), "{when}: {after:#?}");
            }
            assert!(outcome.is_err() || repeat == Repeat::Once, "{when}: nobody noticed");
            scenario.assert_sound(&settled(&disk), &when);
        }
    }
}

fn one_forgotten(tree: &Tree) -> (SimDisk, Saved, Saved, larder::id::SnapshotId) {
    let (disk, mut saved, first) = three_nights(tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let content = saved.remove(&first).unwrap();
    (settled(&disk), saved, [(first, content)].into(), first)
}

#[test]
fn forgetting_on_a_failing_disk() {
    let tree = Tree::new();
    let (base, mut promised, first) = three_nights(&tree);
    let possible = [(first, promised.remove(&first).unwrap())].into();
    let work = |backend: Arc<dyn Backend>| forget_one(backend, first, 40);
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    fail_every_change(&scenario, Errno::IO);
    fail_every_change(&scenario, Errno::NOSPC);
    fail_every_look(&scenario);
}

#[test]
fn pruning_on_a_failing_disk() {
    let tree = Tree::new();
    let (base, promised, _, _) = one_forgotten(&tree);
    let work = |backend: Arc<dyn Backend>| prune_now(backend, 40).map(drop);
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    fail_every_change(&scenario, Errno::IO);
    fail_every_look(&scenario);
}

#[test]
fn pruning_on_a_disk_that_fills() {
    let tree = Tree::new();
    let (base, promised, _, _) = one_forgotten(&tree);
    let work = |backend: Arc<dyn Backend>| prune_now(backend, 40).map(drop);
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    fail_every_change(&scenario, Errno::NOSPC);
}

#[test]
fn emptying_the_trash_on_a_failing_disk() {
    let tree = Tree::new();
    let (disk, promised, _, _) = one_forgotten(&tree);
    prune_now(backend(disk.clone()), 11).unwrap();
    let now = larder::repo::prune::PruneOptions { grace_ns: 0, ..options() };
    let work = |backend: Arc<dyn Backend>| prune_with(backend, &now, 40).map(drop);
    let (base, possible) = (settled(&disk), Saved::new());
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    fail_every_change(&scenario, Errno::IO);
    fail_every_look(&scenario);
}

#[test]
fn undoing_on_a_failing_disk() {
    let tree = Tree::new();
    let (disk, promised, possible, first) = one_forgotten(&tree);
    prune_now(backend(disk.clone()), 11).unwrap();
    let work = |backend: Arc<dyn Backend>| -> Result<()> {
        let repository = open(backend)?;
        let mut walk = manifests(&repository);
        match undo(&repository, first, &mut walk, &host(40), AT_ONCE)? {
            Undone::Back(_) => Ok(()),
            Undone::Incomplete(damage) => Err(larder::repo::error::RepoError::from(damage).into()),
            other => panic!("{other:?}"),
        }
    };
    let base = settled(&disk);
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    for errno in [Errno::IO, Errno::NOSPC] {
        fail_every_change(&scenario, errno);
    }
}
