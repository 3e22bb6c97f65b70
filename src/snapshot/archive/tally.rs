//! Counting what a snapshot holds, and collecting what is to be said about it.

use crate::codec::manifest::{Entry, EntryKey, EntryKind, Origin};
use crate::codec::snapshot::{Counts, FindingKind};
use crate::snapshot::archive::SourceFinding;
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::read::Described;

/// Counts and findings of one run.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) counts: Counts,
    pub(super) findings: Vec<SourceFinding>,
    pub(super) notices: Vec<SourceFinding>,
}

/// What an entry adds to the counts.
#[derive(Clone, Copy)]
pub(super) enum Counted {
    File(u64),
    Directory,
    Other,
}

impl Counted {
    pub(super) fn of(entry: &Entry) -> Self {
        match &entry.kind {
            EntryKind::File(file) => Self::File(file.size),
            EntryKind::Directory => Self::Directory,
            _ => Self::Other,
        }
    }
}

impl Tally {
    pub(super) fn count(&mut self, counted: Counted) {
        match counted {
            Counted::File(bytes) => {
                self.counts.files += 1;
                self.counts.bytes = self.counts.bytes.saturating_add(bytes);
            }
            Counted::Directory => self.counts.dirs += 1,
            Counted::Other => self.counts.others += 1,
        }
    }

    /// Says what an entry lacks of the thing that it stands for.
    pub(super) fn flaws(&mut self, described: &Described) {
        let entry = &described.entry;
        if described.attributes_left_out {
            self.finding(entry.key.clone(), Problem::AttributesTooLarge.to_string());
        }
        if matches!(&entry.kind, EntryKind::File(file) if file.origin == Origin::Unstable) {
            self.finding(
                entry.key.clone(),
                "kept changing while it was read; what is saved is not one state of it",
            );
        }
    }

    /// Counts a file that was read as new or changed against the parent's entry of the same path.
    pub(super) fn compare(&mut self, previous: Option<&Entry>, entry: &Entry) {
        match previous.map(|previous| (&previous.kind, previous)) {
            Some((EntryKind::File(before), previous)) => {
                let EntryKind::File(file) = &entry.kind else { return };
                let same_bytes = (before.size, &before.content) == (file.size, &file.content);
                if !same_bytes || !same_metadata(previous, entry) {
                    self.counts.changed_files += 1;
                }
            }
            _ => self.counts.new_files += 1,
        }
    }

    pub(super) fn finding(&mut self, key: EntryKey, message: impl Into<String>) {
        self.finding_of(FindingKind::Source, key, message);
    }

    pub(super) fn finding_of(
        &mut self,
        kind: FindingKind,
        key: EntryKey,
        message: impl Into<String>,
    ) {
        self.findings.push(SourceFinding { kind, key, message: message.into() });
    }

    pub(super) fn notice(&mut self, key: EntryKey, message: impl Into<String>) {
        let (kind, message) = (FindingKind::Source, message.into());
        self.notices.push(SourceFinding { kind, key, message });
    }

    /// What happens on every live directory is a notice; the rest is a finding.
    pub(super) fn problem(&mut self, key: EntryKey, problem: &Problem) {
        if problem.is_ordinary() {
            self.notice(key, problem.to_string());
        } else {
            self.finding(key, problem.to_string());
        }
    }
}

/// What a person would call unchanged: another inode or another time of reading is no change.
fn same_metadata(a: &Entry, b: &Entry) -> bool {
    (a.mode, a.uid, a.gid, a.mtime, &a.xattrs) == (b.mode, b.uid, b.gid, b.mtime, &b.xattrs)
}
