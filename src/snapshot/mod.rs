//! What a snapshot means: walking the source, manifests, archiving, restoring.
//!
//! Not here: packs, index, backends (`repo`), and anything printed.
//!
//! Invariant: equal entries make equal manifests, whatever was there before,
//! and nothing that is read back is believed before it was checked.

pub mod error;

mod structure;
mod tower;

pub mod content;
pub mod manifest;
pub mod reach;
pub mod select;

pub mod beneath;
mod trail;

pub mod source;

pub mod version;

pub mod archive;

pub mod restore;

pub mod retention;
