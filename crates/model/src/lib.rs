//! A model of the protocol by which larder's commands share a repository, and a search through everything that can happen.
//!
//! Here live the commands as sequences of backend calls, a disk that loses unsynced directory entries, the rules of the
//! protocol as switches, and the properties that must hold in every state. Not here: bytes, blobs beyond two, chunking,
//! parity, quarantine, and any code of larder itself: the model says what the code must do, and shares none of its mistakes.
//!
//! Invariant: with all guards the search finds no violation; without any single one it does, and shows the way there. A
//! scenario is bounded (a few commands, at most two blobs, so many kills and power losses), and within its bounds the
//! search is complete: it is breadth-first, so what it shows is a shortest way.

pub mod disk;
pub mod guard;
pub mod object;
pub mod scenario;
pub mod search;

mod invariant;
mod process;
mod state;
mod view;
