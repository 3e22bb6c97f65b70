//! The memory that the references of a run may take, however many databases name them.

use crate::codec::manifest::EntryKey;
use crate::snapshot::archive::references::{Asked, Reference};

/// The most bytes of all references that are held at a time, with what they are held in. Some 140,000 files of the usual path.
///
/// Beside them there is the answer of one database ([`crate::sqlite::questions::MAX_ANSWER_BYTES`]), and the helper.
const RUN_BYTES: usize = 20 * 1024 * 1024;

/// What an allocation takes beside what was asked for, roughly.
const ALLOCATION_BYTES: usize = 16;

/// A file with a hash is hashed, and the hashes are kept: both of them, and the state of the file that they are of.
const HASHED_BYTES: usize = 192;

/// Room for references.
#[derive(Debug)]
pub(in crate::snapshot::archive) struct Room {
    left_bytes: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { left_bytes: RUN_BYTES }
    }
}

impl Room {
    /// Takes what these bytes are; false when there is no room for them.
    pub(super) fn take(&mut self, bytes: usize) -> bool {
        let left = self.left_bytes.checked_sub(bytes);
        self.left_bytes = left.unwrap_or(self.left_bytes);
        left.is_some()
    }

    pub(super) fn give(&mut self, bytes: usize) {
        self.left_bytes = self.left_bytes.saturating_add(bytes).min(RUN_BYTES);
    }

    /// Answers that do not count any more.
    pub(in crate::snapshot::archive) fn give_back(&mut self, asked: &Asked) {
        self.give(asked.taken_bytes);
    }
}

/// What a reference to this file takes.
pub(super) fn bytes_of(key: &EntryKey, has_hash: bool) -> usize {
    let path = key.path.len() + ALLOCATION_BYTES;
    let hash = if has_hash { 32 + ALLOCATION_BYTES + HASHED_BYTES + path } else { 0 };
    size_of::<Reference>() + path + hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_only_so_much_and_what_is_given_back_can_be_taken_again() {
        let mut room = Room::default();
        assert!(room.take(RUN_BYTES - 1) && !room.take(2) && room.take(1) && !room.take(1));
        room.give_back(&Asked { taken_bytes: 7, ..Asked::default() });
        assert!(!room.take(8) && room.take(7));
        room.give(usize::MAX);
        assert!(!room.take(RUN_BYTES + 1));
    }

    #[test]
    fn a_reference_counts_for_what_it_is_held_in() {
        let key = EntryKey { root: 0, path: [b'x'; 70].as_slice().into() };
        assert!((130..160).contains(&bytes_of(&key, false)), "{}", bytes_of(&key, false));
        assert!(bytes_of(&key, true) > bytes_of(&key, false) + 300);
    }
}
