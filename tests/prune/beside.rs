//! Prune beside backups, readers, and another prune.

use std::cell::Cell;

use larder::error::ErrorKind;
use larder::observe::Unobserved;
use larder::ops::prune::marks::Marks;
use larder::repo::error::Result;
use larder::repo::locks::{maintain, share_repository};
use larder::repo::prune::live::Live;
use larder::repo::prune::{Walk, prune};
use larder::repo::snapshots::Snapshot;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    AT_ONCE, Saved, Tree, assert_clean, backend, forget_one, fresh, host, manifests, night, open,
    options, paths, prune_now, read_all, save, save_as, settled, three_nights,
};

/// Does something right after what is there was marked: between plan and switch.
struct Then<'a, 'r> {
    walk: Marks<'r>,
    work: &'a dyn Fn(),
    calls: Cell<u32>,
}

impl Walk for Then<'_, '_> {
    fn mark(&mut self, snapshots: &[Snapshot], live: &dyn Live) -> Result<()> {
        self.walk.mark(snapshots, live)?;
        self.calls.set(self.calls.get() + 1);
        if self.calls.get() == 1 {
            (self.work)();
        }
        Ok(())
    }
}

/// A prune in whose middle something else happens.
fn prune_while(disk: &SimDisk, then: &dyn Fn()) -> (Result<larder::repo::prune::PruneReport>, u32) {
    let repository = open(backend(disk.clone())).unwrap();
    let mut walk = Then { walk: manifests(&repository), work: then, calls: Cell::new(0) };
    let outcome = prune(&repository, &mut walk, &options(), &host(40), &Unobserved);
    (outcome, walk.calls.get())
}

/// A file of its own in a pack of its own, forgotten: a pack that is about to go.
fn a_dying_pack(tree: &Tree) -> (SimDisk, Saved) {
    let (disk, mut saved) = (fresh(), Saved::new());
    tree.fill("stays", 1, 900);
    night(&disk, tree, 1, &mut saved);
    tree.fill("returns", 2, 3000);
    let with = night(&disk, tree, 2, &mut saved);
    tree.remove("returns");
    tree.write("else", b"so that the manifest differs from the first night's");
    night(&disk, tree, 3, &mut saved);
    forget_one(backend(disk.clone()), with, 10).unwrap();
    saved.remove(&with);
    (settled(&disk), saved)
}

#[test]
fn a_backup_between_plan_and_switch_keeps_the_pack_that_it_needs() {
    let tree = Tree::new();
    let (disk, mut saved) = a_dying_pack(&tree);
    let going = prune_now(backend(settled(&disk)), 40).unwrap();
    assert!(going.removed_bytes > 3000, "{going:#?}");
    tree.fill("returns", 2, 3000);
    let stored = std::cell::RefCell::new(None);
    let backup = || *stored.borrow_mut() = Some(save(backend(disk.clone()), &tree, 30).unwrap());
    let (outcome, calls) = prune_while(&disk, &backup);
    let (report, stored) = (outcome.unwrap(), stored.into_inner().unwrap());
    assert!(stored.record.counts.new_stored_bytes < 1500, "the backup stored the file again");
    saved.insert(stored.id.unwrap(), tree.content());
    assert_eq!((report.rescued_packs, calls), (1, 2), "{report:#?}");
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
    // Nothing is left over for the next one.
    let report = prune_now(backend(disk.clone()), 41).unwrap();
    assert_eq!((report.removed_packs, report.rescued_packs), (0, 0), "{report:#?}");
    assert_eq!(read_all(&disk, "pruned again"), saved);
    assert_clean(&disk, "pruned again");
}

