//! The machine that larder runs on, as far as the result depends on it.
//!
//! Clock, waiting, randomness and names are asked for here and nowhere else in the
//! library, so that a test decides all of them.

use std::fmt;
use std::time::Duration;

/// Clock, randomness and names, given by the front end.
pub trait Host: Send + Sync + fmt::Debug {
    /// The wall clock, nanoseconds since 1970.
    fn now_ns(&self) -> i64;

    /// Lets so much time pass: something that another program is about to do is waited for.
    fn pause(&self, time: Duration);

    /// Fills the buffer with bytes that nobody can foresee.
    fn fill_random(&self, buffer: &mut [u8]);

    /// The machine's name.
    fn name(&self) -> String;

    /// Who is working.
    fn user(&self) -> String;

    /// The process.
    fn pid(&self) -> u32;

    /// What was asked for, as on the command line.
    fn command(&self) -> String;
}
