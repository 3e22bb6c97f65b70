//! Blobs with several places, and places that are bad.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use larder::error::ErrorKind;
use larder::ops::cat::cat;
use larder::ops::catalog::Catalog;
use larder::repo::facts::Facts;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    Saved, Tree, assert_clean, backend, bytes_in, check_all, forget_one, fresh, host, night, open,
    paths, prune_now, read_all, save, settled, three_nights,
};

/// The same 3,000 bytes in two packs, as after two first backups at once.
fn twice(tree: &Tree) -> (SimDisk, Saved) {
    let (disk, mut saved) = (fresh(), Saved::new());
    tree.fill("file", 1, 3000);
    night(&disk, tree, 1, &mut saved);
    let mut segments = disk.files();
    segments.retain(|path, _| path.starts_with("index/"));
    // The second writer does not see what the first one listed.
    for path in segments.keys() {
        assert!(disk.lose(path));
    }
    night(&disk, tree, 2, &mut saved);
    for (path, bytes) in segments {
        put(&disk, &path, &bytes);
    }
    let files = disk.files();
    assert_eq!(files.values().filter(|bytes| bytes.len() > 3000 && bytes.len() < 4000).count(), 2);
    (settled(&disk), saved)
}

fn put(disk: &SimDisk, path: &str, bytes: &[u8]) {
    let backend = backend(disk.clone());
    let stage = backend.stage("test").unwrap();
    stage.put(&larder::repo::backend::Key::new(path).unwrap(), bytes).unwrap();
    stage.barrier().unwrap();
}

/// Packs that hold the file, by path.
fn copies(disk: &SimDisk) -> Vec<String> {
    let files = disk.files();
    let long =
        files.iter().filter(|(path, bytes)| path.starts_with("packs/") && bytes.len() > 3000);
    long.map(|(path, _)| path.clone()).collect()
}

fn rot(disk: &SimDisk, path: &str) {
    let mut bytes = disk.files()[path].clone();
    bytes[1500] ^= 1;
    assert!(disk.overwrite(path, &bytes));
}

fn call_damaged(disk: &SimDisk, path: &str) {
    let repository = open(backend(disk.clone())).unwrap();
    let pack = path.strip_prefix("packs/").unwrap().parse().unwrap();
    // The file is the first blob of its pack, behind a header of 96 bytes.
    Facts::read(&repository)
        .unwrap()
        .publish_damaged(&repository, &[(pack, 96)], &host(9))
        .unwrap();
}

#[test]
fn of_two_places_one_stays() {
    let tree = Tree::new();
    let (disk, saved) = twice(&tree);
    let before = bytes_in(&disk, "packs/");
    prune_now(backend(disk.clone()), 10).unwrap();
    assert_eq!(copies(&disk).len(), 1);
    assert!(bytes_in(&disk, "packs/") + 3000 < before);
    assert_eq!(read_all(&disk, "pruned"), saved);
    assert_clean(&disk, "pruned");
}

#[test]
fn a_damaged_place_is_the_one_that_goes_whichever_it_is() {
    let tree = Tree::new();
    for bad in 0..2 {
        let (disk, saved) = twice(&tree);
        let bad = copies(&disk)[bad].clone();
        rot(&disk, &bad);
        call_damaged(&disk, &bad);
        prune_now(backend(disk.clone()), 10).unwrap();
        assert!(!copies(&disk).contains(&bad), "{bad} stayed");
        assert_eq!(copies(&disk).len(), 1);
        assert_eq!(read_all(&disk, "pruned"), saved);
        assert_clean(&disk, "pruned");
    }
}

#[test]
fn while_every_place_is_damaged_none_goes() {
    let tree = Tree::new();
    let (disk, _) = twice(&tree);
    let both = copies(&disk);
    for path in &both {
        call_damaged(&disk, path);
    }
    let report = prune_now(backend(disk.clone()), 10).unwrap();
    assert_eq!(report.hopeless_blobs, 1);
    assert_eq!(copies(&disk), both);
}

#[test]
fn a_live_blob_that_no_segment_lists_stops_everything() {
    let tree = Tree::new();
    let (disk, _, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    for path in paths(&disk, "index/") {
        let disk = settled(&disk);
        assert!(disk.lose(&path));
        let before = (paths(&disk, "packs/"), paths(&disk, "index/"));
        let error = prune_now(backend(disk.clone()), 11).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damage, "{error}");
        assert_eq!((paths(&disk, "packs/"), paths(&disk, "index/")), before);
    }
}

#[test]
fn damage_anywhere_in_what_says_what_is_alive_stops_everything() {
    let tree = Tree::new();
    let (disk, _, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let all = ["index/", "snapshots/", "facts/"].map(|directory| paths(&disk, directory)).concat();
    assert!(all.len() >= 6);
    for path in all {
        let disk = settled(&disk);
        let middle = disk.files()[&path].len() / 2;
        let mut bytes = disk.files()[&path].clone();
        bytes[middle] ^= 1;
        assert!(disk.overwrite(&path, &bytes));
        let before = paths(&disk, "packs/");
        let error = prune_now(backend(disk.clone()), 11).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Damage, "{path}: {error}");
        assert_eq!(paths(&disk, "packs/"), before, "{path}");
        assert_eq!(paths(&disk, "trash/").len(), 1, "{path}");
    }
}

