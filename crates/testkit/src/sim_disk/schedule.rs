//! Planned failures, and the counters that they go by.

use std::io;

use larder::repo::disk::DiskError;
use rustix::io::Errno;

/// Something that was tried on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// The verb.
    pub verb: &'static str,
    /// The path, or both of them with an arrow between.
    pub path: String,
}

/// How often a planned failure happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// At the planned operation only.
    Once,
    /// At the planned operation and every later one of its class.
    Sticky,
}

/// Whether an operation may change anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    Change,
    /// A change that a read-only file system allows (taking a lock).
    Lock,
    Read,
}

/// Why an operation does not take its normal course.
pub(super) struct Denied {
    pub(super) error: DiskError,
    /// The failure was planned on a living machine, so it may have side effects.
    pub(super) planned: bool,
}

impl From<Denied> for DiskError {
    fn from(denied: Denied) -> Self {
        denied.error
    }
}

#[derive(Clone)]
struct Plan {
    at: u64,
    errno: Errno,
    repeat: Repeat,
    fired: bool,
}

impl Plan {
    fn strikes(&mut self, n: u64) -> Option<Errno> {
        let strikes = match self.repeat {
            Repeat::Once => n == self.at,
            Repeat::Sticky => n >= self.at,
        };
        self.fired |= strikes;
        strikes.then_some(self.errno)
    }
}

/// Decides of each operation whether it happens.
#[derive(Default)]
pub(super) struct Schedule {
    reads: u64,
    log: Vec<Operation>,
    crash_at: Option<u64>,
    dead: bool,
    change_plans: Vec<Plan>,
    read_plans: Vec<Plan>,
    /// Changes before the first look that failed as planned.
    before_failed_read: Option<u64>,
    pub(super) read_only: bool,
}

impl Schedule {
    pub(super) fn changes(&self) -> u64 {
        self.log.len() as u64
    }

    pub(super) fn reads(&self) -> u64 {
        self.reads
    }

    pub(super) fn log(&self) -> &[Operation] {
        &self.log
    }

    pub(super) fn before_failed_read(&self) -> Option<u64> {
        self.before_failed_read
    }

    pub(super) fn crash_at(&mut self, n: u64) {
        self.crash_at = Some(n);
    }

    pub(super) fn revive(&mut self) {
        (self.crash_at, self.dead) = (None, false);
    }

    pub(super) fn fail_change(&mut self, at: u64, errno: Errno, repeat: Repeat) {
        self.change_plans.push(Plan { at, errno, repeat, fired: false });
    }

    pub(super) fn fail_read(&mut self, at: u64, errno: Errno, repeat: Repeat) {
        self.read_plans.push(Plan { at, errno, repeat, fired: false });
    }

    pub(super) fn fired(&self) -> bool {
        let mut plans = self.change_plans.iter().chain(&self.read_plans).peekable();
        let planned = self.crash_at.is_some() || plans.peek().is_some();
        planned && plans.all(|plan| plan.fired) && (self.crash_at.is_none() || self.dead)
    }

    /// Counts an operation, and says why it fails if it does.
    pub(super) fn admit(
        &mut self,
        class: Class,
        verb: &'static str,
        path: &str,
    ) -> Result<(), Denied> {
        let denied = |errno: io::Error, planned| Denied {
            error: DiskError::new(verb, path, errno),
            planned,
        };
        if self.dead {
            return Err(denied(died(), false));
        }
        let struck =
            if class == Class::Read { self.count_read() } else { self.count_change(verb, path) };
        if self.dead {
            return Err(denied(died(), false));
        }
        match struck {
            Some(errno) => Err(denied(errno.into(), true)),
            None if self.read_only && class == Class::Change => {
                Err(denied(Errno::ROFS.into(), false))
            }
            None => Ok(()),
        }
    }

    fn count_read(&mut self) -> Option<Errno> {
        let n = self.reads;
        self.reads += 1;
        let struck = strike(&mut self.read_plans, n);
        if struck.is_some() && self.before_failed_read.is_none() {
            self.before_failed_read = Some(self.changes());
        }
        struck
    }

    fn count_change(&mut self, verb: &'static str, path: &str) -> Option<Errno> {
        let n = self.changes();
        self.log.push(Operation { verb, path: path.to_owned() });
        self.dead = self.crash_at.is_some_and(|at| at <= n);
        if self.dead { None } else { strike(&mut self.change_plans, n) }
    }
}

/// Every plan sees the operation, so that two plans on one operation have both fired.
fn strike(plans: &mut [Plan], n: u64) -> Option<Errno> {
    plans.iter_mut().fold(None, |struck, plan| plan.strikes(n).or(struck))
}

fn died() -> io::Error {
    io::Error::other("the simulated machine is dead")
}
