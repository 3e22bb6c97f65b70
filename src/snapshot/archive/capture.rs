//! Where captured databases come from: the helper process, or a test.

use std::path::Path;

use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::questions::ReferenceQuery;

/// Captures databases, one at a time.
pub trait Capture: Sync {
    /// One state of the database at this path, and what it answers to the questions. An error is a finding about the source, unless it says that the spool is full or that
    /// the caller wants to stop.
    fn capture(&self, path: &Path, questions: &[ReferenceQuery]) -> Result<Captured, CaptureError>;
}
