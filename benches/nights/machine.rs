//! A capture that copies a database at rest.

use std::fs::{self, File};
use std::io::{Seek as _, copy};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel, JournalMode};
use larder::snapshot::archive::capture::Capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::questions::ReferenceQuery;
use larder_benches::host::now_ns;

/// Copies files instead of capturing databases.
pub(crate) struct Copying {
    pub(crate) spool_dir: PathBuf,
}

impl Capture for Copying {
    fn capture(&self, path: &Path, _: &[ReferenceQuery]) -> Result<Captured, CaptureError> {
        let unreadable = |source| CaptureError::Source { path: path.to_owned(), source };
        let metadata = fs::metadata(path).map_err(unreadable)?;
        let mut file = tempfile::tempfile_in(&self.spool_dir).map_err(unreadable)?;
        copy(&mut File::open(path).map_err(unreadable)?, &mut file).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        Ok(Captured {
            file,
            len: metadata.len(),
            inode: (metadata.dev(), metadata.ino()),
            label: DatabaseLabel::Committed,
            method: CaptureMethod::Immutable,
            page_size: 4096,
            page_count: metadata.len() / 4096,
            journal_mode: JournalMode::Wal,
            check: CheckResult::QuickOk,
            knowledge: None,
            answers: Vec::new(),
            started_ns: now_ns(),
            identity: None,
        })
    }
}

/// CPU time of this process.
pub(crate) fn usage() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|it| it.parse::<u64>().ok()).unwrap_or(0);
    Duration::from_millis((ticks(11) + ticks(12)) * 10)
}

/// Anonymous memory at its highest, which the system says only together with files; the present amount is what there is.
pub(crate) fn peak_anonymous_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok()).unwrap_or(0) << 10
}
