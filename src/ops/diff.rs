//! What changed between two snapshots.

use crate::error::{Error, Result};
use crate::repo::blobs::BlobRead;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::manifest::diff::{Change, Changes, Differences};

/// Changes, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DiffSummary {
    /// Only in the later one.
    pub added: u64,
    /// Only in the earlier one.
    pub removed: u64,
    /// In both, with other bytes or of another kind.
    pub modified: u64,
    /// In both, with other metadata alone.
    pub metadata_only: u64,
}

/// Hands out every change between two snapshots of one source, in the order of paths. What differs only in what the file system keeps
/// for itself is no change.
pub fn diff(
    blobs: &dyn BlobRead,
    before: &Snapshot,
    after: &Snapshot,
    mut each: impl FnMut(&Change) -> Result<()>,
) -> Result<DiffSummary> {
    if before.record.source != after.record.source {
        let (a, b) = (&before.record.source, &after.record.source);
        return Err(Error::Usage {
            what: format!("the snapshots are of different sources, {a:?} and {b:?}"),
        });
    }
    let mut summary = DiffSummary::default();
    for change in Changes::between(blobs, &before.record.manifest, &after.record.manifest)? {
        let change = change?;
        if summary.count(&change) {
            each(&change)?;
        }
    }
    Ok(summary)
}

impl DiffSummary {
    /// Counts a change; false when it is none.
    fn count(&mut self, change: &Change) -> bool {
        match change {
            Change::Added(_) => self.added += 1,
            Change::Removed(_) => self.removed += 1,
            Change::Changed { before, after } => {
                let differences = Differences::between(before, after);
                match (differences.kind || differences.content, differences.metadata) {
                    (true, _) => self.modified += 1,
                    (false, true) => self.metadata_only += 1,
                    (false, false) => return false,
                }
            }
        }
        true
    }
}
