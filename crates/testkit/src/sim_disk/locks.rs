//! Who holds which lock: open handles on inodes, as with `flock`.

use std::collections::BTreeMap;

use larder::repo::disk::LockMode;

use super::world::Ino;

/// The locks of a running machine; a crash forgets them.
#[derive(Default)]
pub(super) struct Locks {
    holders: BTreeMap<Ino, Vec<(u64, LockMode)>>,
    last_handle: u64,
}

impl Locks {
    pub(super) fn new_handle(&mut self) -> u64 {
        self.last_handle += 1;
        self.last_handle
    }

    /// Without waiting. False when another handle holds what excludes this.
    pub(super) fn acquire(&mut self, ino: Ino, handle: u64, mode: LockMode) -> bool {
        let holders = self.holders.entry(ino).or_default();
        let beside = |held: LockMode| mode == LockMode::Shared && held == LockMode::Shared;
        let granted = holders.iter().all(|(holder, held)| *holder == handle || beside(*held));
        if granted {
            holders.retain(|(holder, _)| *holder != handle);
            holders.push((handle, mode));
        }
        granted
    }

    pub(super) fn release(&mut self, ino: Ino, handle: u64) {
        if let Some(holders) = self.holders.get_mut(&ino) {
            holders.retain(|(holder, _)| *holder != handle);
        }
    }
}
