//! Manifests: the sorted entries of a snapshot, as a tree cut by content.
//!
//! Here: building, reading and comparing them. Not here: what an entry's bytes
//! look like (`codec::manifest`), and where entries come from (the archive).
//!
//! Invariant: the root is a function of the set of entries alone. A change of
//! one entry's content changes one leaf and its ancestors.

pub(in crate::snapshot) mod cursor;
mod cut;
mod entry;
mod node;

pub mod build;
pub mod diff;
pub mod read;

pub use entry::MAX_ENTRY_BYTES;
