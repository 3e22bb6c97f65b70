//! What a file contains, as references to chunks: writing the lists, reading them back.
//!
//! Not here: where the chunks come from (`chunker`), and the bytes of a list (`codec::content`).
//!
//! Invariant: the lists are a function of the sequence of chunks alone, and a
//! reader believes no length that does not add up.

pub mod read;
pub mod write;
