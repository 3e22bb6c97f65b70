//! Open files: one that grows, and one that is held for its lock.

use std::fs::File;
use std::io;
use std::io::Write as _;

use rustix::io::retry_on_intr;

use crate::repo::disk::real::failed;
use crate::repo::disk::{DiskError, DiskFile, LockGuard, Result};

/// The lock ends when it is dropped, or its process dies.
pub(super) struct RealLock {
    file: File,
}

impl RealLock {
    pub(super) fn new(file: File) -> Self {
        Self { file }
    }
}

impl Drop for RealLock {
    fn drop(&mut self) {
        let_go(&self.file);
    }
}

impl LockGuard for RealLock {}

/// A file under construction.
pub(super) struct RealFile {
    file: File,
    path: String,
    is_locked: bool,
}

impl RealFile {
    pub(super) fn new(file: File, path: &str) -> Self {
        Self { file, path: path.to_owned(), is_locked: false }
    }
}

impl Drop for RealFile {
    fn drop(&mut self) {
        if self.is_locked {
            let_go(&self.file);
        }
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
        self.is_locked = granted(fs2::FileExt::try_lock_exclusive(&self.file), &self.path)?;
        Ok(self.is_locked)
    }
}

/// Closing alone is not enough: a lock belongs to what was opened, of which every child has a copy from the moment in which another thread
/// forks it until it becomes another program. Who locks again in that moment would be told that we are still at work.
fn let_go(file: &File) {
    // Refused by file systems without locks, where there is none to give back.
    let _ = fs2::FileExt::unlock(file);
}

/// Tells "someone else holds it" from a failure.
pub(super) fn granted(taken: io::Result<()>, path: &str) -> Result<bool> {
    match taken {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(DiskError::new("lock", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a child has between fork and exec is what `try_clone` gives.
    #[test]
    fn a_lock_is_given_back_though_a_child_has_a_copy_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let open = || File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        let (held, other) = (open(), open());
        assert!(granted(fs2::FileExt::try_lock_exclusive(&held), "lock").unwrap());
        let _in_a_child = held.try_clone().unwrap();
        let guard = RealLock::new(held);
        assert!(!granted(fs2::FileExt::try_lock_exclusive(&other), "lock").unwrap());
        drop(guard);
        assert!(granted(fs2::FileExt::try_lock_exclusive(&other), "lock").unwrap());
    }

    #[test]
    fn so_is_that_of_a_file_under_construction() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("session");
        let open = || File::options().write(true).create(true).truncate(false).open(&path).unwrap();
        let (held, other) = (open(), open());
        let _in_a_child = held.try_clone().unwrap();
        let mut file = RealFile::new(held, "session");
        assert!(file.lock().unwrap());
        assert!(!granted(fs2::FileExt::try_lock_exclusive(&other), "session").unwrap());
        drop(file);
        assert!(granted(fs2::FileExt::try_lock_exclusive(&other), "session").unwrap());
    }
}
