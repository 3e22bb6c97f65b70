//! The whole product over a simulated repository disk.
//!
//! The source is a real directory, the repository lies on `SimDisk`, the
//! capture of databases is a copy made by the test. Not here: the disk and the
//! backends by themselves (`crash_disk`, `stage_faults`, `conformance`).
//!
//! Invariant of every scenario: what was reported as saved reads back exactly,
//! and what is visible is complete, whatever happened to the disk.

mod budget;
mod copies;
mod crash;
mod damage;
mod faults;
mod heal;
mod killed;
mod locks;
mod missing;
pub(crate) mod rig;
pub(crate) mod ruled_disk;
mod scenario;
mod space;
mod threads;
pub(crate) mod tree;
mod versions;
