//! What larder's tests are made with: hosts, disks, backends, blobs and trees that a test decides.

pub mod campaign;
pub mod host;
pub mod memory_blobs;
