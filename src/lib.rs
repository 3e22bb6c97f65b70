//! larder: content-addressed, deduplicating snapshots of a live application's
//! directory, its `SQLite` databases and the files they refer to.
//!
//! The stable promises of this project are its repository format
//! (`docs/format.md`) and its command line. The Rust interface serves larder's
//! own front ends and may change with any release.
//!
//! Modules in the order of their layers; each imports only from above it in
//! this list (`cargo xtask layers` checks that).

#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]
#![cfg_attr(not(test), deny(clippy::disallowed_methods))]

pub mod host;
pub mod id;
pub mod observe;

pub mod chunker;
pub mod codec;
pub mod delta;
pub mod sqlite;

pub mod repo;

pub mod snapshot;

pub mod error;

pub mod ops;
