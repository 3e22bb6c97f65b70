//! A writer that is killed while the machine lives on, then another one, then a power loss.
//!
//! The second writer finds names that the first gave and never synced. What it
//! builds upon them must not hang on their luck.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::error::Result;
use larder::ops::catalog::Catalog;
use larder::ops::tag::{TagChange, tag};
use larder::repo::backend::Backend;
use larder::repo::disk::Result as DiskResult;
use larder_testkit::campaign;
use larder_testkit::sim_disk::{Pattern, SimDisk};

use super::rig::{backend, check_all, fresh, host, open, save, settled};
use super::ruled_disk::{Intent, Rule, RuledDisk, failure};
use super::tree::{Tree, read_back};

/// A process that lives for so many changing operations; from then on everything fails, as for the dead.
#[derive(Debug)]
struct Lifetime {
    left: AtomicU64,
}

impl Lifetime {
    fn is_over(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}

impl Rule for Lifetime {
    fn admit(&self, intent: Intent, path: &str) -> DiskResult<()> {
        if intent == Intent::Change && !self.is_over() {
            self.left.fetch_sub(1, Ordering::Relaxed);
        }
        if self.is_over() { Err(failure(path, "killed")) } else { Ok(()) }
    }
}

/// Kills a backup after each of its operations, lets the second work go on at the same disk, then cuts the power.
fn killed_everywhere(
    base: &SimDisk,
    tree: &Tree,
    second: impl Fn(Arc<dyn Backend>) -> Result<()>,
    assert: impl Fn(&SimDisk, &str),
) {
    let whole = settled(base);
    save(backend(whole.clone()), tree, 40).unwrap();
    for n in 1..=whole.operations() {
        let disk = settled(base);
        let life = Arc::new(Lifetime { left: AtomicU64::new(n) });
        let mortal = RuledDisk { disk: disk.clone(), rule: life.clone() };
        let _cut_short = save(backend(mortal), tree, 40);
        assert!(life.is_over(), "the kill at operation {n} never came");
        second(backend(disk.clone())).unwrap_or_else(|error| panic!("operation {n}: {error}"));
        let mut seen = HashSet::new();
        for pattern in campaign::seeds("crash", 8).map(Pattern::from_seed) {
            let after = disk.crash_with(pattern);
            if seen.insert(after.files().into_iter().collect::<Vec<_>>()) {
                assert(&after, &format!("killed at operation {n}, {pattern:?}"));
            }
        }
    }
}

#[test]
fn a_backup_on_a_dead_writers_segments_survives_a_power_loss() {
    let tree = Tree::new();
    killed_then_saved(&fresh(), &tree);
}

/// The second writer has nothing new to store: all that its snapshot needs was listed by the dead one.
#[test]
fn a_backup_that_needs_nothing_but_a_dead_writers_segment_survives_a_power_loss() {
    let (tree, disk) = (Tree::new(), fresh());
    save(backend(disk.clone()), &tree, 1).unwrap();
    tree.remove("sub/old.txt");
    killed_then_saved(&settled(&disk), &tree);
}

fn killed_then_saved(base: &SimDisk, tree: &Tree) {
    let saved = std::cell::Cell::new(None);
    let second = |backend: Arc<dyn Backend>| {
        saved.set(save(backend, tree, 41)?.id);
        Ok(())
    };
    killed_everywhere(base, tree, second, |after, when| {
        let repository = open(backend(after.clone())).unwrap();
        let report = check_all(&repository).unwrap();
        assert!(report.is_clean(), "{when}: {:#?} {:#?}", report.findings, report.missing);
        let catalog = Catalog::open(&repository).unwrap();
        let id = saved.get().unwrap();
        let snapshot = catalog.snapshots().map(|(snapshot, _)| snapshot).find(|s| s.id == id);
        let snapshot = snapshot.unwrap_or_else(|| panic!("{when}: the snapshot is gone"));
        assert!(read_back(&catalog, snapshot).unwrap() == tree.content(), "{when}");
    });
}

#[test]
fn a_tag_on_a_dead_writers_snapshot_survives_with_the_snapshot() {
    let tree = Tree::new();
    let base = fresh();
    let tagged = std::cell::Cell::new(None);
    let second = |backend: Arc<dyn Backend>| {
        let repository = open(backend)?;
        let catalog = Catalog::open(&repository)?;
        tagged.set(None);
        if let Some(snapshot) = catalog.listing().newest("shelf") {
            tag(&catalog, snapshot, &[TagChange::Add("keep".into())], &host(41))?;
            tagged.set(Some(snapshot.id));
        }
        Ok(())
    };
    killed_everywhere(&base, &tree, second, |after, when| {
        let Some(id) = tagged.get() else { return };
        let repository = open(backend(after.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let (snapshot, tags) = catalog
            .snapshots()
            .find(|(snapshot, _)| snapshot.id == id)
            .unwrap_or_else(|| panic!("{when}: the tagged snapshot is gone"));
        assert_eq!(tags, ["keep"], "{when}");
        assert!(read_back(&catalog, snapshot).unwrap() == tree.content(), "{when}");
    });
}
