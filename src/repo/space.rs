//! Room that must stay free.

use crate::repo::backend::Backend;
use crate::repo::disk::Space;
use crate::repo::error::{RepoError, Result};

const GIBIBYTE: u64 = 1 << 30;

/// How much of a file system a backup leaves alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MinFree {
    /// What was asked for; else the smaller of 1 GiB and 5 %.
    pub asked_bytes: Option<u64>,
}

impl MinFree {
    /// Bytes to keep free on this file system.
    pub fn keep_bytes(self, space: Space) -> u64 {
        self.asked_bytes.unwrap_or_else(|| GIBIBYTE.min(space.total_bytes / 20))
    }

    /// Refuses to use `wanted` bytes when fewer than the reserve would be left.
    pub fn allow(self, place: &str, space: Space, wanted_bytes: u64) -> Result<()> {
        let keep_bytes = self.keep_bytes(space);
        let needed_bytes = wanted_bytes.saturating_add(keep_bytes);
        if space.available_bytes >= needed_bytes {
            return Ok(());
        }
        let available_bytes = space.available_bytes;
        Err(RepoError::NoSpace {
            place: place.to_owned(),
            available_bytes,
            needed_bytes,
            keep_bytes,
        })
    }

    /// The same for the storage of a repository.
    pub fn allow_on(self, backend: &dyn Backend, wanted_bytes: u64) -> Result<()> {
        self.allow("the repository's disk", backend.free_space()?, wanted_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space(available_bytes: u64, total_bytes: u64) -> Space {
        Space { available_bytes, total_bytes }
    }

    #[test]
    fn a_small_disk_keeps_a_twentieth_and_a_large_one_a_gibibyte() {
        assert_eq!(MinFree::default().keep_bytes(space(0, 2000)), 100);
        assert_eq!(MinFree::default().keep_bytes(space(0, 1 << 50)), GIBIBYTE);
        assert_eq!(MinFree { asked_bytes: Some(7) }.keep_bytes(space(0, 1 << 50)), 7);
    }

    #[test]
    fn the_reserve_is_not_for_use() {
        let min_free = MinFree { asked_bytes: Some(100) };
        assert!(min_free.allow("here", space(150, 1000), 50).is_ok());
        let refused = min_free.allow("here", space(150, 1000), 51);
        assert!(
            matches!(refused, Err(RepoError::NoSpace { needed_bytes: 151, keep_bytes: 100, .. })),
            "{refused:?}"
        );
    }
}
