//! How long work reports to whoever started it, and how it is told to stop.
//!
//! Traits and plain data only: no terminal, no file, no clock. The lower layers
//! call an [`Observer`]; a front end decides what a person or a program sees.

use std::fmt;

/// A stretch of work with one kind of total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Walking the source and storing what is new in it.
    Files,
    /// Capturing databases.
    Databases,
    /// Making what was written durable, and naming it.
    Commit,
    /// Writing files back.
    Restore,
    /// Walking manifests and comparing them with index and packs.
    CheckStructure,
    /// Reading stored bytes and hashing them.
    CheckData,
    /// Walking manifests to learn what snapshots need.
    Mark,
    /// Writing again what lives in packs that are to go.
    Rewrite,
}

/// How much a phase has to do, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// Objects (files, databases, packs) of the phase.
    pub items: u64,
    /// Bytes of the phase.
    pub bytes: u64,
    /// Foreseen from an earlier run, not counted.
    pub estimated: bool,
}

/// One thing that went less than well, with the object that it concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The object: a path of the source as bytes, or the name of a repository object.
    pub subject: Vec<u8>,
    /// What happened, and what it means for the result.
    pub message: String,
}

impl Warning {
    /// A warning about this object.
    pub fn about(subject: impl Into<Vec<u8>>, message: impl Into<String>) -> Self {
        Self { subject: subject.into(), message: message.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", String::from_utf8_lossy(&self.subject), self.message)
    }
}

/// A program that is at work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// What it does, as on the command line.
    pub command: String,
    /// The machine that it runs on.
    pub host: String,
    /// Its process there.
    pub pid: u32,
    /// Since when, nanoseconds since 1970.
    pub since_ns: i64,
}

/// Something that others hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupied {
    /// What is held.
    pub what: String,
    /// Who is at work and has said so, which those do not who only read.
    pub holders: Vec<Holder>,
}

impl fmt::Display for Occupied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is in use", self.what)?;
        for (n, Holder { command, host, pid, .. }) in self.holders.iter().enumerate() {
            write!(f, "{} `{command}` on {host}, process {pid}", if n == 0 { " by" } else { ";" })?;
        }
        Ok(())
    }
}

/// Receives progress and warnings from any thread; says when to stop.
pub trait Observer: Sync {
    /// A phase begins; the phase before it has ended.
    fn begin(&self, phase: Phase, total: Option<Total>);

    /// So many more objects and bytes of the current phase are done.
    fn advance(&self, items: u64, bytes: u64);

    /// Something is not as it should be; the work goes on.
    fn warn(&self, warning: Warning);

    /// Something that a person may want to know now; nothing is wrong.
    fn remark(&self, _: Warning) {}

    /// Somebody else is waited for; said once a wait.
    fn waits(&self, _for: &Occupied) {}

    /// True once the work should stop at the next safe point.
    fn cancelled(&self) -> bool {
        false
    }
}

/// An observer that looks away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn begin(&self, _: Phase, _: Option<Total>) {}

    fn advance(&self, _: u64, _: u64) {}

    fn warn(&self, _: Warning) {}
}
