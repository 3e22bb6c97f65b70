//! What a snapshot means: walking the source, manifests, archiving, restoring.
//!
//! Not here: packs, index, backends (`repo`), and anything printed.

pub mod beneath;
mod trail;

pub mod source;

pub mod restore;
