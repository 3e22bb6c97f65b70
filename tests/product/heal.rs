//! What a backup meets damaged it says and stores again: no check has to run before.
//!
//! A backup reads the manifests and content lists of its parent, and looks all
//! blobs up. It does not read the chunks of unchanged files: what is rotten
//! there only a check of the data finds, and the next backup then heals it.

use larder::codec::config::ChunkerConfig;
use larder::codec::pack::TrailerEntry;
use larder::codec::snapshot::Outcome;
use larder::id::{BlobType, PackId};
use larder::observe::Unobserved;
use larder::ops::backup::BackupReport;
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, CheckReport, check, remember};
use larder::repo::pack::read::directory;
use larder::repo::repository::{InitOptions, Repository};
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{backend, check_all, host, open, save, settled};
use super::tree::{Tree, read_back};

/// A repository with one snapshot of a tree whose manifest has several nodes and whose largest file has a content list.
struct Shelf {
    disk: SimDisk,
    tree: Tree,
}

impl Shelf {
    fn new() -> Self {
        let (disk, tree) = (SimDisk::new(), Tree::new());
        tree.write("long.bin", &Seeded::new(3).bytes(48 << 10));
        for number in 0..300 {
            let name = format!("{number:03}-{}", "n".repeat(60));
            tree.write(&format!("many/{name}"), format!("file {number}").as_bytes());
        }
        let chunker = ChunkerConfig { average_bytes: 256, whole_file_bytes: 1024 };
        Repository::init(backend(disk.clone()), "here", InitOptions { chunker }, &host(0)).unwrap();
        let report = save(backend(disk.clone()), &tree, 1).unwrap();
        assert_eq!((report.damage, report.record.outcome), (vec![], Outcome::Clean));
        Self { disk: settled(&disk), tree }
    }

    /// Every blob as its pack lists it, with the pack's path.
    fn payloads(&self) -> Vec<(String, TrailerEntry)> {
        let repository = open(backend(self.disk.clone())).unwrap();
        let mut payloads = Vec::new();
        for (path, bytes) in self.disk.files() {
            let Some(id) = path.strip_prefix("packs/") else { continue };
            let id: PackId = id.parse().unwrap();
            let place = (&id, bytes.len() as u64);
            let found = directory(repository.backend(), repository.keys(), repository.id(), place);
            payloads.extend(found.unwrap().entries.into_iter().map(|it| (path.clone(), it)));
        }
        payloads
    }

    /// The same disk with a byte in the middle of a payload inverted.
    fn rotten(&self, (path, entry): &(String, TrailerEntry)) -> SimDisk {
        let disk = settled(&self.disk);
        let mut bytes = disk.files()[path].clone();
        bytes[usize::try_from(entry.offset).unwrap() + entry.stored_len as usize / 2] ^= 0xff;
        assert!(disk.overwrite(path, &bytes));
        disk
    }

    fn save(&self, disk: &SimDisk, night: u64) -> BackupReport {
        let report = save(backend(disk.clone()), &self.tree, night).unwrap();
        let clean = report.damage.is_empty() && report.record.findings_total == 0;
        assert_eq!(report.record.outcome == Outcome::Clean, clean, "{:?}", report.damage);
        report
    }

