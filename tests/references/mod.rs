//! References: every file that a captured row names is in the snapshot, or the snapshot says which is not.
//!
//! Here live the protocol step by step, over captures that a test writes itself,
//! what a person accepts, and applications at work. Not here: how rows are asked
//! (the helper's tests).
//!
//! Invariant: no test sleeps. Time passes when the run pauses; only under load that is time of this world.

mod accepted;
mod bad_input;
mod hashes;
mod load;
mod lost;
mod rig;
mod rounds;
mod spools;
mod unchanged;
