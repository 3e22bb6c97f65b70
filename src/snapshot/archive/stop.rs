//! How the threads of a run end each other: the first cause counts, what follows from it does not.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::observe::{Observer, Warning};
use crate::snapshot::archive::ArchiveError;

/// Whether the work should end, and why.
pub(super) struct Stop<'a> {
    observer: &'a dyn Observer,
    asked: AtomicBool,
    cause: Mutex<Option<ArchiveError>>,
}

impl<'a> Stop<'a> {
    pub(super) fn new(observer: &'a dyn Observer) -> Self {
        Self { observer, asked: AtomicBool::new(false), cause: Mutex::new(None) }
    }

    /// To be asked between two pieces of work that take about as long as a person waits.
    pub(super) fn check(&self) -> Result<(), ArchiveError> {
        if self.asked.load(Ordering::Relaxed) || self.observer.cancelled() {
            return Err(ArchiveError::Cancelled);
        }
        Ok(())
    }

    /// So many more bytes are done.
    pub(super) fn advance(&self, bytes: u64) {
        if bytes > 0 {
            self.observer.advance(0, bytes);
        }
    }

    /// Says something that is only worth a word, at once.
    pub(super) fn remark(&self, remark: Warning) {
        self.observer.remark(remark);
    }

    /// Ends the work of all threads; of several causes the first is kept.
    pub(super) fn fail(&self, error: ArchiveError) {
        let mut cause = self.cause.lock().unwrap_or_else(PoisonError::into_inner);
        cause.get_or_insert(error);
        drop(cause);
        self.asked.store(true, Ordering::Relaxed);
    }

    pub(super) fn into_cause(self) -> Option<ArchiveError> {
        self.cause.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the others' work when its own thread panics.
pub(super) struct EndsTogether<'s, 'a>(pub(super) &'s Stop<'a>);

impl Drop for EndsTogether<'_, '_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.asked.store(true, Ordering::Relaxed);
        }
    }
}
