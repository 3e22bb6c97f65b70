//! A run that is to end ends soon, whatever it is at.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::codec::snapshot::JournalMode;
use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel};
use larder::observe::{Observer, Phase, Total, Unobserved, Warning};
use larder::snapshot::archive::ArchiveError;
use larder::snapshot::archive::capture::Capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::questions::ReferenceQuery;

use crate::archive::rig::{NoCapture, Rig, Sink};

const MIB: usize = 1 << 20;

/// Wants to stop as soon as anything was stored.
struct StopAtFirstByte<'a>(&'a AtomicU64);

impl Observer for StopAtFirstByte<'_> {
    fn begin(&self, _: Phase, _: Option<Total>) {}

    fn advance(&self, _: u64, _: u64) {}

    fn warn(&self, _: Warning) {}

    fn cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 0
    }
}

/// Bytes that no two pieces of are alike.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let words = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 8).to_le_bytes()
    });
    words.take(len / 8).flatten().collect()
}

#[test]
fn the_last_large_file_is_not_read_to_its_end() {
    let (rig, sink) = (Rig::new(), Sink::new());
    fs::write(rig.path("large"), noise(40 * MIB)).unwrap();
    let stop = StopAtFirstByte(&sink.bytes);
    let ended = rig.archive(&sink, (&|| 1, &NoCapture), &stop);
    assert!(matches!(ended, Err(ArchiveError::Cancelled)), "{ended:?}");
    let bytes = sink.bytes.load(Ordering::Relaxed);
    assert!(bytes < 16 * MIB as u64, "{bytes} bytes were stored of a file that nobody wants");
}

/// Gives 64 MiB of pages for any database.
struct Large;

impl Capture for Large {
    fn capture(
        &self,
        path: &Path,
        _questions: &[ReferenceQuery],
    ) -> Result<Captured, CaptureError> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&noise(64 * MIB)).unwrap();
        let there = File::open(path).unwrap().metadata().unwrap();
        Ok(Captured {
            file,
            len: 64 * MIB as u64,
            inode: (there.dev(), there.ino()),
            label: DatabaseLabel::Committed,
            method: CaptureMethod::OnlineBackup,
            page_size: 4096,
            page_count: (64 * MIB / 4096) as u64,
            journal_mode: JournalMode::Wal,
            check: CheckResult::QuickOk,
            knowledge: None,
            answers: Vec::new(),
            started_ns: 1,
            identity: None,
        })
    }
}

#[test]
fn a_large_database_is_not_stored_to_its_end() {
    let (rig, sink) = (Rig::new(), Sink::new());
    fs::write(rig.path("a.db"), [b"SQLite format 3\0".as_slice(), &[0; 4080]].concat()).unwrap();
    let stop = StopAtFirstByte(&sink.bytes);
    let ended = rig.archive(&sink, (&|| 1, &Large), &stop);
    assert!(matches!(ended, Err(ArchiveError::Cancelled)), "{ended:?}");
    let bytes = sink.bytes.load(Ordering::Relaxed);
    assert!(bytes < 16 * MIB as u64, "{bytes} bytes were stored of a database that nobody wants");
}

/// Workers that panic leave jobs behind that nobody will do.
#[test]
fn a_run_whose_workers_panic_ends() {
    let (rig, sink) = (Rig::new(), Sink::new());
    for number in 0..50 {
        fs::write(rig.path(&format!("{number:03}")), "x").unwrap();
    }
    let clock = || -> i64 { panic!("the clock stands still") };
    let run = || rig.archive(&sink, (&clock, &NoCapture), &Unobserved).map(drop);
    let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    assert!(ended.is_err(), "the run has kept the panic to itself");
}
