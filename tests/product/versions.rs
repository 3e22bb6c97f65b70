//! Databases that change from night to night, over the whole product: what is stored, what damage hits, what a crash leaves.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use larder::codec::Durable;
use larder::codec::index::Place;
use larder::codec::snapshot::DatabaseLabel;
use larder::codec::version::VersionRecord;
use larder::error::Result;
use larder::id::{BlobId, BlobType, SnapshotId};
use larder::observe::Unobserved;
use larder::ops::backup::{BackupReport, backup};
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, check};
use larder::ops::restore::{RestoreRequest, restore};
use larder::repo::backend::Backend;
use larder::repo::blobs::BlobRead;
use larder::snapshot::archive::capture::Capture;
use larder::snapshot::content::read::chunks;
use larder::snapshot::version::load::base_list;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::questions::ReferenceQuery;
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{CopyCapture, backend, check_all, fresh, host, open, options, save, settled};
use super::scenario::{Promises, Scenario, promise};
use super::tree::{Content, Tree, read_back};

/// A database of a hundred rows that do not compress, and a note.
fn tree() -> Tree {
    let tree = Tree::bare();
    tree.write("note.txt", b"shelf 7, box 12");
    let database = rusqlite::Connection::open(tree.path().join("parts.db")).unwrap();
    database
        .execute_batch("PRAGMA page_size = 512; CREATE TABLE part (id INTEGER PRIMARY KEY, b BLOB)")
        .unwrap();
    for row in 0..100_u32 {
        let bytes = Seeded::new(row.into()).bytes(300);
        database.execute("INSERT INTO part VALUES (?1, ?2)", (row, bytes)).unwrap();
    }
    tree
}

/// One row is written anew.
fn change(tree: &Tree, row: u32) {
    let database = rusqlite::Connection::open(tree.path().join("parts.db")).unwrap();
    let bytes = Seeded::new(1000 + u64::from(row)).bytes(300);
    database.execute("UPDATE part SET b = ?2 WHERE id = ?1", (row, bytes)).unwrap();
}

struct Nights {
    disk: SimDisk,
    tree: Tree,
    saved: Vec<(SnapshotId, Content)>,
}

impl Nights {
    /// The first night, and so many more with a changed row.
    fn new(count: u32) -> Self {
        let mut nights = Self { disk: fresh(), tree: tree(), saved: Vec::new() };
        for night in 0..count {
            if night > 0 {
                change(&nights.tree, night);
            }
            let report =
                save(backend(nights.disk.clone()), &nights.tree, u64::from(night) + 1).unwrap();
            assert_eq!(report.damage, []);
            nights.keep(&report);
        }
        nights
    }

    fn keep(&mut self, report: &BackupReport) {
        self.saved.push((report.id.unwrap(), self.tree.content()));
    }

