//! Bringing forgotten snapshots back, as long as that is possible and no longer.

use larder::id::SnapshotId;
use larder::repo::prune::trash::discarded;
use larder::repo::prune::undo::{Undone, undo};
use larder::repo::prune::{GRACE_NS, PruneOptions};
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    AT_ONCE, Tree, assert_clean, backend, forget_one, host, manifests, night, open, options, paths,
    prune_now, prune_with, read_all, three_nights,
};

fn bring_back(disk: &SimDisk, id: SnapshotId, number: u64) -> Undone {
    let repository = open(backend(disk.clone())).unwrap();
    let mut walk = manifests(&repository);
    undo(&repository, id, &mut walk, &host(number), AT_ONCE).unwrap()
}

#[test]
fn a_forgotten_snapshot_comes_back_whole_before_and_after_a_prune() {
    let tree = Tree::new();
    let (disk, saved, first) = three_nights(&tree);
    for (number, pruned) in [(10, false), (20, true)] {
        forget_one(backend(disk.clone()), first, number).unwrap();
        if pruned {
            assert!(prune_now(backend(disk.clone()), number + 1).unwrap().removed_packs > 1);
        }
        let Undone::Back(snapshot) = bring_back(&disk, first, number + 2) else {
            panic!("{number}")
        };
        assert_eq!(snapshot.id, first);
        assert_eq!(read_all(&disk, "back"), saved);
        assert_clean(&disk, "back");
    }
    // What came back twice is stored once again after the next prune.
    prune_now(backend(disk.clone()), 30).unwrap();
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
    // A snapshot that is there again and then lost is missing: nothing explains its absence any more.
    assert!(disk.lose(&format!("snapshots/{first}")));
    let error = prune_now(backend(disk.clone()), 31).unwrap_err();
    assert!(error.to_string().contains("is missing"), "{error}");
}

#[test]
fn what_is_not_in_the_trash_is_said() {
    let tree = Tree::new();
    let (disk, _, first) = three_nights(&tree);
    assert_eq!(bring_back(&disk, first, 10), Undone::There);
    assert_eq!(bring_back(&disk, SnapshotId::from_bytes([9; 32]), 11), Undone::NotInTrash);
    forget_one(backend(disk.clone()), first, 12).unwrap();
    let now = PruneOptions { grace_ns: 0, ..options() };
    prune_with(backend(disk.clone()), &now, 13).unwrap();
    assert_eq!(bring_back(&disk, first, 14), Undone::NotInTrash);
}

#[test]
fn a_snapshot_whose_packs_are_gone_stays_forgotten() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    prune_now(backend(disk.clone()), 11).unwrap();
    let packs: Vec<_> =
        paths(&disk, "trash/").into_iter().filter(|it| it.contains("/pack-")).collect();
    assert!(disk.lose(&packs[0]));
    let undone = bring_back(&disk, first, 12);
    assert!(matches!(undone, Undone::Incomplete(_)), "{undone:?}");
    assert!(!disk.files().contains_key(&format!("snapshots/{first}")));
    saved.remove(&first);
    assert_eq!(read_all(&disk, "refused"), saved);
    prune_now(backend(disk.clone()), 13).unwrap();
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
}

#[test]
fn a_record_that_rotted_in_the_trash_is_refused() {
    let tree = Tree::new();
    let (disk, _, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let record = paths(&disk, "trash/").pop().unwrap();
    assert!(disk.overwrite(&record, b"rot"));
    let undone = bring_back(&disk, first, 12);
    assert!(matches!(undone, Undone::Incomplete(_)), "{undone:?}");
}

#[test]
fn the_trash_lists_what_was_forgotten_and_when_and_keeps_it_for_its_grace() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let listed = discarded(&*backend(disk.clone())).unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].snapshots.as_slice(), listed[0].packs.len()), ([first].as_slice(), 0));
    assert!(listed[0].bytes > 0);
    tree.write("new", b"so that there is a night");
    night(&disk, &tree, 11, &mut saved);
    // A clock that was set back does not make anything older than it is.
    let grace = PruneOptions { grace_ns: GRACE_NS, ..options() };
    assert_eq!(prune_with(backend(disk.clone()), &grace, 9).unwrap().emptied.snapshots, 0);
    assert_eq!(prune_with(backend(disk.clone()), &grace, 12).unwrap().emptied.snapshots, 1);
}
