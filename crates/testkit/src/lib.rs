//! t

pub mod memory_blobs;
