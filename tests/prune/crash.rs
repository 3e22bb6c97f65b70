//! A power loss before every operation of forgetting, pruning, emptying and undoing.

use std::sync::Arc;

use larder::error::Result;
use larder::id::SnapshotId;
use larder::repo::backend::Backend;
use larder::repo::prune::empty_trash;
use larder::repo::prune::undo::{Undone, undo};
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    AT_ONCE, Saved, Tree, backend, forget_one, host, manifests, night, open, options, paths,
    prune_now, prune_with, settled, three_nights,
};
use super::scenario::Scenario;

/// Three nights, the first forgotten: what is left for certain, and what may come back.
fn one_forgotten(tree: &Tree) -> (SimDisk, Saved, Saved, SnapshotId) {
    let (disk, mut saved, first) = three_nights(tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let content = saved.remove(&first).unwrap();
    (settled(&disk), saved, [(first, content)].into(), first)
}

#[test]
fn forgetting_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (base, mut promised, first) = three_nights(&tree);
    let possible = [(first, promised.remove(&first).unwrap())].into();
    let work = |backend: Arc<dyn Backend>| forget_one(backend, first, 40);
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_everywhere();
}

#[test]
fn a_prune_that_rewrites_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (base, promised, _, _) = one_forgotten(&tree);
    let work = |backend: Arc<dyn Backend>| {
        let report = prune_now(backend, 40)?;
        assert!(!report.plan.rewritten.is_empty() && !report.plan.gone.is_empty());
        Ok(())
    };
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_everywhere();
}

#[test]
fn a_prune_without_grace_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (base, promised, _, _) = one_forgotten(&tree);
    let now = larder::repo::prune::PruneOptions { grace_ns: 0, ..options() };
    let work = |backend: Arc<dyn Backend>| prune_with(backend, &now, 40).map(drop);
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_everywhere();
}

#[test]
fn a_prune_that_replaces_every_segment_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (disk, mut promised, _, _) = one_forgotten(&tree);
    for number in 11..16 {
        tree.fill("changes", number, 300);
        night(&disk, &tree, number, &mut promised);
    }
    let base = settled(&disk);
    assert!(paths(&base, "index/").len() >= 8);
    let work = |backend: Arc<dyn Backend>| prune_now(backend, 40).map(drop);
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_everywhere();
}

#[test]
fn emptying_the_trash_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (disk, promised, _, _) = one_forgotten(&tree);
    prune_now(backend(disk.clone()), 11).unwrap();
    let base = settled(&disk);
    let work = |backend: Arc<dyn Backend>| {
        let emptied = empty_trash(&open(backend)?, 0, &host(40), AT_ONCE)?;
        assert!(emptied.packs > 0 && emptied.snapshots == 1);
        Ok(())
    };
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_everywhere();
}

fn undo_work(backend: Arc<dyn Backend>, id: SnapshotId) -> Result<()> {
    let repository = open(backend)?;
    let mut walk = manifests(&repository);
    let undone = undo(&repository, id, &mut walk, &host(40), AT_ONCE)?;
    assert!(matches!(undone, Undone::Back(_) | Undone::There), "{undone:?}");
    Ok(())
}

#[test]
fn undoing_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (disk, promised, possible, first) = one_forgotten(&tree);
    prune_now(backend(disk.clone()), 11).unwrap();
    let base = settled(&disk);
    let work = |backend: Arc<dyn Backend>| undo_work(backend, first);
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_everywhere();
}

#[test]
fn power_lost_twice_around_a_prune_loses_nothing_either() {
    let tree = Tree::new();
    let (base, promised, _, _) = one_forgotten(&tree);
    let work = |backend: Arc<dyn Backend>| prune_now(backend, 40).map(drop);
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_twice("prune-twice", 120);
}

#[test]
fn power_lost_twice_around_forgetting_and_undoing_loses_nothing_either() {
    let tree = Tree::new();
    let (base, mut promised, first) = three_nights(&tree);
    let possible = [(first, promised.remove(&first).unwrap())].into();
    let work = |backend: Arc<dyn Backend>| {
        let repository = open(Arc::clone(&backend))?;
        larder::repo::forget::forget(&repository, &[first], &host(40))?;
        prune_now(Arc::clone(&backend), 41)?;
        undo_work(backend, first)
    };
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_twice("undo-twice", 120);
}
