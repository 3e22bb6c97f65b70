//! A disk, and what it has refused so far.
//!
//! A refused operation (network, FUSE and FAT file systems refuse several) is
//! recorded once and the work goes on without the promise that it carried.
//! Any other failure goes to the caller.

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::repo::backend::Refusal;
use crate::repo::disk::{Disk, DiskError, DiskErrorKind, DiskFile, LockGuard, LockMode, Result};

/// A disk together with its refusals.
pub(super) struct Medium {
    disk: Arc<dyn Disk>,
    refusals: Mutex<Vec<Refusal>>,
    privacy_probed: AtomicBool,
    /// The strongest way of publishing that was not refused; see `publish`.
    pub(super) means: AtomicU8,
}

impl Medium {
    pub(super) fn new(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            refusals: Mutex::default(),
            privacy_probed: AtomicBool::new(false),
            means: AtomicU8::new(0),
        }
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    pub(super) fn refusals(&self) -> Vec<Refusal> {
        held(&self.refusals).clone()
    }

    pub(super) fn refuse(&self, refusal: Refusal) {
        let mut refusals = held(&self.refusals);
        if !refusals.contains(&refusal) {
            refusals.push(refusal);
        }
    }

    pub(super) fn sync_dir(&self, path: &str) -> Result<()> {
        self.unless_refused(self.disk.sync_dir(path), Refusal::DirectorySync)
    }

    /// Everything is created private; whether this file system can say so is asked once, of the first directory made.
    pub(super) fn probe_private(&self, path: &str) -> Result<()> {
        if self.privacy_probed.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.unless_refused(self.disk.make_private(path), Refusal::Private)
    }

    /// Locks a new file that nobody else can have found yet.
    pub(super) fn lock_file(&self, file: &mut dyn DiskFile, path: &str) -> Result<()> {
        match file.lock() {
            Ok(true) => Ok(()),
            Ok(false) => Err(DiskError::new("lock", path, std::io::ErrorKind::WouldBlock.into())),
            Err(error) => self.unless_refused(Err(error), Refusal::Locks),
        }
    }

    pub(super) fn lock(&self, path: &str, mode: LockMode) -> Result<Option<Box<dyn LockGuard>>> {
        match self.disk.lock(path, mode) {
            Err(error) if skips_lock(&error, mode) => {
                self.refuse(Refusal::Locks);
                Ok(Some(Box::new(Unlocked)))
            }
            other => other,
        }
    }

    fn unless_refused(&self, outcome: Result<()>, refusal: Refusal) -> Result<()> {
        match outcome {
            Err(error) if error.kind() == DiskErrorKind::Unsupported => {
                self.refuse(refusal);
                Ok(())
            }
            other => other,
        }
    }
}

/// Nobody can write to a read-only medium through it, so a reader may go without a lock; a writer gets the error.
fn skips_lock(error: &DiskError, mode: LockMode) -> bool {
    match error.kind() {
        DiskErrorKind::Unsupported => true,
        DiskErrorKind::ReadOnly => mode == LockMode::Shared,
        _ => false,
    }
}

/// Stands for a lock that the medium refused.
struct Unlocked;

impl LockGuard for Unlocked {}

/// The mutex's content, also after a panic elsewhere: every change under these locks is one step.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
