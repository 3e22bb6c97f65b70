//! Damage of every kind to every kind of object: check reports it, no wrong byte comes back, the next backup heals.
//!
//! What no check can report, because nothing says that it should be otherwise:
//! the bytes and the absence of an unfinished session's marker (a crash may
//! leave it torn or absent), the absence of a fact, and the absence of the
//! newest record of a source, which no other record names.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use larder::error::{Error, ErrorKind};
use larder::id::{BlobType, SnapshotId};
use larder::observe::Unobserved;
use larder::ops::backup::backup;
use larder::ops::cat::cat;
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, check, remember};
use larder::ops::ls::{Depth, ls};
use larder::ops::tag::{TagChange, tag};
use larder::repo::blobs::BlobRead;
use larder::repo::disk::{Disk, DiskError, Result as DiskResult};
use larder::repo::snapshots::Snapshot;
use larder_testkit::campaign;
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    CopyCapture, StopsAtDatabases, backend, fresh, host, open, options, save, settled,
};
use super::ruled_disk::{Intent, Rule, RuledDisk, failure};
use super::tree::{Content, Held, Tree, path_on_source, read_back};

/// A repository with every kind of object, and what its snapshots hold.
struct Sample {
    disk: SimDisk,
    tree: Tree,
    /// Every object with its bytes; lock targets have none.
    objects: BTreeMap<String, Vec<u8>>,
    snapshots: BTreeMap<SnapshotId, Content>,
    newest: SnapshotId,
}

impl Sample {
    /// Two snapshots, a tag, and what an interrupted backup has left.
    fn new() -> Self {
        let (disk, tree) = (fresh(), Tree::new());
        let first = save(backend(disk.clone()), &tree, 1).unwrap().id.unwrap();
        let mut snapshots = BTreeMap::from([(first, tree.content())]);
        tree.change();
        let repository = open(backend(disk.clone())).unwrap();
        let stopped = backup(
            &repository,
            &options(&tree),
            &CopyCapture,
            &host(2),
            &StopsAtDatabases::default(),
        );
        assert!(matches!(stopped, Err(Error::Interrupted)), "{stopped:?}");
        let newest = save(backend(disk.clone()), &tree, 3).unwrap().id.unwrap();
        snapshots.insert(newest, tree.content());
        let catalog = Catalog::open(&repository).unwrap();
        let oldest = &catalog.listing().snapshots[0];
        tag(&catalog, oldest, &[TagChange::Add("keep".into())], &host(4)).unwrap();
        drop(catalog);
        let (disk, mut objects) = (settled(&disk), disk.files());
        objects.retain(|path, _| !path.starts_with("locks/"));
        Self { disk, tree, objects, snapshots, newest }
    }

    /// Gives an object other bytes, looks at what follows, and puts it right.
    fn with<T>(&self, path: &str, bytes: &[u8], look: impl FnOnce(&SimDisk) -> T) -> T {
        assert!(self.disk.overwrite(path, bytes));
        let seen = look(&self.disk);
        assert!(self.disk.overwrite(path, &self.objects[path]));
        seen
    }

    /// Whether check reports anything; panics where a wrong byte comes back.
    fn is_reported(&self, disk: impl Disk + 'static, what: &str) -> bool {
        let repository = open(backend(disk)).unwrap_or_else(|error| panic!("{what}: {error}"));
        let catalog = Catalog::open(&repository).unwrap_or_else(|error| panic!("{what}: {error}"));
        let report = check(&catalog, CheckOptions { read_data: true }, &Unobserved)
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        for snapshot in &catalog.listing().snapshots {
            let damaged = self.read_each(&catalog, snapshot, what);
            assert!(damaged == 0 || !report.is_clean(), "{what}: {damaged} files, not reported");
        }
        !report.is_clean()
    }

