//! Giving an object its final name, by the strongest means that the disk offers.
//!
//! A rename without replace is one step. Where it is refused, a second link and
//! the removal of the first name: a crash between them leaves a name in `tmp/`,
//! which is swept. Where links are refused too, a copy into a file made for it
//! alone: no longer atomic, and recorded as [`Refusal::AtomicPublish`].
//!
//! No means ever replaces a file.

use std::io;
use std::sync::atomic::Ordering;

use crate::repo::backend::Refusal;
use crate::repo::backend::local::medium::Medium;
use crate::repo::disk::{DiskError, DiskErrorKind, DiskFile, Result};

/// Bytes that a copy or comparison moves at a time: 256 KiB.
const STEP: usize = 256 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Means {
    Rename = 0,
    Link = 1,
    Copy = 2,
}

impl Means {
    fn weaker(self) -> Option<Self> {
        match self {
            Self::Rename => Some(Self::Link),
            Self::Link => Some(Self::Copy),
            Self::Copy => None,
        }
    }
}

impl Medium {
    /// Moves a file to a name that must be free. Returns the new file's handle where it had to be copied.
    pub(super) fn publish(&self, from: &str, to: &str) -> Result<Option<Box<dyn DiskFile>>> {
        self.by_any_means(from, to, false)
    }

    /// As [`Medium::publish`], for a file that is locked through its handle: a copy is locked before it has any bytes.
    pub(super) fn publish_locked(&self, from: &str, to: &str) -> Result<Option<Box<dyn DiskFile>>> {
        self.by_any_means(from, to, true)
    }

    /// True when both files hold the same bytes: an object of this name was published by someone else, or by this very
    /// call, whose answer a network file system lost.
    pub(super) fn same_bytes(&self, one: &str, other: &str) -> Result<bool> {
        let len = self.disk().stat(one)?.len;
        if self.disk().stat(other)?.len != len {
            return Ok(false);
        }
        let (mut left, mut right) = (vec![0; STEP], vec![0; STEP]);
        for (offset, size) in steps(len) {
            self.disk().read_at(one, offset, &mut left[..size])?;
            self.disk().read_at(other, offset, &mut right[..size])?;
            if left[..size] != right[..size] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn by_any_means(
        &self,
        from: &str,
        to: &str,
        locked: bool,
    ) -> Result<Option<Box<dyn DiskFile>>> {
        let mut means = self.means();
        loop {
            let outcome = match means {
                Means::Rename => self.disk().rename_noreplace(from, to).map(|()| None),
                Means::Link => self.link_and_unlink(from, to).map(|()| None),
                Means::Copy => self.copy(from, to, locked).map(Some),
            };
            match (outcome, means.weaker()) {
                (Err(error), Some(weaker)) if error.kind() == DiskErrorKind::Unsupported => {
                    self.means.fetch_max(weaker as u8, Ordering::Relaxed);
                    means = weaker;
                }
                (outcome, _) => return outcome,
            }
        }
    }

    fn means(&self) -> Means {
        match self.means.load(Ordering::Relaxed) {
            0 => Means::Rename,
            1 => Means::Link,
            _ => Means::Copy,
        }
    }

    fn link_and_unlink(&self, from: &str, to: &str) -> Result<()> {
        self.disk().hard_link(from, to)?;
        self.disk().unlink(from)
    }

    fn copy(&self, from: &str, to: &str, locked: bool) -> Result<Box<dyn DiskFile>> {
        self.refuse(Refusal::AtomicPublish);
        let len = self.disk().stat(from)?.len;
        let mut file = self.disk().create_new(to)?;
        let filled = self.fill(&mut *file, from, len, locked.then_some(to));
        match filled.and_then(|()| self.disk().unlink(from)) {
            Ok(()) => Ok(file),
            Err(error) => {
                // The name was made above, so it is not another's; better absent than incomplete.
                let _best_effort = self.disk().unlink(to);
                Err(refusals_are_failures(error))
            }
        }
    }

    fn fill(
        &self,
        file: &mut dyn DiskFile,
        from: &str,
        len: u64,
        lock: Option<&str>,
    ) -> Result<()> {
        if let Some(path) = lock {
            self.lock_file(file, path)?;
        }
        let mut buffer = vec![0; STEP];
        for (offset, size) in steps(len) {
            self.disk().read_at(from, offset, &mut buffer[..size])?;
            file.append(&buffer[..size])?;
        }
        file.sync_data()
    }
}

/// The offsets and sizes of the steps through so many bytes.
fn steps(len: u64) -> impl Iterator<Item = (u64, usize)> {
    (0..len)
        .step_by(STEP)
        .map(move |offset| (offset, usize::try_from(len - offset).unwrap_or(STEP).min(STEP)))
}

/// Nothing is weaker than a copy: what refuses one of its steps has failed.
fn refusals_are_failures(error: DiskError) -> DiskError {
    match error.kind() {
        DiskErrorKind::Unsupported => DiskError { source: io::Error::other(error.source), ..error },
        _ => error,
    }
}