#[test]
fn a_pack_with_a_rotten_blob_waits_and_the_others_go() {
    let tree = Tree::new();
    let (disk, mut saved, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    saved.remove(&first);
    let rewritten = {
        let disk = settled(&disk);
        let report = prune_now(backend(disk), 11).unwrap();
        format!("packs/{}", report.plan.rewritten.first().unwrap())
    };
    let whole = disk.files()[&rewritten].clone();
    let mut bytes = whole.clone();
    // A byte of the blob that stays: the larger of the two, in the pack's second half.
    let at = bytes.len() * 2 / 3;
    bytes[at] ^= 1;
    assert!(disk.overwrite(&rewritten, &bytes));
    let report = prune_now(backend(disk.clone()), 11).unwrap();
    assert_eq!(report.damage.len(), 1, "{report:#?}");
    assert!(report.removed_packs > 0 && report.plan.rewritten.is_empty());
    assert!(disk.files().contains_key(&rewritten), "the pack is gone");
    let repository = open(backend(disk.clone())).unwrap();
    assert_eq!(Facts::read(&repository).unwrap().damaged_places().len(), 1);
    // The source still has the file: the next backup heals it, and then the pack may go.
    let unchanged_since = tree.content();
    tree.write("touch", b"a night later");
    tree.fill("stays", 1, 2500);
    let healed = save(backend(disk.clone()), &tree, 12).unwrap();
    assert_ne!(unchanged_since, tree.content());
    saved.insert(healed.id.unwrap(), tree.content());
    prune_now(backend(disk.clone()), 13).unwrap();
    assert_eq!(read_all(&disk, "healed"), saved);
}

#[test]
fn a_feature_may_forbid_pruning() {
    use larder::codec::fact::{Statement, Subject};
    let tree = Tree::new();
    let (disk, _, first) = three_nights(&tree);
    forget_one(backend(disk.clone()), first, 10).unwrap();
    let repository = open(backend(disk.clone())).unwrap();
    let subject = Subject::Feature { name: "tomorrow".into() };
    let needed = Statement::Needed { to_read: false, to_write: false, to_prune: true };
    let facts = Facts::read(&repository).unwrap();
    facts.publish(&repository, vec![(subject, needed)], &host(11)).unwrap();
    let error = prune_now(backend(disk.clone()), 12).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!(paths(&disk, "trash/").len(), 1);
}

/// A pack with a copy that looks dead, and one with a copy that is to be written again.
fn copies_beside_dead_bytes(tree: &Tree) -> (SimDisk, Saved) {
    let (disk, mut saved) = (fresh(), Saved::new());
    tree.fill("file", 1, 3000);
    tree.fill("first", 2, 1800);
    let first = night(&disk, tree, 1, &mut saved);
    let mut segments = disk.files();
    segments.retain(|path, _| path.starts_with("index/"));
    for path in segments.keys() {
        assert!(disk.lose(path));
    }
    tree.remove("first");
    tree.fill("second", 3, 9000);
    let second = night(&disk, tree, 2, &mut saved);
    for (path, bytes) in segments {
        put(&disk, &path, &bytes);
    }
    tree.remove("second");
    night(&disk, tree, 3, &mut saved);
    for id in [first, second] {
        forget_one(backend(disk.clone()), id, 10).unwrap();
        saved.remove(&id);
    }
    (settled(&disk), saved)
}

#[test]
fn rot_that_rewriting_meets_keeps_every_other_copy() {
    let tree = Tree::new();
    let (disk, saved) = copies_beside_dead_bytes(&tree);
    let control = prune_now(backend(settled(&disk)), 11).unwrap();
    let mut met = 0;
    for pack in &control.plan.rewritten {
        let path = format!("packs/{pack}");
        for at in (0..disk.files()[&path].len()).step_by(97) {
            let disk = settled(&disk);
            let mut bytes = disk.files()[&path].clone();
            bytes[at] ^= 1;
            assert!(disk.overwrite(&path, &bytes));
            let Ok(report) = prune_now(backend(disk.clone()), 11) else { continue };
            met += usize::from(!report.damage.is_empty());
            assert_eq!(read_all(&disk, &format!("byte {at} of {path}")), saved);
        }
    }
    assert!(met > 3, "{met}: no rot was met while a pack was rewritten");
}

/// As a prune leaves it that was cut off between its packs and its segments.
#[test]
fn a_copy_that_a_prune_has_moved_away_is_no_damage() {
    let tree = Tree::new();
    let (disk, saved) = twice(&tree);
    forget_one(backend(disk.clone()), *saved.keys().next().unwrap(), 10).unwrap();
    let trash = paths(&disk, "trash/").remove(0);
    let (trash, _) = trash.rsplit_once('/').unwrap();
    for path in copies(&disk) {
        let disk = settled(&disk);
        let bytes = disk.files()[&path].clone();
        put(&disk, &path.replace("packs/", &format!("{trash}/pack-")), &bytes);
        assert!(disk.lose(&path));
        assert_eq!(check_all(&disk).findings, [], "{path}");
        let repository = open(backend(disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        for (snapshot, _) in catalog.snapshots() {
            let (reader, mut plain) = (catalog.reader().unwrap(), Vec::new());
            let root = OsStr::from_bytes(&snapshot.record.roots[0].path);
            let file = Path::new(root).join("file");
            cat(&reader, snapshot, &file, &std::env::temp_dir(), &mut plain).unwrap();
            assert_eq!((plain.len(), reader.take_damage()), (3000, Vec::new()), "{path}");
        }
    }
}
