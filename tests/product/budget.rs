//! What work may cost, as counts of calls: the same on a laptop and over a slow network.

use std::sync::Arc;

use larder::id::BlobType;
use larder::ops::cat::cat;
use larder::ops::catalog::Catalog;
use larder::repo::blobs::BlobRead;
use larder::repo::error::Damage;
use larder::repo::repository::Repository;
use larder::repo::snapshots::Snapshot;
use larder::snapshot::reach::{Reach, Reached, Visitor};
use larder_testkit::fault_backend::{FaultBackend, Verb};
use larder_testkit::sim_disk::SimDisk;

use super::rig::{backend, fresh, open, save};
use super::tree::{Tree, path_on_source};

/// A repository whose calls are counted.
struct Counted {
    calls: FaultBackend,
}

impl Counted {
    fn new(disk: &SimDisk) -> Self {
        Self { calls: FaultBackend::new(backend(disk.clone())) }
    }

    fn repository(&self) -> Repository {
        open(Arc::new(self.calls.clone())).unwrap()
    }

    fn counts<const N: usize>(&self, verbs: [Verb; N]) -> [u64; N] {
        verbs.map(|verb| self.calls.count(verb))
    }
}

/// A source of so many small files in directories of a hundred.
fn tree_of(files: usize) -> Tree {
    let tree = Tree::bare();
    for number in 0..files {
        let path = format!("{:03}/{number:06}.txt", number / 100);
        tree.write(&path, format!("file {number}").as_bytes());
    }
    tree
}

#[derive(Default)]
struct Nodes(u64);

impl Visitor for Nodes {
    fn reached(&mut self, blob: Reached<'_>) {
        self.0 += u64::from(blob.blob_type == BlobType::ManifestNode);
    }

    fn unreadable(&mut self, _: Reached<'_>, damage: &Damage) {
        panic!("{damage}");
    }
}

fn newest<'a>(catalog: &'a Catalog<'_>) -> &'a Snapshot {
    catalog.listing().newest("shelf").unwrap()
}

fn nodes_of(catalog: &Catalog<'_>) -> u64 {
    let mut nodes = Nodes::default();
    let reader = catalog.reader().unwrap();
    Reach::new().walk(&reader, &newest(catalog).record.manifest, &mut nodes).unwrap();
    nodes.0
}

/// What an unchanged backup of so many files asks of the storage: every call that is not a read of a node.
fn unchanged_backup(files: usize) -> Vec<u64> {
    let (disk, tree) = (fresh(), tree_of(files));
    save(backend(disk.clone()), &tree, 1).unwrap();
    let counted = Counted::new(&disk);
    let report = save(Arc::new(counted.calls.clone()), &tree, 2).unwrap();
    assert_eq!((report.record.counts.new_files, report.record.counts.changed_files), (0, 0));
    assert_eq!(report.record.counts.files, files as u64);
    let [puts, barriers, announced] = counted.counts([Verb::Finish, Verb::Barrier, Verb::Announce]);
    assert_eq!((puts, barriers, announced), (1, 1, 0), "its record, behind one barrier");
    let reads = counted.calls.count(Verb::GetRange);
    let repository = open(backend(disk)).unwrap();
    let nodes = nodes_of(&Catalog::open(&repository).unwrap());
    assert_eq!(reads, nodes, "each node of the parent's manifest once, and nothing else");
    let verbs = [Verb::Get, Verb::Map, Verb::Stat, Verb::List, Verb::Sync, Verb::Create];
    let mut others = counted.counts(verbs).to_vec();
    others.push(counted.calls.calls() - reads);
    others
}

#[test]
fn an_unchanged_backup_costs_the_same_however_many_files_there_are() {
    let few = unchanged_backup(10);
    assert_eq!(unchanged_backup(10_000), few, "get, map, stat, list, sync, create, all");
    assert!(few[0] <= 3, "the configs and the parent's record, each once: {few:?}");
    assert!(few.last().unwrap() <= &30, "{few:?}");
}

#[test]
fn one_file_is_found_in_a_few_reads() {
    let (disk, tree) = (fresh(), tree_of(10_000));
    save(backend(disk.clone()), &tree, 1).unwrap();
    let counted = Counted::new(&disk);
    let repository = counted.repository();
    let catalog = Catalog::open(&repository).unwrap();
    counted.calls.reset();
    let snapshot = newest(&catalog);
    let mut bytes = Vec::new();
    let path = path_on_source(snapshot, b"073/007345.txt");
    cat(&catalog.reader().unwrap(), snapshot, &path, &std::env::temp_dir(), &mut bytes).unwrap();
    assert_eq!(bytes, b"file 7345");
    let [ranges, whole] = counted.counts([Verb::GetRange, Verb::Get]);
    assert!(ranges <= 12 && whole == 0, "{ranges} ranged reads, {whole} whole ones");
}

#[test]
fn opening_reads_records_and_no_pack() {
    let (disk, tree) = (fresh(), Tree::bare());
    for night in 1..=6 {
        tree.write("night", format!("{night}").as_bytes());
        save(backend(disk.clone()), &tree, night).unwrap();
    }
    let counted = Counted::new(&disk);
    let repository = counted.repository();
    let catalog = Catalog::open(&repository).unwrap();
    assert_eq!(newest(&catalog).record.sequence, 6);
    let [whole, ranges, mapped, lists] =
        counted.counts([Verb::Get, Verb::GetRange, Verb::Map, Verb::List]);
    assert_eq!((whole, ranges, mapped), (2 + 6, 0, 0), "configs and records");
    assert_eq!(lists, 3, "snapshots, facts, and a trash without anything in it");
    assert!(counted.calls.bytes_read() < 8 * 1024, "{}", counted.calls.bytes_read());
}

#[test]
fn looking_a_blob_up_touches_no_pack() {
    let (disk, tree) = (fresh(), tree_of(300));
    save(backend(disk.clone()), &tree, 1).unwrap();
    let counted = Counted::new(&disk);
    let repository = counted.repository();
    let catalog = Catalog::open(&repository).unwrap();
    let reader = catalog.reader().unwrap();
    counted.calls.reset();
    let keys = repository.keys();
    for number in 0..300 {
        let id = keys.blob_id(BlobType::Data, format!("file {number}").as_bytes());
        assert!(reader.place(BlobType::Data, &id).unwrap().is_some());
        let absent = keys.blob_id(BlobType::Data, format!("no file {number}").as_bytes());
        assert!(reader.place(BlobType::Data, &absent).unwrap().is_none());
    }
    assert_eq!(counted.calls.calls(), 0, "the index is mapped");
}
