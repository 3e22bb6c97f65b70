//! A small source, a repository on a simulated disk, and the walk over its manifests.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use larder::codec::manifest::EntryKind;
use larder::error::Result;
use larder::id::SnapshotId;
use larder::observe::Unobserved;
use larder::ops::backup::{BackupOptions, BackupReport, backup};
use larder::ops::cat::cat;
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, CheckReport, check};
use larder::ops::ls::{Depth, ls};
use larder::ops::prune::marks::Marks;
use larder::ops::prune::prune;
use larder::repo::backend::Backend;
use larder::repo::backend::local::LocalBackend;
use larder::repo::disk::Disk;
use larder::repo::forget::forget;
use larder::repo::locks::Patience;
use larder::repo::prune::{PruneOptions, PruneReport};
use larder::repo::repository::{InitOptions, Repository};
use larder::repo::snapshots::Snapshot;
use larder::repo::space::MinFree;
use larder_testkit::host::TestHost;
use larder_testkit::seed::Seeded;
use larder_testkit::sim_disk::{Pattern, SimDisk};
use tempfile::TempDir;

use crate::product::rig::CopyCapture;

pub(super) const DAY_NS: i64 = 86_400_000_000_000;

/// Runs lie twenty years after the files of the source, so that none is racily new.
const LATER_NS: i64 = 20 * 365 * DAY_NS;

/// The machine of one run. Different numbers are different processes, a day apart.
pub(super) fn host(number: u64) -> TestHost {
    let host = TestHost::seeded(number);
    host.advance_ns(LATER_NS + i64::try_from(number).unwrap() * DAY_NS);
    host
}

pub(super) fn backend(disk: impl Disk + 'static) -> Arc<dyn Backend> {
    Arc::new(LocalBackend::new(Arc::new(disk)))
}

pub(super) fn open(backend: Arc<dyn Backend>) -> Result<Repository> {
    Ok(Repository::open(backend, "the simulated disk")?)
}

/// Nobody is waited for.
pub(super) const AT_ONCE: Patience<'static> =
    Patience { wait: Duration::ZERO, observer: &Unobserved };

/// A disk with a new repository, all of it durable and no operation counted yet.
pub(super) fn fresh() -> SimDisk {
    let disk = SimDisk::new();
    let options = InitOptions::default();
    Repository::init(backend(disk.clone()), "the simulated disk", options, &host(0)).unwrap();
    settled(&disk)
}

/// The same files, durable, on a disk that counts from zero.
pub(super) fn settled(disk: &SimDisk) -> SimDisk {
    disk.crash_with(Pattern::Everything)
}

/// Files by path.
pub(super) type Content = BTreeMap<Vec<u8>, Vec<u8>>;

/// A source directory.
pub(super) struct Tree {
    directory: TempDir,
}

impl Tree {
    pub(super) fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(super) fn write(&self, path: &str, bytes: &[u8]) {
        fs::write(self.directory.path().join(path), bytes).unwrap();
    }

    /// A file of bytes that do not compress and are in no other file.
    pub(super) fn fill(&self, path: &str, seed: u64, len: usize) {
        self.write(path, &Seeded::new(seed).bytes(len));
    }

    pub(super) fn remove(&self, path: &str) {
        fs::remove_file(self.directory.path().join(path)).unwrap();
    }

    /// A database of forty rows that do not compress, of which this one is new.
    pub(super) fn database(&self, path: &str, changed: u64) {
        let database = rusqlite::Connection::open(self.directory.path().join(path)).unwrap();
        database
            .execute_batch(
                "PRAGMA page_size = 512; CREATE TABLE IF NOT EXISTS part (id INTEGER PRIMARY KEY, b BLOB)",
            )
            .unwrap();
        for row in 0..40_u64 {
            let bytes = Seeded::new(row).bytes(300);
            database
                .execute("INSERT OR IGNORE INTO part VALUES (?1, ?2)", (row.cast_signed(), bytes))
                .unwrap();
        }
        let bytes = Seeded::new(1000 + changed).bytes(300);
        let row = (changed % 40).cast_signed();
        database.execute("UPDATE part SET b = ?2 WHERE id = ?1", (row, bytes)).unwrap();
    }

    pub(super) fn content(&self) -> Content {
        let entries = fs::read_dir(self.directory.path()).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| (entry.file_name().as_bytes().to_vec(), fs::read(entry.path()).unwrap()))
            .collect()
    }

    fn options(&self, source: &str) -> BackupOptions {
        BackupOptions {
            source: Some(source.into()),
            min_free: MinFree { asked_bytes: Some(0) },
            ..BackupOptions::new(vec![self.directory.path().to_path_buf()], std::env::temp_dir())
        }
    }
}

/// A backup as the process with this number makes it.
pub(super) fn save(backend: Arc<dyn Backend>, tree: &Tree, number: u64) -> Result<BackupReport> {
    save_as(backend, tree, "shelf", number)
}

pub(super) fn save_as(
    backend: Arc<dyn Backend>,
    tree: &Tree,
    source: &str,
    number: u64,
) -> Result<BackupReport> {
    backup(&open(backend)?, &tree.options(source), &CopyCapture, &host(number), &Unobserved)
}

