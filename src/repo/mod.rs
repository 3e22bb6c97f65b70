//! The repository: blobs in packs, found through an index, named by snapshots.
//!
//! Not here: what a manifest means, the user's files. Invariant: objects are
//! immutable and are published in one order, packs, index, snapshot, each
//! durable before the next.
//!
//! In the order of their layers: each module imports only from those above it.

pub mod disk;

pub mod backend;

pub mod error;
pub mod layout;

mod foreign;

mod named;

pub mod compress;
pub mod locks;
pub mod pack;
pub mod space;

pub mod blobs;
pub mod index;
pub mod repository;

pub mod facts;
pub mod snapshots;

pub mod distrust;
pub mod missing;
pub mod verify;

pub mod read;
pub mod session;

pub mod prune;

pub mod forget;
