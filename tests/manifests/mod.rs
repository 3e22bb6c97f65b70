//! Manifests and contents over blobs in memory.

mod content;
mod hostile;
mod model;
mod properties;
mod reach;
mod shape;
