//! Writing entries back as files.
//!
//! Not here: reading manifests and blobs, which come in as an iterator and as [`contents::FileContents`].
//!
//! Invariants: whatever the entries say, nothing outside the target directory is created, changed or followed to; bytes
//! are proved before they are written; a file that could not be written whole has no name; nothing is overwritten,
//! what is in the way of a named path moves aside; owners, modes and times come last.

pub mod contents;
pub mod error;
mod links;
mod make;
mod metadata;
pub mod plan;
mod replace;
pub mod report;
pub mod run;
mod target;
mod write;
