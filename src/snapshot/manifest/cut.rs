//! Where a node of a manifest ends. `docs/manifest-cutting.md` is the rule; readers do not depend on it.

use crate::codec::manifest::EntryKey;

/// Below this nominal size a node goes on.
const MIN_BYTES: u64 = 8 * 1024;
/// Beyond the minimum a node ends after so many nominal bytes on average.
const SPAN_BYTES: u64 = 12 * 1024;
/// From this nominal size on, ends are sought more eagerly.
const EAGER_BYTES: u64 = 48 * 1024;
/// Also from this real size on.
const EAGER_REAL_BYTES: u64 = 88 * 1024;
/// How much more eagerly.
const EAGERNESS: u64 = 16;
/// From this real size on, a node ends at once. With the largest entry it stays below the limit of a node.
const MAX_REAL_BYTES: u64 = 120 * 1024;

/// Nominal bytes of an entry beside its path: what the entry of a file of one chunk takes.
const NOMINAL_ENTRY: u64 = 160;
/// Bytes of a child beside its path.
const CHILD: u64 = 60;

/// Fixed, so that equal entries are cut alike in every repository.
const HASH_KEY: &[u8; 32] = b"larder 2026-11 manifest cutting.";

/// An open node, as far as its end depends on it.
///
/// Ends are found by the hash of a key and by *nominal* sizes, which the keys alone make: content that grows or
/// shrinks moves no boundary. Real sizes count only in a node that is four times larger than usual.
#[derive(Debug)]
pub(super) struct Cut {
    level: u8,
    items: u64,
    nominal_bytes: u64,
    real_bytes: u64,
    /// Reused for each hash.
    input: Vec<u8>,
}

impl Cut {
    /// A node with nothing in it; level 0 are leaves.
    pub(super) fn new(level: u8) -> Self {
        Self { level, items: 0, nominal_bytes: 0, real_bytes: 0, input: Vec::new() }
    }

    /// True when a leaf ends after this entry, of this real size.
    pub(super) fn ends_after_entry(&mut self, key: &EntryKey, real_bytes: u64) -> bool {
        let nominal = NOMINAL_ENTRY + path_len(key);
        self.grow(nominal, real_bytes);
        self.ends(key, nominal)
    }

    /// True when an inner node ends after the child that begins with this key.
    pub(super) fn ends_after_child(&mut self, first: &EntryKey) -> bool {
        let size = CHILD + path_len(first);
        self.grow(size, size);
        // A lone child would add a level and divide nothing.
        self.items >= 2 && self.ends(first, size)
    }

    fn grow(&mut self, nominal: u64, real: u64) {
        self.items += 1;
        self.nominal_bytes = self.nominal_bytes.saturating_add(nominal);
        self.real_bytes = self.real_bytes.saturating_add(real);
    }

    fn ends(&mut self, key: &EntryKey, nominal: u64) -> bool {
        let large = self.real_bytes >= EAGER_REAL_BYTES;
        let eager = large || self.nominal_bytes >= EAGER_BYTES;
        if self.real_bytes >= MAX_REAL_BYTES {
            return true;
        }
        if self.nominal_bytes < MIN_BYTES && !large {
            return false;
        }
        // P(end) = nominal / span: a stretch of long paths is divided as finely as one of short paths.
        let odds = nominal.min(SPAN_BYTES) * if eager { EAGERNESS } else { 1 };
        u64::from(self.hash(key)) * SPAN_BYTES < odds << 32
    }

    fn hash(&mut self, key: &EntryKey) -> u32 {
        self.input.clear();
        self.input.push(self.level);
        self.input.extend_from_slice(&key.root.to_le_bytes());
        self.input.extend_from_slice(&key.path);
        let digest = blake3::keyed_hash(HASH_KEY, &self.input);
        let [a, b, c, d, ..] = *digest.as_bytes();
        u32::from_le_bytes([a, b, c, d])
    }
}

fn path_len(key: &EntryKey) -> u64 {
    key.path.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(n: usize) -> EntryKey {
        EntryKey { root: 0, path: format!("attachments/{n:06}").as_bytes().into() }
    }

    fn ends(entries: usize, real_bytes: u64) -> Vec<usize> {
        let mut cut = Cut::new(0);
        let mut ends = Vec::new();
        for n in 0..entries {
            if cut.ends_after_entry(&key(n), real_bytes) {
                ends.push(n);
                cut = Cut::new(0);
            }
        }
        ends
    }

    #[test]
    fn real_sizes_move_no_boundary_of_an_ordinary_node() {
        let small = ends(20_000, 100); // a directory
        assert!(small.len() > 100, "{}", small.len());
        assert_eq!(small, ends(20_000, 300)); // a file of a few chunks
    }

    #[test]
    fn nodes_of_large_entries_end_by_hash_before_they_must() {
        // Entries of 2.7 KiB: hardly any may reach the hard limit, where boundaries drift for long.
        let ends = ends(10_000, 2_700);
        let most = usize::try_from(MAX_REAL_BYTES / 2_700).unwrap();
        let forced = ends.windows(2).filter(|pair| pair[1] - pair[0] > most).count();
        assert!(ends.len() > 200 && forced * 10 < ends.len(), "{forced} of {}", ends.len());
    }

    #[test]
    fn the_hash_is_pinned() {
        // What docs/manifest-cutting.md gives; a change here changes the root of every manifest.
        assert_eq!(ends(400, 180), [125, 226, 310, 360]);
    }
}
