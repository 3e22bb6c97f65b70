//! References: every file that a captured row names is in the snapshot, or the snapshot says which is not.
//!
//! Here live the protocol step by step, over captures that a test writes itself,
//! and what a person accepts. Not here: how rows are asked (the helper's tests).
//!
//! Invariant: no test sleeps; time passes when the run pauses.

mod accepted;
mod bad_input;
mod hashes;
mod rig;
mod rounds;
mod unchanged;
