//! What larder's tests run on: a disk that loses what was not synced, a disk
//! that refuses, a backend that fails and counts.
//!
//! Everything here is deterministic: decisions come from a seed, time from a
//! counter. Not here: assertions about larder, which belong to the tests.

pub mod fault_backend;
pub mod refusing_disk;
pub mod seed;
pub mod sim_disk;
