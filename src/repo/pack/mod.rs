//! Packs: many blobs of one class in one immutable object.
//!
//! Here live the writer and the reader of single packs. Not here: which pack a
//! blob is in (`repo::index`), which packs are needed (`snapshot`).
//!
//! Invariant: a pack is self-describing, and every byte of it is covered: the
//! header by a check in the footer, each payload by its id or by a check in the
//! trailer, trailer and footer by the pack's name.

pub mod read;
pub mod write;
