//! Counting what a snapshot holds, and collecting what is to be said about it.

use crate::codec::manifest::{Entry, EntryKey, EntryKind};
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
    /// Dangling references that are too many to be held.
    pub(super) unlisted: u64,
    /// Of those, how many nobody has accepted.
    pub(super) unlisted_open: u64,
}

/// From so many findings on, dangling references are only counted: a database may name a million files that are elsewhere.
const MAX_HELD: usize = 10_000;

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
            self.problem(entry.key.clone(), &Problem::AttributesTooLarge);
        }
    }

    /// Says it of an entry of the manifest, at last: what was read while it changed may have been read again.
    pub(super) fn unstable(&mut self, key: &EntryKey) {
        let what = "kept changing while it was read; what is saved is not one state of it";
        self.finding(key.clone(), what);
    }

    /// Takes back what was said of a file that was then read after all.
    pub(super) fn forget(&mut self, key: &EntryKey) {
        let of_file = [FindingKind::Source, FindingKind::Unreadable];
        self.findings.retain(|it| !of_file.contains(&it.kind) || it.key != *key);
        self.notices.retain(|it| it.key != *key);
    }

    /// Counts a file that was read again: as it is now instead of as it was, both against the parent's entry.
    pub(super) fn recount(
        &mut self,
        parent: Option<&Entry>,
        before: Option<&Entry>,
        after: &Entry,
    ) {
        if let Some(count) = self.count_of(parent, before) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.count_of(parent, Some(after)) {
            *count += 1;
        }
    }

    fn count_of(&mut self, parent: Option<&Entry>, entry: Option<&Entry>) -> Option<&mut u64> {
        let is_file = |entry: &&Entry| matches!(entry.kind, EntryKind::File(_));
        match (parent.filter(is_file), entry.filter(is_file)) {
            (None, None) => None,
            (None, Some(_)) => Some(&mut self.counts.new_files),
            (Some(_), None) => Some(&mut self.counts.removed_files),
            (Some(parent), Some(entry)) => {
                differs(parent, entry).then_some(&mut self.counts.changed_files)
            }
        }
    }

    /// A file that a row names and that is not there as the row says.
    pub(super) fn dangling(&mut self, finding: SourceFinding, is_accepted: bool) {
        if self.findings.len() < MAX_HELD {
            self.findings.push(finding);
        } else {
            self.unlisted += 1;
            self.unlisted_open += u64::from(!is_accepted);
        }
    }

    /// Counts a file that was read as new or changed against the parent's entry of the same path.
    pub(super) fn compare(&mut self, previous: Option<&Entry>, entry: &Entry) {
        match previous.map(|previous| (&previous.kind, previous)) {
            Some((EntryKind::File(_), previous)) => {
                self.counts.changed_files += u64::from(differs(previous, entry));
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
            self.finding_of(kind_of(problem), key, problem.to_string());
        }
    }
}

/// What lasts is told from what happened while the source was read.
fn kind_of(problem: &Problem) -> FindingKind {
    match problem {
        Problem::Unreadable(_)
        | Problem::PathTooLong
        | Problem::NameTooLong
        | Problem::AttributesTooLarge => FindingKind::Unreadable,
        Problem::Vanished | Problem::Replaced | Problem::ListedTwice => FindingKind::Source,
    }
}

/// True when two entries of files have other bytes, or what a person would call changed.
fn differs(before: &Entry, after: &Entry) -> bool {
    let (EntryKind::File(old), EntryKind::File(new)) = (&before.kind, &after.kind) else {
        return false;
    };
    (old.size, &old.content) != (new.size, &new.content) || !same_metadata(before, after)
}

/// What a person would call unchanged: another inode or another time of reading is no change.
fn same_metadata(a: &Entry, b: &Entry) -> bool {
    (a.mode, a.uid, a.gid, a.mtime, &a.xattrs) == (b.mode, b.uid, b.gid, b.mtime, &b.xattrs)
}