#[test]
fn a_backup_of_something_else_meanwhile_changes_nothing_of_the_plan() {
    let (tree, other) = (Tree::new(), Tree::new());
    let (disk, mut saved) = a_dying_pack(&tree);
    other.fill("other", 9, 500);
    let id = Cell::new(None);
    let backup = || id.set(save_as(backend(disk.clone()), &other, "bench", 30).unwrap().id);
    let (outcome, _) = prune_while(&disk, &backup);
    let report = outcome.unwrap();
    assert_eq!(report.rescued_packs, 0);
    assert!(report.removed_bytes > 3000);
    saved.insert(id.get().unwrap(), other.content());
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
}

#[test]
fn who_uses_the_repository_at_the_switch_keeps_everything() {
    let tree = Tree::new();
    let (disk, saved) = a_dying_pack(&tree);
    let reading = share_repository(&*backend(disk.clone())).unwrap();
    let before = (paths(&disk, "packs/"), paths(&disk, "trash/"));
    let error = prune_now(backend(disk.clone()), 40).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert!(before.0.iter().all(|pack| disk.files().contains_key(pack)));
    assert_eq!(paths(&disk, "trash/"), before.1);
    assert_eq!(paths(&disk, "sessions/"), [""; 0]);
    drop(reading);
    // What the first one wrote is used or removed by the next.
    let report = prune_now(backend(disk.clone()), 41).unwrap();
    assert!(report.removed_bytes > 3000);
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
}

#[test]
fn of_two_prunes_at_once_one_is_told_who_the_other_is() {
    let tree = Tree::new();
    let (disk, saved) = a_dying_pack(&tree);
    let second = || {
        let error = prune_now(backend(disk.clone()), 41).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        let text = error.to_string();
        assert!(text.contains("larder backup") && text.contains("testhost"), "{text}");
    };
    prune_while(&disk, &second).0.unwrap();
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_eq!(paths(&disk, "sessions/"), [""; 0]);
    drop(maintain(&*backend(disk), AT_ONCE).unwrap());
}

#[test]
fn forgetting_meanwhile_leaves_the_rest_for_the_next_prune() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    let others: Vec<_> = saved.keys().copied().filter(|id| *id != first).collect();
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let forget = || forget_one(backend(disk.clone()), others[0], 30).unwrap();
    prune_while(&disk, &forget).0.unwrap();
    saved.retain(|id, _| *id == others[1]);
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
    prune_now(backend(disk.clone()), 41).unwrap();
    assert_eq!(read_all(&disk, "pruned again"), saved);
    assert_clean(&disk, "pruned again");
}

#[test]
fn a_snapshot_or_segment_that_is_lost_meanwhile_stops_the_switch() {
    let tree = Tree::new();
    let (base, _) = a_dying_pack(&tree);
    for directory in ["snapshots/", "index/", "packs/"] {
        for lost in paths(&base, directory) {
            let disk = settled(&base);
            let lose = || assert!(disk.lose(&lost));
            let (outcome, _) = prune_while(&disk, &lose);
            let now = disk.files();
            let gone: Vec<_> =
                base.files().into_keys().filter(|it| !now.contains_key(it)).collect();
            match outcome {
                // It was to go anyway.
                Ok(report) => assert!(directory == "packs/" && report.removed_packs > 0, "{lost}"),
                Err(_) => assert_eq!(gone, [lost.as_str()]),
            }
        }
    }
}

#[test]
fn what_a_killed_prune_left_in_tmp_is_swept_by_the_next_backup() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    saved.remove(&first);
    let whole = settled(&disk);
    prune_now(backend(whole.clone()), 40).unwrap();
    for n in 0..whole.operations() {
        let disk = settled(&disk);
        disk.crash_at(n);
        let _cut_short = prune_now(backend(disk.clone()), 40);
        let after = settled(&disk);
        save(backend(after.clone()), &tree, 41).unwrap();
        assert_eq!(paths(&after, "tmp/"), [""; 0], "operation {n}: leftovers");
        let read = read_all(&after, "after");
        assert!(saved.iter().all(|(id, content)| read.get(id) == Some(content)));
    }
}
