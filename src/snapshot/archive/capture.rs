//! Where captured databases come from: the helper process, or a test.

use std::fs::File;
use std::path::Path;

use crate::codec::snapshot::{CaptureMethod, CheckResult, DatabaseIdentity, DatabaseLabel};

/// The bytes of a database, and what is known of them.
#[derive(Debug)]
pub struct CapturedDatabase {
    /// The bytes, from offset 0.
    pub file: File,
    /// How many.
    pub len: u64,
    /// What kind of state they are.
    pub label: DatabaseLabel,
    /// How they were obtained.
    pub method: CaptureMethod,
    /// Bytes a page; 0 when unknown.
    pub page_size: u32,
    /// Pages; 0 when unknown.
    pub page_count: u64,
    /// What a check of the captured bytes said.
    pub check: CheckResult,
    /// When the read transaction began, nanoseconds since 1970.
    pub captured_at_ns: i64,
    /// What the database looked like on disk, when that was the same before and after.
    pub identity: Option<DatabaseIdentity>,
}

impl CapturedDatabase {
    /// True when the bytes are complete without the files beside the database.
    pub fn is_complete(&self) -> bool {
        self.method != CaptureMethod::RawCopy
    }
}

/// Captures databases, one at a time.
pub trait Capture: Sync {
    /// One state of the database at this path. The error says why there is none; it is a finding about the source.
    fn capture(&self, path: &Path) -> Result<CapturedDatabase, String>;
}
