//! Forgetting and pruning over a simulated repository disk, with real manifests.
//!
//! `rig` holds a small source and the walk that marks; `scenario` cuts work off
//! at any operation. Not here: the plan by itself (a unit test of its module),
//! the use cases above it.
//!
//! Invariant of every scenario: a snapshot that was promised reads back exactly
//! whatever happened, what is visible is complete, and the next backup and the
//! next prune succeed without anybody's help.

mod basics;
mod beside;
mod budget;
mod crash;
mod faults;
mod full;
mod killed;
mod places;
mod rig;
mod scenario;
mod twice;
mod undo;
mod unfinished;
