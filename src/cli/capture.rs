//! Databases are captured by this program, started again under a hidden command.

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::host::Host;
use larder::observe::Observer;
use larder::ops::spool::SpoolDir;
use larder::repo::space::MinFree;
use larder::snapshot::archive::capture::Capture;
use larder::sqlite::capture::capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::options::{CaptureOptions, DEFAULT_SILENCE, HelperCommand};
use larder::sqlite::questions::ReferenceQuery;

use crate::cli::failure::{Failure, Result as CliResult};

/// How this program is started as a helper. The link leads to this program also when its file was replaced meanwhile; without /proc its path must do.
pub(crate) fn helper() -> CliResult<HelperCommand> {
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        return Ok(HelperCommand::of(link));
    }
    let program =
        std::env::current_exe().map_err(|error| Failure::io("finding this program", &error))?;
    Ok(HelperCommand::of(program))
}

/// Captures through the helper process.
pub(crate) struct HelperCapture<'a> {
    /// The helper.
    pub(crate) helper: HelperCommand,
    /// Where the captured bytes are kept meanwhile.
    pub(crate) spool_dir: PathBuf,
    /// How long a writer's lock is waited for.
    pub(crate) wait: Duration,
    /// Room that stays free on the spool's disk.
    pub(crate) min_free: MinFree,
    /// The clock.
    pub(crate) host: &'a dyn Host,
    /// Who watches.
    pub(crate) observer: &'a dyn Observer,
}

impl Capture for HelperCapture<'_> {
    fn capture(&self, path: &Path, questions: &[ReferenceQuery]) -> Result<Captured, CaptureError> {
        let options = CaptureOptions {
            helper: &self.helper,
            spool_dir: &self.spool_dir,
            wait: self.wait,
            silence: DEFAULT_SILENCE,
            min_free_bytes: SpoolDir { dir: &self.spool_dir, min_free: self.min_free }
                .reserve_bytes(),
            questions,
            now_ns: &|| self.host.now_ns(),
            elapsed: &|| Duration::from_nanos(self.host.now_ns().unsigned_abs()),
            observer: self.observer,
        };
        capture(&options, path)
    }
}