    /// Reads a snapshot path by path; each is right or an error. Returns how many are errors.
    fn read_each(&self, catalog: &Catalog<'_>, snapshot: &Snapshot, what: &str) -> usize {
        let expected = self.snapshots.get(&snapshot.id);
        let expected = expected.unwrap_or_else(|| panic!("{what}: a snapshot from nowhere"));
        let reader = catalog.reader().unwrap();
        let in_root = |path: &&Vec<u8>| !path.is_empty() && !path.contains(&b'/');
        let (mut names, right) = (0, expected.keys().filter(in_root).count());
        let listed = ls(&reader, snapshot, None, Depth::Children, |entry| {
            names += usize::from(expected.contains_key(&*entry.key.path));
            Ok(())
        });
        assert!(listed.is_err() || names == right, "{what}: {names} names");
        let files = expected.iter().filter_map(|(path, (.., held))| match held {
            Held::File(bytes) => Some((path, bytes)),
            _ => None,
        });
        let wrong = files.filter(|(path, right)| {
            let mut bytes = Vec::new();
            let (path, spool) = (path_on_source(snapshot, path), std::env::temp_dir());
            match cat(&reader, snapshot, &path, &spool, &mut bytes) {
                Ok(_) => assert!(bytes == **right, "{what}: wrong bytes of {}", path.display()),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Damage, "{what}: {error}"),
            }
            bytes != **right
        });
        wrong.count()
    }

    /// Check says what it found, the next backup stores again what it can, and then is whole.
    fn assert_heals(&self, disk: &(impl Disk + Clone + 'static), what: &str) {
        let repository =
            open(backend(disk.clone())).unwrap_or_else(|error| panic!("{what}: {error}"));
        let catalog = Catalog::open(&repository).unwrap();
        let report = check(&catalog, CheckOptions { read_data: true }, &Unobserved).unwrap();
        remember(&catalog, &report, &host(50)).unwrap_or_else(|error| panic!("{what}: {error}"));
        drop(catalog);
        let saved = save(backend(disk.clone()), &self.tree, 51);
        let id =
            saved.unwrap_or_else(|error| panic!("{what}: the next backup: {error}")).id.unwrap();
        let catalog = Catalog::open(&repository).unwrap();
        let snapshot = catalog.listing().snapshots.iter().find(|snapshot| snapshot.id == id);
        let content = read_back(&catalog, snapshot.unwrap())
            .unwrap_or_else(|error| panic!("{what}: the next snapshot: {error}"));
        assert!(content == self.tree.content(), "{what}: the next snapshot differs");
        let report = check(&catalog, CheckOptions { read_data: true }, &Unobserved).unwrap();
        let hit = report.findings.iter().flat_map(|finding| &finding.affected);
        assert!(hit.into_iter().all(|affected| affected.snapshot != id), "{what}: {report:#?}");
    }
}

/// True where nothing in the repository says what the bytes should be.
fn is_unprovable(path: &str) -> bool {
    path.starts_with("sessions/")
}

#[test]
fn the_sample_holds_every_kind_of_object_and_is_clean() {
    let sample = Sample::new();
    let objects = &sample.objects;
    let total: usize = objects.values().map(Vec::len).sum();
    assert!(total <= 64 << 10, "{total} bytes");
    let count = |directory: &str| objects.keys().filter(|path| path.starts_with(directory)).count();
    assert_eq!(count("config"), 2);
    assert!(count("packs/") >= 5, "packs of three classes, and an interrupted backup's");
    assert!(count("index/") >= 2);
    assert_eq!((count("snapshots/"), count("facts/"), count("sessions/")), (2, 1, 1));
    assert!(!sample.is_reported(sample.disk.clone(), "the sample"));
    sample.assert_heals(&settled(&sample.disk), "the sample");
}

#[test]
fn every_inverted_byte_is_reported_and_none_comes_back() {
    let sample = Sample::new();
    for (path, sound) in &sample.objects {
        for at in 0..sound.len() {
            let masks: Vec<u8> = match at % 16 {
                0 => (0..8).map(|bit| 1 << bit).chain([0xff]).collect(),
                _ => vec![0xff],
            };
            for mask in masks {
                let mut bytes = sound.clone();
                bytes[at] ^= mask;
                let what = format!("{path}, byte {at} ^ {mask:#x}");
                let reported =
                    sample.with(path, &bytes, |disk| sample.is_reported(disk.clone(), &what));
                assert!(reported || is_unprovable(path), "{what}: not reported");
            }
        }
    }
}

#[test]
fn inverted_bytes_heal() {
    let sample = Sample::new();
    for slice in campaign::seeds("damage", 4) {
        for (path, sound) in &sample.objects {
            for at in (0..sound.len()).skip(usize::try_from(slice).unwrap()).step_by(256) {
                let mut bytes = sound.clone();
                bytes[at] ^= 0xff;
                let what = format!("{path}, byte {at}");
                sample.with(path, &bytes, |disk| sample.assert_heals(&settled(disk), &what));
            }
        }
    }
}

#[test]
fn every_truncation_is_reported_and_heals() {
    let sample = Sample::new();
    for slice in campaign::seeds("damage", 4) {
        for (path, sound) in &sample.objects {
            let lengths = (0..sound.len()).skip(usize::try_from(slice).unwrap()).step_by(256);
            for len in lengths.chain([sound.len() - 1]) {
                let what = format!("{path}, cut at {len}");
                sample.with(path, &sound[..len], |disk| {
                    assert!(
                        sample.is_reported(disk.clone(), &what) || is_unprovable(path),
                        "{what}"
                    );
                    sample.assert_heals(&settled(disk), &what);
                });
            }
        }
    }
}

