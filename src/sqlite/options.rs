//! What a capture is told: the helper, the spool, the limits, the clock, who watches.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::observe::Observer;
use crate::sqlite::questions::ReferenceQuery;

/// The name of the hidden command that runs the helper.
pub const HELPER_COMMAND: &str = "capture-helper";

/// How long a writer's lock is waited for, if nothing else is said.
pub const DEFAULT_WAIT: Duration = Duration::from_mins(1);

/// How long a helper may be silent; it speaks twice a second.
pub const DEFAULT_SILENCE: Duration = Duration::from_mins(2);

/// How the helper is started: larder's own binary and [`HELPER_COMMAND`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HelperCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
}

impl HelperCommand {
    /// The usual command of this program.
    pub fn of(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: vec![HELPER_COMMAND.into()] }
    }
}

/// How to capture.
#[derive(Clone, Copy)]
pub struct CaptureOptions<'a> {
    /// The helper process.
    pub helper: &'a HelperCommand,
    /// Where the spool is made; never in a repository.
    pub spool_dir: &'a Path,
    /// How long a writer's lock is waited for.
    pub wait: Duration,
    /// After so long without a sign of life a helper is killed.
    pub silence: Duration,
    /// Bytes that must stay free on the spool's disk.
    pub min_free_bytes: u64,
    /// What is asked about the captured bytes.
    pub questions: &'a [ReferenceQuery],
    /// The time, in nanoseconds since 1970.
    pub now_ns: &'a (dyn Fn() -> i64 + Sync),
    /// The time since any moment, by which a helper's steps are measured.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
    /// Receives warnings, and says when to stop.
    pub observer: &'a dyn Observer,
}
