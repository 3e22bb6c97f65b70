//! What is written: for people, or as JSON.
//!
//! Here live the console and the shapes of values on it. Not here: what a
//! command has to say (`commands`).
//!
//! Invariant: standard output is data, standard error is for people. Nothing
//! that came from a source or a repository reaches a terminal with its control
//! characters.

pub(crate) mod console;
pub(crate) mod entries;
pub(crate) mod escape;
pub(crate) mod json;
pub(crate) mod known;
pub(crate) mod progress;
pub(crate) mod retention;
pub(crate) mod table;
pub(crate) mod times;
pub(crate) mod units;
pub(crate) mod wording;