/// A backup that the observer stops.
pub(super) fn interrupted(
    disk: &SimDisk,
    tree: &Tree,
    number: u64,
    observer: &dyn larder::observe::Observer,
) -> Result<BackupReport> {
    let repository = open(backend(disk.clone()))?;
    backup(&repository, &tree.options("shelf"), &CopyCapture, &host(number), observer)
}

/// The promised snapshots of a repository.
pub(super) type Saved = BTreeMap<SnapshotId, Content>;

/// Saves and remembers what was saved.
pub(super) fn night(disk: &SimDisk, tree: &Tree, number: u64, saved: &mut Saved) -> SnapshotId {
    let id = save(backend(disk.clone()), tree, number).unwrap().id.unwrap();
    saved.insert(id, tree.content());
    id
}

/// Nothing waits, nothing must stay free, the trash is kept for three days.
pub(super) fn options() -> PruneOptions {
    PruneOptions {
        wait: Duration::ZERO,
        min_free: MinFree { asked_bytes: Some(0) },
        grace_ns: 3 * DAY_NS,
        ..PruneOptions::default()
    }
}

/// What the product marks by.
pub(super) fn manifests(repository: &Repository) -> Marks<'_> {
    Marks::new(repository, &Unobserved)
}

pub(super) fn prune_with(
    backend: Arc<dyn Backend>,
    options: &PruneOptions,
    number: u64,
) -> Result<PruneReport> {
    let repository = open(backend)?;
    prune(&repository, options, &host(number), &Unobserved)
}

pub(super) fn prune_now(backend: Arc<dyn Backend>, number: u64) -> Result<PruneReport> {
    prune_with(backend, &options(), number)
}

pub(super) fn forget_one(backend: Arc<dyn Backend>, id: SnapshotId, number: u64) -> Result<()> {
    assert!(forget(&open(backend)?, &[id], &host(number))?.contains(&id));
    Ok(())
}

/// Every stored byte looked at.
pub(super) fn check_all(disk: &SimDisk) -> CheckReport {
    let repository = open(backend(disk.clone())).unwrap();
    let catalog = Catalog::open(&repository).unwrap();
    check(&catalog, CheckOptions { read_data: true }, &Unobserved).unwrap()
}

pub(super) fn assert_clean(disk: &SimDisk, when: &str) {
    let report = check_all(disk);
    assert!(report.is_clean(), "{when}: {:#?} {:#?}", report.findings, report.missing);
}

/// Every snapshot that is there, read back whole.
pub(super) fn read_all(disk: &SimDisk, when: &str) -> Saved {
    let repository = open(backend(disk.clone())).unwrap_or_else(|error| panic!("{when}: {error}"));
    let catalog = Catalog::open(&repository).unwrap();
    assert_eq!(catalog.damage(), [], "{when}");
    assert_eq!(catalog.missing(), [], "{when}");
    let read = |snapshot: &Snapshot| {
        read_back(&catalog, snapshot)
            .unwrap_or_else(|error| panic!("{when}: snapshot {}: {error}", snapshot.id))
    };
    catalog.snapshots().map(|(snapshot, _)| (snapshot.id, read(snapshot))).collect()
}

fn read_back(catalog: &Catalog<'_>, snapshot: &Snapshot) -> Result<Content> {
    let reader = catalog.reader()?;
    let root = PathBuf::from(OsStr::from_bytes(&snapshot.record.roots[0].path));
    let mut paths = Vec::new();
    ls(&reader, snapshot, Some(&root), Depth::Everything, |entry| {
        if matches!(entry.kind, EntryKind::File(_)) {
            paths.push(entry.key.path.to_vec());
        }
        Ok(())
    })?;
    let mut content = Content::new();
    for path in paths {
        let mut bytes = Vec::new();
        let file = root.join(OsStr::from_bytes(&path));
        cat(&reader, snapshot, &file, &std::env::temp_dir(), &mut bytes)?;
        content.insert(path, bytes);
    }
    Ok(content)
}

/// Paths of a disk under a directory.
pub(super) fn paths(disk: &SimDisk, directory: &str) -> Vec<String> {
    disk.files().into_keys().filter(|path| path.starts_with(directory)).collect()
}

/// All files but the targets of locks, which are made when they are first wanted.
pub(super) fn objects(disk: &SimDisk) -> BTreeMap<String, Vec<u8>> {
    let mut files = disk.files();
    files.retain(|path, _| !path.starts_with("locks/"));
    files
}

/// Bytes of the files under a directory.
pub(super) fn bytes_in(disk: &SimDisk, directory: &str) -> u64 {
    let files = disk.files();
    files
        .iter()
        .filter(|(path, _)| path.starts_with(directory))
        .map(|(_, it)| it.len() as u64)
        .sum()
}

/// Three nights, of which the first can be forgotten: then one pack dies and another is worth rewriting.
pub(super) fn three_nights(tree: &Tree) -> (SimDisk, Saved, SnapshotId) {
    let (disk, mut saved) = (fresh(), Saved::new());
    tree.fill("stays", 1, 2500);
    tree.fill("goes", 2, 1200);
    let first = night(&disk, tree, 1, &mut saved);
    tree.remove("goes");
    tree.fill("second", 3, 700);
    night(&disk, tree, 2, &mut saved);
    tree.fill("third", 4, 600);
    night(&disk, tree, 3, &mut saved);
    (settled(&disk), saved, first)
}
