//! The directory in which databases lie before they are stored, or before they are given out.

use std::path::Path;

use crate::repo::disk::Space;
use crate::repo::space::MinFree;

/// A directory for spools, and what stays free on its disk.
#[derive(Debug, Clone, Copy)]
pub struct SpoolDir<'a> {
    /// Where; never inside a repository.
    pub dir: &'a Path,
    /// What is left alone.
    pub min_free: MinFree,
}

impl SpoolDir<'_> {
    /// Bytes that stay free; what was asked for, or none, where the disk does not say how large it is.
    pub fn reserve_bytes(&self) -> u64 {
        match space_of(self.dir) {
            Some(space) => self.min_free.keep_bytes(space),
            None => self.min_free.asked_bytes.unwrap_or(0),
        }
    }
}

/// The file system of a path; `None` where it does not say.
pub(super) fn space_of(path: &Path) -> Option<Space> {
    let stat = rustix::fs::statvfs(path).ok()?;
    Some(Space {
        available_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        total_bytes: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}
