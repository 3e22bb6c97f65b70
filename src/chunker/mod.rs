//! Where bytes are cut into chunks, and the ids of the chunks.
//!
//! Here live the gear chunker, the choice of how a file is cut, the page groups
//! of a database, and the parallel hashing of what was cut. Not here: opening
//! and walking files, storing chunks, whether a chunk is already there.
//!
//! Invariant: the cuts of a file depend on its bytes, its length and [`Params`]
//! alone, never on how reads fell, on threads or on the machine; joined again,
//! the chunks are the file. Two backups that disagree about a cut store the same
//! bytes twice, so everything here is part of the format (`docs/chunking.md`).
//!
//! [`Params`]: params::Params

pub mod hash;
pub mod media;
pub mod pages;
pub mod params;
pub mod plan;
pub mod stream;

mod gear;
#[cfg(test)]
mod reference;
