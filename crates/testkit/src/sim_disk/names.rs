//! Directory operations that are not durable yet, and which of them depend on which.

use std::collections::BTreeSet;

use super::world::Ino;

/// A name in a directory.
pub(super) type Slot = (Ino, String);

/// One change of names. A rename is one change of two slots.
#[derive(Clone)]
pub(super) struct NameChange {
    pub(super) removes: Option<Slot>,
    pub(super) adds: Option<(Slot, Ino)>,
    /// The directory that is removed with the name: it was empty, so all that emptied it comes first.
    removed_directory: Option<Ino>,
    /// Directories that must still be synced before this is durable.
    unsynced: BTreeSet<Ino>,
}

impl NameChange {
    pub(super) fn add(slot: Slot, ino: Ino) -> Self {
        Self {
            unsynced: [slot.0].into(),
            removes: None,
            adds: Some((slot, ino)),
            removed_directory: None,
        }
    }

    pub(super) fn remove(slot: Slot, removed_directory: Option<Ino>) -> Self {
        Self { unsynced: [slot.0].into(), removes: Some(slot), adds: None, removed_directory }
    }

    pub(super) fn rename(from: Slot, to: Slot, ino: Ino) -> Self {
        Self {
            unsynced: [from.0, to.0].into(),
            removes: Some(from),
            adds: Some((to, ino)),
            removed_directory: None,
        }
    }

    fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.removes.iter().chain(self.adds.iter().map(|(slot, _)| slot))
    }

    /// True when `later` cannot survive without this one.
    fn precedes(&self, later: &Self) -> bool {
        self.slots().any(|slot| {
            later.removed_directory == Some(slot.0) || later.slots().any(|other| other == slot)
        })
    }
}

/// The unsynced changes, oldest first.
#[derive(Clone, Default)]
pub(super) struct Pending(Vec<NameChange>);

impl Pending {
    pub(super) fn push(&mut self, change: NameChange) {
        self.0.push(change);
    }

    /// Notes the sync of a directory and takes out what is durable with it, oldest first.
    pub(super) fn sync(&mut self, directory: Ino) -> Vec<NameChange> {
        for change in &mut self.0 {
            change.unsynced.remove(&directory);
        }
        self.take(|change| change.unsynced.is_empty())
    }

    /// Takes out the wanted changes and those that they cannot do without, oldest first.
    pub(super) fn take(&mut self, mut wanted: impl FnMut(&NameChange) -> bool) -> Vec<NameChange> {
        let mut keep: Vec<bool> = self.0.iter().map(&mut wanted).collect();
        // Backwards, so that what a change depends on is settled before its own turn comes.
        for (at, later) in self.0.iter().enumerate().rev().filter(|(at, _)| *at > 0) {
            if keep[at] {
                let before = self.0.iter().zip(&mut keep).take(at);
                before.for_each(|(earlier, keep)| *keep |= earlier.precedes(later));
            }
        }
        let mut keep = keep.into_iter();
        self.0.extract_if(.., |_| keep.next().unwrap_or(false)).collect()
    }
}
