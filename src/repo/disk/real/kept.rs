//! Files that stay open for the next read of them.
//!
//! Reading a snapshot back asks for thousands of ranges of a few packs; opening
//! a pack by its path for each of them costs more than the read.
//!
//! Invariant: what stays open under a path is what the path leads to, as far as
//! this disk changes names. Other processes may remove or move an object
//! meanwhile; its bytes stay what they are, since objects are never changed.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::repo::disk::Result;

/// So few that a list is the fastest map, and that removed packs hold little room until they are pushed out.
const MOST: usize = 8;

/// The files that were read last, the newest in front.
#[derive(Debug, Default)]
pub(super) struct KeptFiles(Mutex<VecDeque<(String, Arc<File>)>>);

impl KeptFiles {
    fn files(&self) -> MutexGuard<'_, VecDeque<(String, Arc<File>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The open file of a path, opened now where it is not.
    pub(super) fn open(
        &self,
        path: &str,
        open: impl FnOnce() -> Result<File>,
    ) -> Result<Arc<File>> {
        if let Some(kept) = self.find(path) {
            return Ok(kept);
        }
        // Without the lock: an open may take its time on a network.
        let file = Arc::new(open()?);
        let mut files = self.files();
        files.retain(|(kept, _)| kept != path);
        files.push_front((path.to_owned(), Arc::clone(&file)));
        files.truncate(MOST);
        Ok(file)
    }

    fn find(&self, path: &str) -> Option<Arc<File>> {
        let mut files = self.files();
        let at = files.iter().position(|(kept, _)| kept == path)?;
        let found = files.remove(at)?;
        let file = Arc::clone(&found.1);
        files.push_front(found);
        Some(file)
    }

    /// Closes what is open at this path and beneath it.
    pub(super) fn forget(&self, path: &str) {
        let beneath = |kept: &str| {
            kept.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.files().retain(|(kept, _)| !beneath(kept));
    }
}
