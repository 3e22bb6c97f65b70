//! What changed between two states of a database, and their roots, in one pass.

use crate::snapshot::version::pages::MappedPages;

/// Bytes that are hashed and compared at once: they stay in the cache for the second look.
const WINDOW_BYTES: usize = 1024 * 1024;

/// A comparison with the state before.
pub(super) struct Comparison {
    /// Pages that are not as they were, ascending; all that were not there are among them.
    pub(super) changed: Vec<u32>,
    /// BLAKE3 of the state before.
    pub(super) root_before: [u8; 32],
    /// BLAKE3 of the state now.
    pub(super) root: [u8; 32],
}

/// Compares page by page; both have pages of one size.
pub(super) fn compare(before: &MappedPages, now: &MappedPages) -> Comparison {
    let pages = (WINDOW_BYTES / now.page_bytes()).max(1);
    let window = pages * now.page_bytes();
    let (mut old_hash, mut new_hash) = (blake3::Hasher::new(), blake3::Hasher::new());
    let mut changed = Vec::new();
    let (mut old, mut first) = (before.bytes().chunks(window), 1_u32);
    for new in now.bytes().chunks(window) {
        let old = old.next().unwrap_or_default();
        rayon::join(|| old_hash.update(old), || new_hash.update(new));
        differing(old, new, now.page_bytes(), first, &mut changed);
        first = first.saturating_add(u32::try_from(pages).unwrap_or(u32::MAX));
    }
    for rest in old {
        old_hash.update(rest);
    }
    let (root_before, root) = (*old_hash.finalize().as_bytes(), *new_hash.finalize().as_bytes());
    Comparison { changed, root_before, root }
}

/// Pages that differ, without roots.
pub(super) fn changed(before: &MappedPages, now: &MappedPages) -> Vec<u32> {
    let mut changed = Vec::new();
    differing(before.bytes(), now.bytes(), now.page_bytes(), 1, &mut changed);
    changed
}

fn differing(old: &[u8], new: &[u8], page_bytes: usize, first: u32, changed: &mut Vec<u32>) {
    let mut old = old.chunks(page_bytes);
    for (new, number) in new.chunks(page_bytes).zip(first..) {
        if old.next() != Some(new) {
            changed.push(number);
        }
    }
}

/// BLAKE3 of a state.
pub(super) fn root_of(pages: &MappedPages) -> [u8; 32] {
    *blake3::Hasher::new().update_rayon(pages.bytes()).finalize().as_bytes()
}
