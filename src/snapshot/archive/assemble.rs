//! The third act: draft and late entries become the manifest, in the order of keys.

use crate::codec::manifest::{Entry, EntryKey, EntryKind, Origin};
use crate::codec::snapshot::{DatabaseRecord, FindingKind};
use crate::id::BlobId;
use crate::observe::Observer;
use crate::repo::blobs::BlobWrite;
use crate::snapshot::archive::databases::record::record_as_it_lies;
use crate::snapshot::archive::draft::Finished;
use crate::snapshot::archive::late::LateEntries;
use crate::snapshot::archive::references::carry::questions_tag;
use crate::snapshot::archive::references::hashes::Hashes;
use crate::snapshot::archive::references::outcome::Outcome;
use crate::snapshot::archive::tally::{Counted, Tally};
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::error::SnapshotError;
use crate::snapshot::manifest::build::ManifestBuilder;
use crate::snapshot::manifest::read::is_beneath;

/// Builds the manifest, and compares what rows name with what is in it.
pub(super) fn assemble(
    request: &Request<'_>,
    (blobs, observer): (&dyn BlobWrite, &dyn Observer),
    draft: &mut Finished,
    (late, hashes): (LateEntries, Hashes),
    tally: &mut Tally,
) -> Result<(BlobId, Vec<DatabaseRecord>), ArchiveError> {
    let LateEntries { entries: mut late, mut databases, named, mut lost, .. } = late;
    let outcome = Outcome::new(named, hashes);
    let mut assembly =
        Assembly { builder: ManifestBuilder::new(blobs), outcome, tally, leaf: None };
    for entry in draft.entries().map_err(ArchiveError::Spool)? {
        let entry = entry.map_err(ArchiveError::Spool)?;
        if observer.cancelled() {
            return Err(ArchiveError::Cancelled);
        }
        let later = late.split_off(&entry.key);
        for (_, before) in std::mem::replace(&mut late, later) {
            assembly.push(before)?;
        }
        // What came late knows better than the draft.
        let mut entry = late.remove(&entry.key).unwrap_or(entry);
        if let Some(why) = lost.remove(&entry.key) {
            databases.extend(as_walked(&mut entry, &why));
            let what = format!("not captured: {why}; its bytes were saved as the walk read them");
            assembly.tally.finding_of(FindingKind::Database, entry.key.clone(), what);
        }
        assembly.push(entry)?;
    }
    for (_, after) in late {
        assembly.push(after)?;
    }
    let Assembly { builder, outcome, tally, .. } = assembly;
    for (key, why) in lost {
        tally.finding(key, format!("database not saved: {why}"));
    }
    databases.sort_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
    let root = builder.finish()?.root;
    for looked in outcome.finish(request.accepted, tally) {
        let is_it = |it: &&mut DatabaseRecord| {
            (it.root, &it.path) == (looked.database.root, &looked.database.path)
        };
        if let Some(record) = databases.iter_mut().find(is_it) {
            record.references = looked.references;
            record.extensions.extend(looked.questions.map(questions_tag));
        }
    }
    Ok((root, databases))
}

/// An entry that was taken for an ordinary file's, and is a database's.
fn as_walked(entry: &mut Entry, why: &str) -> Option<DatabaseRecord> {
    let EntryKind::File(file) = &mut entry.kind else { return None };
    file.origin = Origin::Database;
    Some(record_as_it_lies(&entry.key, file, why))
}

struct Assembly<'a, 't> {
    builder: ManifestBuilder<'a, dyn BlobWrite + 'a>,
    outcome: Outcome,
    tally: &'t mut Tally,
    /// The last entry, when it is no directory.
    leaf: Option<EntryKey>,
}

impl Assembly<'_, '_> {
    /// Adds an entry; one that a manifest cannot hold is left out and named.
    fn push(&mut self, mut entry: Entry) -> Result<(), ArchiveError> {
        // Draft and late entries are of different moments: what was a directory may be a file by now.
        if self.leaf.as_ref().is_some_and(|leaf| is_beneath(&entry.key, leaf)) {
            return Ok(());
        }
        self.outcome.see(&mut entry);
        let (key, counted) = (entry.key.clone(), Counted::of(&entry));
        let is_leaf = !matches!(entry.kind, EntryKind::Directory);
        let is_unstable =
            matches!(&entry.kind, EntryKind::File(file) if file.origin == Origin::Unstable);
        match self.builder.push(entry) {
            Ok(()) => {
                self.tally.count(counted);
                if is_unstable {
                    self.tally.unstable(&key);
                }
                self.leaf = is_leaf.then_some(key);
            }
            Err(SnapshotError::Repo(error)) => return Err(error.into()),
            Err(error) => {
                self.outcome.lost(&key);
                self.tally.finding(key, format!("{error}; not saved"));
            }
        }
        Ok(())
    }
}
