//! What larder's tests run on: a disk that loses what was not synced, a disk
//! that refuses, a table at which one call is made at a time, a backend that
//! fails and counts, blobs in memory, seeded trees
//! and the comparator of trees.
//!
//! Everything here is deterministic: decisions come from a seed, time from a
//! counter. Not here: assertions about larder, which belong to the tests.

pub mod campaign;
pub mod compare;
pub mod fault_backend;
pub mod host;
pub mod memory_blobs;
pub mod refusing_disk;
pub mod seed;
pub mod sim_disk;
pub mod trees;
pub mod turns;