#[test]
fn a_byte_more_is_reported_and_heals() {
    let sample = Sample::new();
    for (path, sound) in &sample.objects {
        let bytes = [sound.as_slice(), &[0]].concat();
        sample.with(path, &bytes, |disk| {
            assert!(sample.is_reported(disk.clone(), path) || is_unprovable(path), "{path}");
            sample.assert_heals(&settled(disk), path);
        });
    }
}

#[test]
fn swapped_objects_are_reported_and_heal() {
    let sample = Sample::new();
    let objects = &sample.objects;
    for (one, its) in objects {
        for (other, theirs) in objects.range(one.clone()..).skip(1) {
            if its == theirs {
                continue;
            }
            let what = format!("{one} and {other}");
            sample.with(one, theirs, |_| {
                sample.with(other, its, |disk| {
                    assert!(sample.is_reported(disk.clone(), &what), "{what}");
                    sample.assert_heals(&settled(disk), &what);
                });
            });
        }
    }
}

#[test]
fn a_lost_object_is_reported_and_heals() {
    let sample = Sample::new();
    for path in sample.objects.keys() {
        let disk = settled(&sample.disk);
        assert!(disk.lose(path));
        let nobody_names_it = is_unprovable(path)
            || path.starts_with("facts/")
            || *path == format!("snapshots/{}", sample.newest);
        assert_eq!(sample.is_reported(disk.clone(), path), !nobody_names_it, "{path}");
        sample.assert_heals(&disk, path);
    }
}

/// Without files nothing in a manifest says when it was read: the night after makes the very same node.
#[test]
fn a_node_that_rots_is_met_by_the_next_backup_and_stored_again() {
    let (disk, tree) = (fresh(), Tree::bare());
    fs::create_dir(tree.path().join("shelf")).unwrap();
    let night = |number| save(backend(disk.clone()), &tree, number).unwrap();
    let root = night(1).record.manifest;
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    let place = catalog.reader().unwrap().place(BlobType::ManifestNode, &root).unwrap().unwrap();
    drop(catalog);
    let path = format!("packs/{}", place.pack);
    let mut bytes = disk.files()[&path].clone();
    bytes[usize::try_from(place.offset).unwrap() + 20] ^= 0x10;
    assert!(disk.overwrite(&path, &bytes));
    let report = night(2);
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    assert_eq!(report.record.manifest, root);
    let catalog = Catalog::open(&repository).unwrap();
    assert!(catalog.facts().damaged_places().contains(&(place.pack, place.offset)));
    for (snapshot, _) in catalog.snapshots() {
        assert!(read_back(&catalog, snapshot).unwrap() == tree.content(), "not healed");
    }
    drop(catalog);
    let packs = disk.list("packs").unwrap().len();
    assert_eq!(
        (night(3).damage, disk.list("packs").unwrap().len()),
        (vec![], packs),
        "stored thrice"
    );
}

/// A file whose bytes the disk cannot give.
#[derive(Debug)]
struct BadSector(String);

impl Rule for BadSector {
    fn admit(&self, intent: Intent, path: &str) -> DiskResult<()> {
        if intent == Intent::Read && path == self.0 {
            return Err(failure(path, "a bad sector"));
        }
        Ok(())
    }
}

#[test]
fn an_object_that_cannot_be_read_is_reported_and_stops_nothing_else() {
    let sample = Sample::new();
    for path in sample.objects.keys() {
        let rule = Arc::new(BadSector(path.clone()));
        let disk = RuledDisk { disk: settled(&sample.disk), rule };
        assert!(sample.is_reported(disk.clone(), path) || is_unprovable(path), "{path}");
        sample.assert_heals(&disk, path);
    }
}

/// A name that a listing shows and that leads nowhere.
#[derive(Debug)]
struct LeadsNowhere(String);

impl Rule for LeadsNowhere {
    fn admit(&self, intent: Intent, path: &str) -> DiskResult<()> {
        if intent == Intent::Read && path == self.0 {
            return Err(DiskError::new("read", path, std::io::ErrorKind::NotFound.into()));
        }
        Ok(())
    }
}

#[test]
fn a_name_that_leads_nowhere_is_not_looked_for_without_end() {
    let sample = Sample::new();
    for path in sample.objects.keys() {
        if path.starts_with("index/") || path.starts_with("snapshots/") {
            let rule = Arc::new(LeadsNowhere(path.clone()));
            let disk = RuledDisk { disk: settled(&sample.disk), rule };
            assert!(sample.is_reported(disk.clone(), path), "{path}");
            let report = save(backend(disk), &sample.tree, 51).unwrap();
            let said = report.damage.iter().any(|damage| damage.to_string().contains(path));
            assert!(said, "{path}: {:?}", report.damage);
        }
    }
}
