//! A repository that was copied by hand, with no more than the objects in it.

use std::fs;
use std::path::Path;

use larder::ops::catalog::Catalog;
use larder::ops::tag::{TagChange, tag};
use larder::repo::disk::real::RealDisk;
use larder::repo::layout::DIRECTORIES;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{backend, check_all, fresh, host, open, save};
use super::tree::{Tree, read_back};

/// Copies the objects and none of the directories that are empty.
fn copy(disk: &SimDisk, to: &Path) {
    for (path, bytes) in disk.files() {
        if path.starts_with("locks/") {
            continue;
        }
        let path = to.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

fn copied(disk: &SimDisk) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    copy(disk, directory.path());
    for name in ["facts", "locks", "sessions", "tmp", "trash"] {
        assert!(!directory.path().join(name).exists(), "{name}");
    }
    directory
}

#[test]
fn a_copy_without_its_empty_directories_is_saved_into() {
    let (disk, tree) = (fresh(), Tree::new());
    save(backend(disk.clone()), &tree, 1).unwrap();
    let directory = copied(&disk);
    tree.change();
    let real = || backend(RealDisk::open(directory.path()).unwrap());
    let report = save(real(), &tree, 2).unwrap();
    assert_eq!(report.damage, []);
    for name in DIRECTORIES {
        assert!(directory.path().join(name).is_dir(), "{name}");
    }
    let repository = open(real()).unwrap();
    assert!(check_all(&repository).unwrap().is_clean());
    let catalog = Catalog::open(&repository).unwrap();
    let newest = catalog.listing().newest("shelf").unwrap();
    assert!(newest.record.sequence == 2 && read_back(&catalog, newest).unwrap() == tree.content());
}

#[test]
fn a_new_repository_without_its_directories_is_saved_into() {
    let (disk, tree) = (fresh(), Tree::new());
    let directory = copied(&disk);
    assert!(!directory.path().join("packs").exists());
    let real = || backend(RealDisk::open(directory.path()).unwrap());
    save(real(), &tree, 1).unwrap();
    assert!(check_all(&open(real()).unwrap()).unwrap().is_clean());
}

#[test]
fn a_copy_without_its_empty_directories_is_tagged() {
    let (disk, tree) = (fresh(), Tree::new());
    save(backend(disk.clone()), &tree, 1).unwrap();
    let directory = copied(&disk);
    let repository = open(backend(RealDisk::open(directory.path()).unwrap())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    let snapshot = catalog.listing().newest("shelf").unwrap();
    tag(&catalog, snapshot, &[TagChange::Add("keep".into())], &host(3)).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    assert_eq!(catalog.snapshots().next().unwrap().1, ["keep"]);
}
