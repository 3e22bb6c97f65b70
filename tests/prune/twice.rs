//! A second power loss, while the first is being recovered from.

use std::sync::Arc;

use larder::repo::backend::Backend;
use larder::repo::prune::empty_trash;

use super::crash::{one_forgotten, undo_work, versions_forgotten};
use super::rig::{AT_ONCE, Saved, Tree, backend, host, open, prune_now, settled, three_nights};
use super::scenario::Scenario;

#[test]
fn power_lost_around_a_prune_of_versions_loses_nothing_either() {
    let tree = Tree::new();
    let (base, promised) = versions_forgotten(&tree);
    let work = |backend: Arc<dyn Backend>| prune_now(backend, 40).map(drop);
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_twice("prune-twice", 500);
}

#[test]
fn power_lost_around_emptying_the_trash_loses_nothing_either() {
    let tree = Tree::new();
    let (disk, promised, _, _) = one_forgotten(&tree);
    prune_now(backend(disk.clone()), 11).unwrap();
    let base = settled(&disk);
    let work = |backend: Arc<dyn Backend>| {
        empty_trash(&open(backend)?, 0, &host(40), AT_ONCE).map(drop).map_err(Into::into)
    };
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_twice("prune-twice", 500);
}

#[test]
fn power_lost_around_a_prune_loses_nothing_either() {
    let tree = Tree::new();
    let (base, promised, _, _) = one_forgotten(&tree);
    let work = |backend: Arc<dyn Backend>| prune_now(backend, 40).map(drop);
    let possible = Saved::new();
    let scenario = Scenario { base, promised, possible, tree: &tree, work: &work };
    scenario.crash_twice("prune-twice", 500);
}

#[test]
fn power_lost_around_forgetting_and_undoing_loses_nothing_either() {
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
    scenario.crash_twice("prune-twice", 500);
}
