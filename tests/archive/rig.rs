//! A source to archive, and a sink that only counts.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use larder::chunker::params::Params;
use larder::id::{BlobId, BlobType, HashKeys, RepositoryId};
use larder::observe::Observer;
use larder::repo::blobs::{BlobWrite, NewBlob, Put};
use larder::repo::error::Result as RepoResult;
use larder::snapshot::archive::capture::Capture;
use larder::snapshot::archive::{ArchiveError, Archived, Request, archive};
use larder::snapshot::beneath::Resolution;
use larder::snapshot::source::exclude::Excludes;
use larder::snapshot::source::walk::{Source, WalkOptions};
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::questions::ReferenceQuery;

/// Two directories: the source, and one for the draft.
pub(super) struct Rig {
    dir: tempfile::TempDir,
}

impl Rig {
    pub(super) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("source")).unwrap();
        Self { dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("source").join(name)
    }

    pub(super) fn archive(
        &self,
        sink: &Sink,
        (clock, capture): (&(dyn Fn() -> i64 + Sync), &dyn Capture),
        observer: &dyn Observer,
    ) -> Result<Archived, ArchiveError> {
        let sources = [Source::open(0, &self.path(""), Resolution::default()).unwrap()];
        let excludes = Excludes::default();
        let (exclude_caches, same_file_system) = (false, false);
        let walk =
            WalkOptions { excludes: &excludes, exclude_caches, same_file_system, never_enter: &[] };
        let request = Request {
            sources: &sources,
            walks: &[walk],
            cut: Params::default(),
            workers: 2,
            clock,
            pause: &|_| {},
            spool_dir: self.dir.path(),
            parent: None,
            capture,
            references: &[],
            accepted: &|_| false,
            versions: None,
        };
        archive(&request, sink, observer)
    }
}

/// Keeps ids and counts bytes.
pub(super) struct Sink {
    keys: HashKeys,
    seen: Mutex<HashMap<BlobId, usize>>,
    pub(super) bytes: AtomicU64,
}

impl Sink {
    pub(super) fn new() -> Self {
        let keys = HashKeys::of_repository(&RepositoryId::from_bytes([7; 32]));
        Self { keys, seen: Mutex::default(), bytes: AtomicU64::new(0) }
    }
}

impl BlobWrite for Sink {
    fn put(&self, blob: NewBlob<'_>) -> RepoResult<Put> {
        let (id, len) = (self.keys.blob_id(blob.blob_type, blob.plain), blob.plain.len());
        self.bytes.fetch_add(len as u64, Ordering::Relaxed);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(id, len);
        Ok(Put { id, stored_len: u32::try_from(len).ok() })
    }

    fn has(&self, _: BlobType, id: &BlobId) -> RepoResult<bool> {
        Ok(self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id))
    }

    fn read_back(&self, _: BlobType, _: &BlobId) -> RepoResult<Option<Vec<u8>>> {
        Ok(None)
    }
}

/// For sources without a database.
pub(super) struct NoCapture;

impl Capture for NoCapture {
    fn capture(
        &self,
        path: &Path,
        _questions: &[ReferenceQuery],
    ) -> Result<Captured, CaptureError> {
        panic!("{} is no database", path.display())
    }
}
