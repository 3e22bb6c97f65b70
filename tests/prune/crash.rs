//! A power loss before every operation of forgetting, pruning, emptying, undoing and merging.

use std::sync::Arc;

use larder::error::Result;
use larder::id::SnapshotId;
use larder::repo::backend::Backend;
use larder::repo::prune::empty_trash;
use larder::repo::prune::undo::{Undone, undo};
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    AT_ONCE, Saved, Tree, backend, forget_one, fresh, host, manifests, night, open, options, paths,
    prune_now, prune_with, settled, three_nights,
};
use super::scenario::Scenario;

/// Three nights, the first forgotten: what is left for certain, and what may come back.
pub(super) fn one_forgotten(tree: &Tree) -> (SimDisk, Saved, Saved, SnapshotId) {
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

pub(super) fn undo_work(backend: Arc<dyn Backend>, id: SnapshotId) -> Result<()> {
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

/// Six nights of a database, of which one in the middle and the first were forgotten: patches go, and the base stays.
pub(super) fn versions_forgotten(tree: &Tree) -> (SimDisk, Saved) {
    let (disk, mut saved) = (fresh(), Saved::new());
    let mut ids = Vec::new();
    for number in 1..7 {
        tree.database("parts.db", number);
        tree.fill("note", number, 200);
        ids.push(night(&disk, tree, number, &mut saved));
    }
    for id in [ids[0], ids[2]] {
        forget_one(backend(disk.clone()), id, 10).unwrap();
        saved.remove(&id);
    }
    (settled(&disk), saved)
}

#[test]
fn a_prune_of_versions_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (base, promised) = versions_forgotten(&tree);
    let work = |backend: Arc<dyn Backend>| {
        let report = prune_now(backend, 11)?;
        assert!(report.removed_packs > 2, "{report:#?}");
        Ok(())
    };
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_everywhere();
}

#[test]
fn a_backup_that_merges_segments_can_be_cut_off_anywhere() {
    let tree = Tree::new();
    let (disk, mut promised) = (fresh(), Saved::new());
    for number in 1..9 {
        tree.fill("changes", number, 300);
        night(&disk, &tree, number, &mut promised);
    }
    let base = settled(&disk);
    let before = paths(&base, "index/").len();
    tree.fill("changes", 9, 300);
    let work = |backend: Arc<dyn Backend>| super::rig::save(backend, &tree, 40).map(drop);
    let merged = settled(&base);
    work(backend(merged.clone())).unwrap();
    assert!(paths(&merged, "index/").len() < before, "nothing was merged");
    let scenario = Scenario { base, promised, possible: Saved::new(), tree: &tree, work: &work };
    scenario.crash_everywhere_with_more();
}