    /// Every snapshot is as the tree, which never changed.
    fn assert_whole(&self, disk: &SimDisk, what: &str) {
        let repository = open(backend(disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        for snapshot in &catalog.listing().snapshots {
            let content = read_back(&catalog, snapshot)
                .unwrap_or_else(|error| panic!("{what}: {}: {error}", snapshot.record.sequence));
            assert!(content == self.tree.content(), "{what}: {}", snapshot.record.sequence);
        }
    }

    fn assert_newest_whole(&self, disk: &SimDisk, what: &str) {
        let repository = open(backend(disk.clone())).unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let newest = catalog.listing().newest("shelf").unwrap();
        let content = read_back(&catalog, newest).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(content == self.tree.content(), "{what}");
    }

    /// The damage is said once, what is saved then is whole, and nobody hears of it again. An older snapshot whose own nodes were
    /// lost is not made again by that: files that are read again have entries that say so.
    fn assert_said_and_healed(&self, disk: &SimDisk, said: &str, what: &str) {
        let report = self.save(disk, 2);
        let damage: Vec<_> = report.damage.iter().map(ToString::to_string).collect();
        assert!(damage.iter().any(|damage| damage.contains(said)), "{what}: {damage:?}");
        self.assert_newest_whole(disk, what);
        assert_eq!(self.save(disk, 3).damage, [], "{what}: healed, and said again");
    }
}

fn checked(disk: &SimDisk) -> CheckReport {
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    let report = check(&catalog, CheckOptions { read_data: true }, &Unobserved).unwrap();
    remember(&catalog, &report, &host(50)).unwrap();
    report
}

#[test]
fn rotten_nodes_and_lists_are_said_and_heal() {
    let shelf = Shelf::new();
    let mut seen = (0, 0);
    for payload in shelf.payloads() {
        let (path, entry) = &payload;
        match entry.blob_type {
            BlobType::ManifestNode => seen.0 += 1,
            BlobType::ContentList => seen.1 += 1,
            _ => continue,
        }
        let what = format!("{:?} at {} of {path}", entry.blob_type, entry.offset);
        let disk = shelf.rotten(&payload);
        shelf.assert_said_and_healed(&disk, &entry.id.to_string(), &what);
        if entry.blob_type == BlobType::ContentList {
            shelf.assert_whole(&disk, &what);
        }
    }
    assert!(seen.0 >= 3 && seen.1 >= 1, "{seen:?}");
}

#[test]
fn rotten_chunks_heal_once_a_check_has_found_them() {
    let shelf = Shelf::new();
    let mut data = shelf.payloads();
    data.retain(|(_, entry)| entry.blob_type == BlobType::Data);
    assert!(data.len() > 100);
    for payload in data.iter().step_by(41) {
        let disk = shelf.rotten(payload);
        assert!(!checked(&disk).is_clean());
        shelf.save(&disk, 2);
        shelf.assert_whole(&disk, &format!("{payload:?}"));
    }
}

#[test]
fn a_bad_place_hits_no_snapshot_once_its_blob_has_another() {
    let shelf = Shelf::new();
    let mut payloads = shelf.payloads();
    payloads.retain(|(_, entry)| entry.blob_type != BlobType::ManifestNode);
    for payload in payloads.iter().step_by(61) {
        let disk = shelf.rotten(payload);
        let hits = |report: &CheckReport| {
            let of_blob = |text: &String| text.contains(&payload.1.id.to_string());
            let found = report.findings.iter().filter(|it| of_blob(&it.damage.to_string()));
            found.map(|finding| finding.affected.len()).collect::<Vec<_>>()
        };
        let before = checked(&disk);
        assert!(hits(&before).contains(&1), "{payload:?}: {:?}", before.findings);
        assert!(!before.findings.iter().any(|finding| finding.served_elsewhere));
        shelf.save(&disk, 2);
        let after = checked(&disk);
        assert!(!after.is_clean() && hits(&after).iter().all(|hit| *hit == 0), "{payload:?}");
        assert!(after.findings.iter().all(|finding| finding.affected.is_empty()));
        assert!(after.findings.iter().all(|finding| finding.served_elsewhere), "{payload:?}");
    }
}

#[test]
fn lost_and_short_packs_are_said_and_heal() {
    let shelf = Shelf::new();
    let packs: Vec<_> =
        shelf.disk.files().into_iter().filter(|(path, _)| path.starts_with("packs/")).collect();
    assert!(packs.len() >= 2);
    for (path, bytes) in packs {
        let disk = settled(&shelf.disk);
        assert!(disk.lose(&path));
        shelf.assert_said_and_healed(&disk, &path, &format!("{path} is lost"));
        let disk = settled(&shelf.disk);
        assert!(disk.overwrite(&path, &bytes[..bytes.len() - 1]));
        shelf.assert_said_and_healed(&disk, &path, &format!("{path} is short"));
    }
}

#[test]
fn a_bad_page_of_the_index_is_said() {
    let shelf = Shelf::new();
    let (path, bytes) =
        shelf.disk.files().into_iter().find(|(path, _)| path.starts_with("index/")).unwrap();
    for page in 1..4 {
        let disk = settled(&shelf.disk);
        let mut bytes = bytes.clone();
        bytes[page * 4096 + 2048] ^= 0xff;
        assert!(disk.overwrite(&path, &bytes));
        let report = shelf.save(&disk, 2);
        assert!(report.damage.iter().any(|damage| damage.to_string().contains(&path)), "{page}");
        shelf.assert_whole(&disk, &format!("page {page}"));
        assert!(!check_all(&open(backend(disk)).unwrap()).unwrap().is_clean());
    }
}
