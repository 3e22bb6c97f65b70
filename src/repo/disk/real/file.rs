//! Open files: one that grows, and one that is held for its lock.

use std::fs::File;
use std::io;
use std::io::Write as _;

use rustix::io::retry_on_intr;

use crate::repo::disk::real::failed;
use crate::repo::disk::{DiskError, DiskFile, LockGuard, Result};

/// The lock ends when the descriptor closes, or its process dies.
pub(super) struct RealLock {
    _file: File,
}

impl RealLock {
    pub(super) fn new(file: File) -> Self {
        Self { _file: file }
    }
}

impl LockGuard for RealLock {}

/// A file under construction.
pub(super) struct RealFile {
    file: File,
    path: String,
}

impl RealFile {
    pub(super) fn new(file: File, path: &str) -> Self {
        Self { file, path: path.to_owned() }
    }
}

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        // Goes on after a short write and after a signal.
        self.file
            .write_all(bytes)
            .map_err(|source| DiskError::new("append", self.path.as_str(), source))
    }

    fn sync_data(&mut self) -> Result<()> {
        retry_on_intr(|| rustix::fs::fdatasync(&self.file))
            .map_err(|errno| failed("sync", &self.path, errno))
    }

    fn lock(&mut self) -> Result<bool> {
        granted(fs2::FileExt::try_lock_exclusive(&self.file), &self.path)
    }
}

/// Tells "someone else holds it" from a failure.
pub(super) fn granted(taken: io::Result<()>, path: &str) -> Result<bool> {
    match taken {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(DiskError::new("lock", path, error)),
    }
}
