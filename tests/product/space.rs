//! A disk that fills up, and the reserve that stays free.

use std::sync::Arc;

use larder::error::{ErrorKind, Result};
use larder::observe::Unobserved;
use larder::ops::backup::{BackupReport, backup};
use larder::ops::catalog::Catalog;
use larder::repo::disk::{Disk, Result as DiskResult, Space};
use larder::repo::space::MinFree;
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{CopyCapture, backend, check_all, fresh, host, open, options, save};
use super::ruled_disk::{Intent, Rule, RuledDisk};
use super::tree::{Tree, read_back};

const MEGABYTE: u64 = 1 << 20;

/// A disk that says it has room: quotas and network file systems do.
#[derive(Debug)]
struct Boasting;

impl Rule for Boasting {
    fn admit(&self, _: Intent, _: &str) -> DiskResult<()> {
        Ok(())
    }

    fn space(&self, _: Space) -> Space {
        Space { available_bytes: 1 << 50, total_bytes: 1 << 50 }
    }
}

fn used_bytes(disk: &SimDisk) -> u64 {
    disk.files().values().map(|bytes| bytes.len() as u64).sum()
}

/// A backup with this reserve, on two threads.
fn save_with(
    disk: impl Disk + 'static,
    tree: &Tree,
    reserve: u64,
    process: u64,
) -> Result<BackupReport> {
    let mut options = options(tree);
    options.min_free = MinFree { asked_bytes: Some(reserve) };
    options.workers = 2;
    let repository = open(backend(disk))?;
    backup(&repository, &options, &CopyCapture, &host(process), &Unobserved)
}

fn media(files: u64, len: usize) -> Tree {
    let tree = Tree::bare();
    for number in 0..files {
        tree.write(&format!("{number}.bin"), &Seeded::new(number).bytes(len));
    }
    tree
}

fn assert_reads_back(disk: &SimDisk, tree: &Tree, snapshots: usize, when: &str) {
    let repository = open(backend(disk.clone())).unwrap();
    assert!(check_all(&repository).unwrap().is_clean(), "{when}");
    let catalog = Catalog::open(&repository).unwrap();
    assert_eq!(catalog.snapshots().count(), snapshots, "{when}");
    let newest = catalog.listing().newest("shelf").unwrap();
    assert!(read_back(&catalog, newest).unwrap() == tree.content(), "{when}");
}

#[test]
fn a_disk_that_fills_up_at_any_byte_is_said_to_be_full() {
    let tree = media(6, 20_000);
    let whole = fresh();
    save_with(whole.clone(), &tree, 0, 40).unwrap();
    let empty = used_bytes(&fresh());
    let mut full = 0;
    for limit in (empty..used_bytes(&whole) + 4000).step_by(3001) {
        let disk = fresh();
        disk.set_limit_bytes(Some(limit));
        let boasting = RuledDisk { disk: disk.clone(), rule: Arc::new(Boasting) };
        let outcome = save_with(boasting, &tree, 0, 40);
        disk.set_limit_bytes(None);
        let snapshots = match outcome {
            Ok(_) => 2,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NoSpace, "{limit}: {error}");
                full += 1;
                1
            }
        };
        save(backend(disk.clone()), &tree, 41).unwrap();
        assert_reads_back(&disk, &tree, snapshots, &format!("limit {limit}"));
    }
    assert!(full > 20, "{full}");
}

#[test]
fn a_backup_stops_before_the_reserve_and_what_is_finished_is_used_again() {
    let tree = media(12, 2 << 20);
    let disk = fresh();
    let (reserve, room) = (500 * MEGABYTE, 15 * MEGABYTE);
    disk.set_limit_bytes(Some(used_bytes(&disk) + reserve + room));
    let error = save_with(disk.clone(), &tree, reserve, 40).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
    let free = disk.free_space().unwrap().available_bytes;
    assert!((reserve..reserve + 8 * MEGABYTE).contains(&free), "{free}");
    assert!(!disk.list("packs").unwrap().is_empty(), "nothing was kept");
    assert_eq!(disk.list("sessions").unwrap().len(), 1, "whose packs are these?");
    disk.set_limit_bytes(None);
    let report = save_with(disk.clone(), &tree, reserve, 41).unwrap();
    let new = report.record.counts.new_stored_bytes;
    assert!(new < 18 * MEGABYTE, "{new} of 24 MB were stored again");
    assert_reads_back(&disk, &tree, 1, "after the refusal");
}
