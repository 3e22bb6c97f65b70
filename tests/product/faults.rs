//! Disks that fail: every changing operation, every look, once and for good.
//!
//! Never may a run say `Ok` with a snapshot that does not read back. What was
//! saved before stays, and once the disk works again so does the next backup.

use std::collections::BTreeMap;
use std::sync::Arc;

use larder::error::{ErrorKind, Result};
use larder::id::SnapshotId;
use larder::ops::catalog::Catalog;
use larder::repo::backend::Backend;
use larder_testkit::sim_disk::{Errno, Repeat, SimDisk};

use super::rig::{backend, check_all, fresh, host, init, open, save, settled};
use super::tree::{Content, Tree, read_back};

type Saved = BTreeMap<SnapshotId, Content>;

/// What is done on a disk that fails: returns the snapshot that it reported, if it makes one.
type Work<'a> = &'a dyn Fn(Arc<dyn Backend>) -> Result<Option<SnapshotId>>;

struct Fault<'a> {
    base: SimDisk,
    saved: Saved,
    tree: &'a Tree,
    work: Work<'a>,
}

impl Fault<'_> {
    /// How many changes and looks the work comes to when nothing fails.
    fn extent(&self) -> (u64, u64) {
        let disk = settled(&self.base);
        (self.work)(backend(disk.clone())).unwrap();
        (disk.operations(), disk.reads())
    }

    fn fail_every_change(&self, errno: Errno) {
        let (changes, _) = self.extent();
        assert!((10..=100).contains(&changes), "{changes}");
        for repeat in [Repeat::Once, Repeat::Sticky] {
            for n in 0..changes {
                let disk = settled(&self.base);
                disk.fail_at(n, errno, repeat);
                self.run(&disk, errno, &format!("{errno:?} {repeat:?} at change {n}"));
            }
        }
    }

    fn fail_every_look(&self) {
        let (_, reads) = self.extent();
        assert!(reads >= 5, "{reads}");
        for repeat in [Repeat::Once, Repeat::Sticky] {
            for n in 0..reads {
                let disk = settled(&self.base);
                disk.fail_read_at(n, Errno::IO, repeat);
                self.run(&disk, Errno::IO, &format!("{repeat:?} at look {n}"));
            }
        }
    }

    fn run(&self, disk: &SimDisk, errno: Errno, when: &str) {
        let outcome = (self.work)(backend(disk.clone()));
        assert!(disk.fired(), "{when}: the planned failure never came");
        if let Err(error) = &outcome
            && errno == Errno::NOSPC
        {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{when}: {error}");
        }
        let mut saved = self.saved.clone();
        saved.extend(outcome.ok().flatten().map(|id| (id, self.tree.content())));
        // The disk works again, without a power loss in between.
        let healthy = settled(disk);
        if let Err(error) = open(backend(healthy.clone())) {
            assert_eq!(error.kind(), ErrorKind::NoRepository, "{when}: {error}");
            assert!(saved.is_empty(), "{when}");
            init(backend(healthy.clone()), &host(50)).unwrap();
        }
        let report = save(backend(healthy.clone()), self.tree, 51)
            .unwrap_or_else(|error| panic!("{when}: the next backup: {error}"));
        saved.insert(report.id.unwrap(), self.tree.content());
        assert_saved(&healthy, &saved, when);
    }
}

fn assert_saved(disk: &SimDisk, saved: &Saved, when: &str) {
    let repository = open(backend(disk.clone())).unwrap();
    let report = check_all(&repository).unwrap();
    assert!(report.is_clean(), "{when}: {:#?} {:#?}", report.findings, report.missing);
    let catalog = Catalog::open(&repository).unwrap();
    let mut read: Saved = BTreeMap::new();
    for (snapshot, _) in catalog.snapshots() {
        read.insert(snapshot.id, read_back(&catalog, snapshot).unwrap());
    }
    for (id, content) in saved {
        assert!(read.get(id) == Some(content), "{when}: snapshot {id}");
    }
}

fn backup_work(tree: &Tree) -> impl Fn(Arc<dyn Backend>) -> Result<Option<SnapshotId>> {
    |backend| Ok(save(backend, tree, 40)?.id)
}

fn init_work(backend: Arc<dyn Backend>) -> Result<Option<SnapshotId>> {
    init(backend, &host(40)).map(|_| None)
}

/// A repository with one snapshot; the tree has changed since.
fn one_night_later(tree: &Tree) -> (SimDisk, Saved) {
    let disk = fresh();
    let id = save(backend(disk.clone()), tree, 1).unwrap().id.unwrap();
    let saved = [(id, tree.content())].into();
    tree.change();
    (settled(&disk), saved)
}

#[test]
fn init_on_a_failing_disk() {
    let tree = Tree::new();
    let (base, saved) = (SimDisk::new(), Saved::new());
    let fault = Fault { base, saved, tree: &tree, work: &init_work };
    fault.fail_every_change(Errno::IO);
    fault.fail_every_change(Errno::NOSPC);
    fault.fail_every_look();
}

#[test]
fn a_first_backup_on_a_failing_disk() {
    let tree = Tree::new();
    let work = backup_work(&tree);
    let fault = Fault { base: fresh(), saved: Saved::new(), tree: &tree, work: &work };
    fault.fail_every_change(Errno::IO);
    fault.fail_every_change(Errno::NOSPC);
    fault.fail_every_look();
}

#[test]
fn a_second_backup_on_a_failing_disk() {
    let tree = Tree::new();
    let (base, saved) = one_night_later(&tree);
    let work = backup_work(&tree);
    let fault = Fault { base, saved, tree: &tree, work: &work };
    fault.fail_every_change(Errno::IO);
    fault.fail_every_change(Errno::NOSPC);
    fault.fail_every_look();
}
