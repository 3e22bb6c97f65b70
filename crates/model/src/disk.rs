//! A disk on which a change to a directory is visible at once and durable when its directories are synced.
//!
//! A power loss keeps any subset of the changes that were not. A rename between two directories is one change: it happens
//! or not, and is certain once both were synced.

use crate::object::{Dir, Entries, EntryId};

/// A change that is visible and perhaps not durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Change {
    pub(crate) add: Option<EntryId>,
    pub(crate) remove: Option<EntryId>,
    /// Directories that have to be synced yet.
    unsynced: u8,
}

impl Change {
    fn touches(&self, id: Option<EntryId>) -> bool {
        id.is_some() && (self.add == id || self.remove == id)
    }
}

/// The disk.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Disk {
    /// Ascending.
    durable: Vec<EntryId>,
    pending: Vec<Change>,
}

impl Disk {
    /// A disk on which these are durable.
    pub(crate) fn with(mut durable: Vec<EntryId>) -> Self {
        durable.sort_unstable();
        Self { durable, pending: Vec::new() }
    }

    /// What a process sees, ascending.
    pub(crate) fn visible(&self) -> Vec<EntryId> {
        let mut entries = self.durable.clone();
        self.pending.iter().for_each(|change| apply(&mut entries, *change));
        entries
    }

    /// Makes a change: an entry comes, another goes.
    pub(crate) fn change(
        &mut self,
        add: Option<EntryId>,
        remove: Option<EntryId>,
        entries: &Entries,
    ) {
        let dirs = add.into_iter().chain(remove).map(|id| entries.get(id).dir.bit());
        let unsynced = dirs.fold(0, |set, bit| set | bit);
        self.pending.push(Change { add, remove, unsynced });
    }

    /// Syncs a directory. What becomes durable takes along older changes of the same entries.
    pub(crate) fn sync(&mut self, dir: Dir) {
        self.pending.iter_mut().for_each(|change| change.unsynced &= !dir.bit());
        let mut certain = vec![false; self.pending.len()];
        for (n, change) in self.pending.iter().enumerate().rev() {
            let later = self.pending.iter().zip(&certain).skip(n + 1);
            let forced = later
                .filter(|(_, certain)| **certain)
                .any(|(later, _)| later.touches(change.add) || later.touches(change.remove));
            certain[n] = change.unsynced == 0 || forced;
        }
        let mut kept = Vec::new();
        for (change, certain) in std::mem::take(&mut self.pending).into_iter().zip(certain) {
            if certain {
                apply(&mut self.durable, change);
            } else {
                kept.push(change);
            }
        }
        self.pending = kept;
    }

    /// The changes that a power loss may drop.
    pub(crate) fn pending(&self) -> &[Change] {
        &self.pending
    }

    /// The disk after a power loss that has kept the pending changes whose bits are set.
    pub(crate) fn after_loss(&self, kept: u32) -> Self {
        let mut durable = self.durable.clone();
        for (n, change) in self.pending.iter().enumerate() {
            if kept & (1 << n) != 0 {
                apply(&mut durable, *change);
            }
        }
        Self { durable, pending: Vec::new() }
    }
}

fn apply(entries: &mut Vec<EntryId>, change: Change) {
    if let Some(Ok(at)) = change.remove.map(|id| entries.binary_search(&id)) {
        entries.remove(at);
    }
    if let Some((id, Err(at))) = change.add.map(|id| (id, entries.binary_search(&id))) {
        entries.insert(at, id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::Object;

    #[test]
    fn a_move_is_certain_when_both_directories_are_synced() {
        let mut entries = Entries::default();
        let from = entries.id(Dir::Packs, Object::Pack { name: 1, blobs: 1 });
        let to = entries.moved(from, Dir::Trash);
        let mut disk = Disk::with(vec![from]);
        disk.change(Some(to), Some(from), &entries);
        assert_eq!((disk.visible(), disk.after_loss(0).visible()), (vec![to], vec![from]));
        disk.sync(Dir::Trash);
        assert_eq!(disk.pending().len(), 1);
        disk.sync(Dir::Packs);
        assert_eq!((disk.pending().len(), disk.after_loss(0).visible()), (0, vec![to]));
    }

    #[test]
    fn a_later_change_of_an_entry_takes_the_earlier_along() {
        let mut entries = Entries::default();
        let from = entries.id(Dir::Packs, Object::Pack { name: 1, blobs: 1 });
        let to = entries.moved(from, Dir::Trash);
        let mut disk = Disk::with(vec![from]);
        disk.change(Some(to), Some(from), &entries);
        disk.change(None, Some(to), &entries);
        disk.sync(Dir::Trash);
        assert!(disk.pending().is_empty() && disk.visible().is_empty());
    }
}
