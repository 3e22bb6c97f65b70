//! A disk without room: the trash goes first, then dead packs, and nothing need be written for that.

use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    Saved, Tree, assert_clean, backend, bytes_in, forget_one, night, options, prune_now,
    prune_with, read_all, save, settled, three_nights,
};

/// Leaves so many bytes free.
fn fill_up(disk: &SimDisk, free: u64) {
    disk.set_limit_bytes(Some(bytes_in(disk, "") + free));
}

#[test]
fn dead_packs_go_from_a_disk_with_no_byte_left() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    saved.remove(&first);
    let before = bytes_in(&disk, "");
    fill_up(&disk, 0);
    let report = prune_now(backend(disk.clone()), 11).unwrap();
    assert!(report.disk_was_full && report.emptied.snapshots == 1, "{report:#?}");
    assert!(report.emptied.packs > 0 && report.plan.rewritten.is_empty());
    assert!(bytes_in(&disk, "") < before);
    assert_eq!(read_all(&disk, "full"), saved);
    // When there is room again, the rest is done.
    disk.set_limit_bytes(None);
    let report = prune_now(backend(disk.clone()), 12).unwrap();
    assert!(!report.disk_was_full);
    assert_eq!(read_all(&disk, "roomy"), saved);
    assert_clean(&disk, "roomy");
}

#[test]
fn the_trash_makes_room_for_what_must_be_written() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    tree.fill("large", 9, 20_000);
    let large = night(&disk, &tree, 4, &mut saved);
    tree.remove("large");
    night(&disk, &tree, 5, &mut saved);
    for (number, id) in [(10, large), (12, first)] {
        forget_one(backend(disk.clone()), id, number).unwrap();
        saved.remove(&id);
        if id == large {
            assert!(prune_now(backend(disk.clone()), 11).unwrap().pending.unwrap().bytes > 20_000);
        }
    }
    fill_up(&disk, 300);
    let report = prune_now(backend(disk.clone()), 12).unwrap();
    assert!(report.disk_was_full && report.emptied.bytes > 20_000, "{report:#?}");
    assert!(report.removed_packs > 0 && report.replaced_segments > 0, "{report:#?}");
    assert_eq!(read_all(&disk, "full"), saved);
    assert_clean(&disk, "full");
    disk.set_limit_bytes(None);
    save(backend(disk.clone()), &tree, 13).unwrap();
    prune_now(backend(disk.clone()), 14).unwrap();
    assert_clean(&disk, "roomy");
}

#[test]
fn every_amount_of_room_is_enough_to_lose_nothing() {
    let tree = Tree::new();
    let (base, mut saved, first) = three_nights(&tree);
    forget_one(backend(base.clone()), first, 10).unwrap();
    saved.remove(&first);
    for free in (0..16_000).step_by(250) {
        let disk = settled(&base);
        fill_up(&disk, free);
        let report =
            prune_now(backend(disk.clone()), 11).unwrap_or_else(|error| panic!("{free}: {error}"));
        assert!(report.removed_packs > 0, "{free}: {report:#?}");
        assert_eq!(read_all(&disk, "full"), saved, "{free}");
        disk.set_limit_bytes(None);
        let mut kept: Saved = saved.clone();
        night(&disk, &tree, 12, &mut kept);
        prune_now(backend(disk.clone()), 13).unwrap();
        assert_eq!(read_all(&disk, "roomy"), kept, "{free}");
        assert_clean(&disk, &format!("{free} bytes were free"));
    }
}

#[test]
fn rewriting_leaves_the_reserve_alone() {
    let tree = Tree::new();
    let (disk, _, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let mut reserve = options();
    reserve.min_free.asked_bytes = Some(u64::MAX);
    let report = prune_with(backend(disk.clone()), &reserve, 11).unwrap();
    assert!(!report.disk_was_full && report.plan.rewritten.is_empty());
    assert!(report.plan.waiting_bytes > 0 && report.written_packs == 0);
    assert_clean(&disk, "pruned");
}
