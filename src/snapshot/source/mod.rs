//! Reading what is to be saved: the walk, the metadata, the bytes.
//!
//! Not here: chunks, blobs, manifests, and databases, whose files are recognised and captured elsewhere.
//!
//! Invariants: nothing is read through a symbolic link (only the root itself may be one); a file is never mapped into
//! memory; nothing but a regular file is ever opened for reading; no error of a source becomes one of the repository.

pub mod error;
pub mod exclude;
pub mod metadata;
pub mod read;
pub mod sparse;
pub mod unchanged;
pub mod walk;
