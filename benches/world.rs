//! A source and a repository for the benches of whole backups.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use larder::observe::Unobserved;
use larder::ops::backup::{BackupOptions, BackupReport, backup};
use larder::ops::open::{init_local, open_local};
use larder::repo::repository::InitOptions;
use larder::repo::space::MinFree;
use larder::snapshot::archive::capture::Capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::questions::ReferenceQuery;
use larder_benches::host::BenchHost;

/// Files in the generated source, unless `LARDER_BENCH_SOURCE` names a directory of one's own.
const FILES: usize = 400;

/// Source, spool and repositories below one temporary directory.
pub(crate) struct World {
    dir: tempfile::TempDir,
    host: BenchHost,
    repositories: AtomicU64,
}

impl World {
    /// Makes the source, or takes the one that the environment names.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let world = Self { dir, host: BenchHost, repositories: AtomicU64::new(0) };
        std::fs::create_dir(world.path("spool")).expect("a spool directory");
        if std::env::var_os("LARDER_BENCH_SOURCE").is_none() {
            fill(&world.path("source"));
        }
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn source(&self) -> PathBuf {
        std::env::var_os("LARDER_BENCH_SOURCE").map_or_else(|| self.path("source"), PathBuf::from)
    }

    /// A new, empty repository.
    pub(crate) fn repository(&self) -> PathBuf {
        let number = self.repositories.fetch_add(1, Ordering::Relaxed);
        let path = self.path(&format!("repository-{number}"));
        init_local(&path, InitOptions::default(), &self.host).expect("a repository");
        path
    }

    /// One backup of the source.
    pub(crate) fn backup(&self, repository: &Path) -> BackupReport {
        let options = BackupOptions {
            source: Some("bench".into()),
            excludes: vec!["*.db".into(), "*.db-wal".into(), "*.db-shm".into()],
            min_free: MinFree { asked_bytes: Some(0) },
            workers: 2,
            built_in_references: false,
            ..BackupOptions::new(vec![self.source()], self.path("spool"))
        };
        let repository = open_local(repository).expect("the repository");
        backup(&repository, &options, &NoDatabases, &self.host, &Unobserved).expect("a backup")
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Half of the files do not compress, half are text; a directory for each ten.
fn fill(source: &Path) {
    for number in 0..FILES {
        let dir = source.join(format!("{:02}", number / 10));
        std::fs::create_dir_all(&dir).expect("a directory");
        let len = 10_000 + number * 397;
        let seed = number as u64;
        let bytes = if number % 2 == 0 {
            larder_benches::random(seed, len)
        } else {
            larder_benches::text(seed, len)
        };
        std::fs::write(dir.join(format!("{number}")), bytes).expect("a file");
    }
}

/// The benches measure files; databases have a process of their own.
struct NoDatabases;

impl Capture for NoDatabases {
    fn capture(
        &self,
        path: &Path,
        _questions: &[ReferenceQuery],
    ) -> Result<Captured, CaptureError> {
        let source = std::io::ErrorKind::Unsupported.into();
        Err(CaptureError::Source { path: path.to_path_buf(), source })
    }
}
