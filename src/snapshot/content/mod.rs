//! What a file contains, as references to chunks: writing the lists, reading them back.
//!
//! Not here: where the chunks come from (`chunker`), and the bytes of a list (`codec::content`).
//!
//! Invariant: the lists are a function of the sequence of chunks alone, and a
//! reader believes no length that does not add up.

use crate::codec::content::ChunkRef;

pub mod read;
pub mod write;

/// The most levels of lists; a writer's lists of at least 256 items never need half of them.
pub(super) const MAX_LEVEL: u8 = 16;

/// Bytes that these chunks stand for; `None` above 2^64.
pub fn inline_len(chunks: &[ChunkRef]) -> Option<u64> {
    chunks.iter().try_fold(0_u64, |sum, chunk| sum.checked_add(chunk.len))
}
