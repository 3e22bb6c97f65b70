//! What work may cost, as counts of calls: the same on a laptop and over a slow network.

use std::sync::Arc;

use larder::id::BlobType;
use larder::observe::Unobserved;
use larder::ops::backup::{BackupReport, backup};
use larder::ops::cat::cat;
use larder::ops::catalog::Catalog;
use larder::repo::blobs::BlobRead;
use larder::repo::error::Damage;
use larder::repo::repository::Repository;
use larder::repo::snapshots::Snapshot;
use larder::snapshot::reach::{Reach, Reached, Visitor};
use larder_testkit::fault_backend::{FaultBackend, Verb};
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{Meanwhile, backend, fresh, host, open, options, save};
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

/// A source with a database of some 60 kB, saved once.
fn with_database() -> (SimDisk, Tree) {
    let (disk, tree) = (fresh(), tree_of(10));
    let database = rusqlite::Connection::open(tree.path().join("parts.db")).unwrap();
    database.execute_batch("PRAGMA page_size = 512; CREATE TABLE part (id INTEGER, b)").unwrap();
    for row in 0..100_u32 {
        let bytes = Seeded::new(row.into()).bytes(400);
        database.execute("INSERT INTO part VALUES (?1, ?2)", (row, bytes)).unwrap();
    }
    drop(database);
    save(backend(disk.clone()), &tree, 1).unwrap();
    (disk, tree)
}

/// A backup whose calls are counted, and how often the database was read.
fn counted_night(disk: &SimDisk, tree: &Tree) -> (Counted, BackupReport, u64) {
    let counted = Counted::new(disk);
    let capture = Meanwhile::new(|| {});
    let (repository, options, host) = (counted.repository(), options(tree), host(2));
    let report = backup(&repository, &options, &capture, &host, &Unobserved).unwrap();
    (counted, report, capture.times())
}

#[test]
fn an_unchanged_database_costs_a_record() {
    let (disk, tree) = with_database();
    let (counted, report, captures) = counted_night(&disk, &tree);
    assert_eq!((captures, report.record.counts.new_stored_bytes), (0, 0), "it is not read");
    let [puts, barriers, announced] = counted.counts([Verb::Finish, Verb::Barrier, Verb::Announce]);
    assert_eq!((puts, barriers, announced), (1, 1, 0), "the snapshot's record, behind one barrier");
    let [reads, whole] = counted.counts([Verb::GetRange, Verb::Get]);
    assert_eq!(reads, 3, "a node, the version's record and its base's list: nothing of a page");
    assert!(whole <= 3 && counted.calls.calls() <= 40, "{whole} of {}", counted.calls.calls());
    assert!(counted.calls.bytes_read() < 16 * 1024, "{}", counted.calls.bytes_read());
}

#[test]
fn a_changed_database_costs_one_patch() {
    let (disk, tree) = with_database();
    let database = rusqlite::Connection::open(tree.path().join("parts.db")).unwrap();
    let row = Seeded::new(1000).bytes(400);
    database.execute("UPDATE part SET b = ?1 WHERE id = 50", (row,)).unwrap();
    drop(database);
    let (counted, report, captures) = counted_night(&disk, &tree);
    assert_eq!((captures, report.record.counts.changed_files), (1, 1), "it is read once");
    let objects = counted.calls.count(Verb::Finish);
    assert!(objects <= 5, "{objects}: packs of patches and of nodes, a segment, two records");
    let new = report.record.counts.new_stored_bytes;
    assert!((400..3_000).contains(&new), "{new} bytes for a row of 400");
    let size = report.record.databases[0].len;
    let read = counted.calls.bytes_read();
    assert!(read < 3 * size, "{read} of {size}: the version before, and what proves the new one");
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