    fn record(&self, night: usize) -> VersionRecord {
        let repository = open(backend(self.disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let (snapshot, _) =
            catalog.snapshots().find(|(it, _)| it.id == self.saved[night].0).unwrap();
        let id = snapshot.record.databases[0].version.expect("a version");
        VersionRecord::decode(&catalog.reader().unwrap().get(BlobType::VersionRecord, &id).unwrap())
            .unwrap()
    }

    fn place(&self, blob_type: BlobType, id: &BlobId) -> Place {
        let repository = open(backend(self.disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        catalog.reader().unwrap().place(blob_type, id).unwrap().unwrap()
    }

    fn chunks_of_base(&self, night: usize) -> Vec<BlobId> {
        let record = self.record(night);
        let repository = open(backend(self.disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let reader = catalog.reader().unwrap();
        let list = base_list(&record);
        let content = larder::codec::content::Content::List { root: list.id, len: list.len };
        chunks(&content, &reader).map(|placed| placed.unwrap().chunk.id).collect()
    }

    /// Inverts one byte of a blob where it is stored.
    fn flip(&self, blob_type: BlobType, id: &BlobId) {
        let place = self.place(blob_type, id);
        let path = format!("packs/{}", place.pack);
        let mut bytes = self.disk.files().remove(&path).unwrap();
        bytes[usize::try_from(place.offset).unwrap() + 5] ^= 0xff;
        assert!(self.disk.overwrite(&path, &bytes));
    }

    /// Which nights come back, byte for byte; none comes back otherwise.
    fn sound(&self) -> Vec<usize> {
        let repository = open(backend(self.disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let comes_back = |night: &usize| {
            let (id, content) = &self.saved[*night];
            let (snapshot, _) = catalog.snapshots().find(|(it, _)| it.id == *id).unwrap();
            match read_back(&catalog, snapshot) {
                Ok(back) => {
                    assert!(back == *content, "night {night} comes back differently");
                    true
                }
                Err(_) => false,
            }
        };
        (0..self.saved.len()).filter(comes_back).collect()
    }

    /// The nights that a full check calls hit, with their paths.
    fn hit(&self) -> Vec<(usize, Vec<String>)> {
        let repository = open(backend(self.disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let report = check(&catalog, CheckOptions { read_data: true }, &Unobserved).unwrap();
        let mut hit = BTreeMap::new();
        for affected in report.findings.iter().flat_map(|finding| &finding.affected) {
            let night = self.saved.iter().position(|(id, _)| *id == affected.snapshot).unwrap();
            let path = |key: &larder::codec::manifest::EntryKey| {
                String::from_utf8_lossy(&key.path).into_owned()
            };
            hit.insert(night, affected.paths.iter().map(path).collect());
        }
        hit.into_iter().collect()
    }

    /// How many paths a full check says that each damage hits, for each snapshot.
    fn totals(&self) -> Vec<u64> {
        let repository = open(backend(self.disk.clone())).unwrap();
        let report = check_all(&repository).unwrap();
        let affected = report.findings.iter().flat_map(|finding| &finding.affected);
        affected.map(|affected| affected.total).collect()
    }
}

#[test]
fn a_changed_row_costs_a_patch_and_every_night_comes_back() {
    let nights = Nights::new(5);
    assert_eq!(nights.sound(), [0, 1, 2, 3, 4]);
    let newest = nights.record(4);
    assert_eq!(nights.record(0).layers, []);
    assert_eq!(nights.record(0).base, newest.base);
    let layers = |night: usize| nights.record(night).layers.len();
    assert!(layers(1) == 1 && layers(4) >= 1);
    for layer in &newest.layers {
        for segment in &layer.segments {
            let bytes = nights.place(BlobType::PagePatch, &segment.id).stored_len;
            assert!(bytes < 1500, "{bytes}");
        }
    }
    let repository = open(backend(nights.disk.clone())).unwrap();
    assert!(check_all(&repository).unwrap().is_clean());
}

#[test]
fn a_rotten_segment_hits_the_nights_that_rest_on_it_and_no_other() {
    let nights = Nights::new(4);
    let layers = nights.record(3).layers;
    let of_second = nights.record(1).layers[0].segments[0].id;
    let rests = |night: &usize| {
        let layers = nights.record(*night).layers;
        layers.iter().flat_map(|layer| &layer.segments).any(|segment| segment.id == of_second)
    };
    let resting: Vec<_> = (0..4).filter(rests).collect();
    assert!(resting.contains(&1) && !resting.contains(&0), "{resting:?} of {layers:?}");
    nights.flip(BlobType::PagePatch, &of_second);
    let hit: Vec<_> = resting.iter().map(|night| (*night, vec!["parts.db".to_owned()])).collect();
    assert_eq!(nights.hit(), hit);
    let sound: Vec<_> = (0..4).filter(|night| !resting.contains(night)).collect();
    assert_eq!(nights.sound(), sound);
}

/// A copy of a database shares its base, and on the first night its record too: damage there hits both, and both are named.
#[test]
fn what_two_databases_share_hits_both() {
    let tree = tree();
    std::fs::copy(tree.path().join("parts.db"), tree.path().join("copy.db")).unwrap();
    let mut nights = Nights { disk: fresh(), tree, saved: Vec::new() };
    nights.keep(&save(backend(nights.disk.clone()), &nights.tree, 1).unwrap());
    change(&nights.tree, 7);
    nights.keep(&save(backend(nights.disk.clone()), &nights.tree, 2).unwrap());
    let both = vec!["copy.db".to_owned(), "parts.db".to_owned()];
    let record = nights.record(0);
    let shared =
        [(BlobType::ContentList, record.base.list), (BlobType::Data, nights.chunks_of_base(0)[0])];
    for (blob_type, id) in shared {
        nights.flip(blob_type, &id);
        assert_eq!(nights.hit(), [(0, both.clone()), (1, both.clone())], "{blob_type:?}");
        assert_eq!(nights.totals(), [2, 2], "{blob_type:?}");
        assert_eq!(nights.sound(), [0; 0]);
        nights.flip(blob_type, &id);
    }
    // Everything of the base at once: each path counts once, however many of its blobs are lost.
    let chunks = nights.chunks_of_base(0);
    for chunk in &chunks {
        nights.flip(BlobType::Data, chunk);
    }
    nights.flip(BlobType::ContentList, &record.base.list);
    assert_eq!(nights.hit(), [(0, both.clone()), (1, both)]);
}

#[test]
fn a_restore_that_meets_damage_leaves_nothing_under_the_name() {
    let nights = Nights::new(2);
    let segment = nights.record(1).layers[0].segments[0].id;
    nights.flip(BlobType::PagePatch, &segment);
    let repository = open(backend(nights.disk.clone())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    let target = tempfile::tempdir().unwrap();
    let request = RestoreRequest {
        paths: Vec::new(),
        target: Some(target.path().join("back")),
        overwrite: false,
        time: "now".into(),
        threads: 2,
    };
    let reader = catalog.reader().unwrap();
    let newest = catalog.listing().newest("shelf").unwrap();
    let restored = restore(&reader, newest, &request, &Unobserved).unwrap();
    assert!(!restored[0].report.is_complete());
    assert!(!target.path().join("back/parts.db").exists());
    assert!(target.path().join("back/note.txt").exists(), "the rest is there");
}

#[test]
fn the_night_after_damage_says_so_and_goes_on_from_what_can_be_read() {
    for lost in [0, 1] {
        let mut nights = Nights::new(3);
        let layers = nights.record(2).layers;
        let before = nights.sound();
        let segment = layers.last().unwrap().segments[0].id;
        if lost == 0 {
            nights.flip(BlobType::PagePatch, &segment);
        } else {
            nights.flip(BlobType::ContentList, &nights.record(2).base.list);
        }
        change(&nights.tree, 50);
        let report = save(backend(nights.disk.clone()), &nights.tree, 9).unwrap();
        assert!(!report.damage.is_empty(), "{lost}");
        nights.keep(&report);
        let sound = nights.sound();
        assert!(sound.contains(&3), "{lost}: {sound:?} of {before:?}");
        let base = nights.record(3).base.page_count;
        assert!(base > 0);
    }
}

/// Only the first chunks of a rotten base are met by reading it; the next base shall rest on none of the others.
#[test]
fn one_night_after_a_base_rotted_everywhere_it_comes_back() {
    let mut nights = Nights { disk: fresh(), tree: tree(), saved: Vec::new() };
    let database = rusqlite::Connection::open(nights.tree.path().join("parts.db")).unwrap();
    for row in 200..220_u32 {
        let bytes = Seeded::new(row.into()).bytes(1 << 20);
        database.execute("INSERT INTO part VALUES (?1, ?2)", (row, bytes)).unwrap();
    }
    drop(database);
    nights.keep(&save(backend(nights.disk.clone()), &nights.tree, 1).unwrap());
    let chunks = nights.chunks_of_base(0);
    assert!(chunks.len() > 16, "more than are read side by side: {}", chunks.len());
    for chunk in &chunks {
        nights.flip(BlobType::Data, chunk);
    }
    change(&nights.tree, 50);
    let report = save(backend(nights.disk.clone()), &nights.tree, 2).unwrap();
    nights.keep(&report);
    assert!(report.damage.len() >= chunks.len() - 1, "each is said: {:?}", report.damage);
    assert_eq!(nights.record(1).layers, []);
    assert_eq!(nights.sound(), [1]);
}

/// Calls the database opaque while it is told to.
struct SometimesOpaque(AtomicBool);

impl Capture for SometimesOpaque {
    fn capture(
        &self,
        path: &Path,
        questions: &[ReferenceQuery],
    ) -> std::result::Result<Captured, CaptureError> {
        let captured = CopyCapture.capture(path, questions)?;
        let opaque = self.0.load(Ordering::Relaxed);
        let label = if opaque { DatabaseLabel::Opaque } else { captured.label };
        Ok(Captured { label, ..captured })
    }
}

#[test]
fn after_an_opaque_night_the_older_stack_goes_on() {
    let mut nights = Nights::new(2);
    let capture = SometimesOpaque(AtomicBool::new(true));
    let mut save = |number: u32, opaque: bool| {
        capture.0.store(opaque, Ordering::Relaxed);
        change(&nights.tree, number);
        let repository = open(backend(nights.disk.clone())).unwrap();
        let options = options(&nights.tree);
        let report =
            backup(&repository, &options, &capture, &host(number.into()), &Unobserved).unwrap();
        nights.saved.push((report.id.unwrap(), nights.tree.content()));
        report.record.databases[0].version
    };
    assert_eq!(save(10, true), None);
    assert!(save(11, false).is_some());
    assert_eq!(nights.sound(), [0, 1, 2, 3]);
    assert_eq!(nights.record(3).base, nights.record(1).base);
    assert!(!nights.record(3).layers.is_empty());
}

#[test]
fn a_night_without_a_change_has_the_version_before() {
    let mut nights = Nights::new(2);
    // Written again with the same bytes: its times say that it changed.
    let bytes = std::fs::read(nights.tree.path().join("parts.db")).unwrap();
    nights.tree.write("parts.db", &bytes);
    let report = save(backend(nights.disk.clone()), &nights.tree, 9).unwrap();
    nights.keep(&report);
    assert_eq!(nights.record(2), nights.record(1));
    assert_eq!(report.record.counts.changed_files, 1, "its times");
    assert_eq!(nights.sound(), [0, 1, 2]);
}

#[test]
fn a_dry_run_says_about_what_a_night_would_cost() {
    let nights = Nights::new(2);
    change(&nights.tree, 70);
    let files = nights.disk.files();
    let repository = open(backend(nights.disk.clone())).unwrap();
    let mut options = options(&nights.tree);
    options.dry_run = true;
    let dry = backup(&repository, &options, &CopyCapture, &host(9), &Unobserved).unwrap();
    assert!(nights.disk.files() == files, "a dry run stores nothing");
    let real = save(backend(nights.disk.clone()), &nights.tree, 9).unwrap();
    let bytes = |report: &BackupReport| report.record.counts.new_stored_bytes;
    assert!(bytes(&dry).abs_diff(bytes(&real)) < 300, "{} and {}", bytes(&dry), bytes(&real));
}

#[test]
fn a_backup_upon_a_version_can_be_cut_off_anywhere() {
    let nights = Nights::new(2);
    let mut states: Vec<_> = nights.saved.iter().map(|(_, content)| content.clone()).collect();
    change(&nights.tree, 80);
    states.push(nights.tree.content());
    let work = |backend: Arc<dyn Backend>, promises: &RefCell<Promises>| -> Result<()> {
        let report = save(backend, &nights.tree, 40)?;
        assert!(report.record.databases[0].version.is_some());
        promise(promises, report.id, &nights.tree);
        Ok(())
    };
    let scenario = Scenario {
        base: settled(&nights.disk),
        before: nights.saved.iter().cloned().collect(),
        tree: &nights.tree,
        states,
        work: &work,
        has_repository: true,
    };
    scenario.crash_everywhere();
}
