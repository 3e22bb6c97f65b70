//! A repository on a simulated disk, and the use cases over it.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder::codec::snapshot::JournalMode;
use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel};
use larder::error::Result;
use larder::observe::{Observer, Phase, Total, Unobserved, Warning};
use larder::ops::backup::{BackupOptions, BackupReport, backup};
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, CheckReport, check};
use larder::repo::backend::Backend;
use larder::repo::backend::local::LocalBackend;
use larder::repo::disk::Disk;
use larder::repo::repository::{InitOptions, Repository};
use larder::repo::space::MinFree;
use larder::snapshot::archive::capture::Capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::identity::observe;
use larder::sqlite::questions::ReferenceQuery;
use larder_testkit::host::TestHost;
use larder_testkit::sim_disk::SimDisk;

use super::tree::Tree;

/// Files of the trees are years older than a run, so that none is racily new; runs are a day apart.
const YEAR_NS: i64 = 365 * DAY_NS;
const DAY_NS: i64 = 86_400_000_000_000;

/// The machine of one run. Different numbers are different processes, a day apart.
pub(crate) fn host(number: u64) -> TestHost {
    let host = TestHost::seeded(number);
    host.advance_ns(20 * YEAR_NS + i64::try_from(number).unwrap() * DAY_NS);
    host
}

pub(crate) fn backend(disk: impl Disk + 'static) -> Arc<dyn Backend> {
    Arc::new(LocalBackend::new(Arc::new(disk)))
}

pub(crate) fn init(backend: Arc<dyn Backend>, host: &TestHost) -> Result<Repository> {
    Ok(Repository::init(backend, "the simulated disk", InitOptions::default(), host)?)
}

pub(crate) fn open(backend: Arc<dyn Backend>) -> Result<Repository> {
    Ok(Repository::open(backend, "the simulated disk")?)
}

/// A disk with a new repository, all of it durable and no operation counted yet.
pub(crate) fn fresh() -> SimDisk {
    let disk = SimDisk::new();
    init(backend(disk.clone()), &host(0)).unwrap();
    settled(&disk)
}

/// The same files, durable, on a disk that counts from zero.
pub(crate) fn settled(disk: &SimDisk) -> SimDisk {
    disk.crash_with(larder_testkit::sim_disk::Pattern::Everything)
}

pub(crate) fn options(tree: &Tree) -> BackupOptions {
    BackupOptions {
        source: Some("shelf".into()),
        min_free: MinFree { asked_bytes: Some(0) },
        built_in_references: false,
        ..BackupOptions::new(vec![tree.root()], std::env::temp_dir())
    }
}

/// A backup as the process with this number makes it.
pub(crate) fn save(backend: Arc<dyn Backend>, tree: &Tree, number: u64) -> Result<BackupReport> {
    let host = host(number);
    backup(&open(backend)?, &options(tree), &CopyCapture, &host, &Unobserved)
}

/// Every stored byte looked at.
pub(crate) fn check_all(repository: &Repository) -> Result<CheckReport> {
    let catalog = Catalog::open(repository)?;
    check(&catalog, CheckOptions { read_data: true }, &Unobserved)
}

/// Stands for the helper process: the databases of these tests are at rest.
pub(crate) struct CopyCapture;

impl Capture for CopyCapture {
    fn capture(
        &self,
        path: &Path,
        _questions: &[ReferenceQuery],
    ) -> std::result::Result<Captured, CaptureError> {
        let bytes = std::fs::read(path).unwrap();
        let page_size = u32::from(u16::from_be_bytes([bytes[16], bytes[17]]));
        Ok(Captured {
            file: spooled(&bytes),
            len: bytes.len() as u64,
            inode: inode_of(path),
            label: DatabaseLabel::Committed,
            method: CaptureMethod::Immutable,
            page_size,
            page_count: bytes.len() as u64 / u64::from(page_size),
            journal_mode: JournalMode::Rollback,
            check: CheckResult::QuickOk,
            knowledge: None,
            answers: Vec::new(),
            started_ns: larder_testkit::host::START_NS + 20 * YEAR_NS,
            identity: observe(path).ok(),
        })
    }
}

/// Does something in the middle of a backup: files are stored, the database is not.
pub(crate) struct Meanwhile<F> {
    work: F,
    times: AtomicU64,
}

impl<F: Fn() + Sync> Meanwhile<F> {
    pub(crate) fn new(work: F) -> Self {
        Self { work, times: AtomicU64::new(0) }
    }

    pub(crate) fn times(&self) -> u64 {
        self.times.load(Ordering::Relaxed)
    }
}

impl<F: Fn() + Sync> Capture for Meanwhile<F> {
    fn capture(
        &self,
        path: &Path,
        questions: &[ReferenceQuery],
    ) -> std::result::Result<Captured, CaptureError> {
        (self.work)();
        self.times.fetch_add(1, Ordering::Relaxed);
        CopyCapture.capture(path, questions)
    }
}

fn inode_of(path: &Path) -> (u64, u64) {
    let metadata = std::fs::symlink_metadata(path).unwrap();
    (metadata.dev(), metadata.ino())
}

fn spooled(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// Asks to stop when all files are stored and the first database is about to be captured.
#[derive(Default)]
pub(crate) struct StopsAtDatabases(AtomicBool);

impl Observer for StopsAtDatabases {
    fn begin(&self, phase: Phase, _: Option<Total>) {
        if phase == Phase::Databases {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn advance(&self, _: u64, _: u64) {}

    fn warn(&self, _: Warning) {}

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
