//! The durable structures from outside: round trips, hostile bytes, and the vectors of `docs/format.md`.
//!
//! Rules of single structures are tested beside them in `src/codec`. Here every
//! structure meets the same treatment, so that a new one cannot be forgotten.

pub(crate) mod allocation;
mod mutations;
mod roundtrip;
mod samples;
mod segments;
mod strategies;
mod vectors;
