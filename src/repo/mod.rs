//! The repository: blobs in packs, found through an index, named by snapshots.
//!
//! Not here: what a manifest means, the user's files. Invariant: objects are
//! immutable and are published in one order, packs, index, snapshot, each
//! durable before the next.

pub mod disk;

pub mod backend;

pub mod error;

pub mod blobs;
