//! The queries for the files that rows name: which are put, and which find no database.

use std::collections::BTreeSet;

use crate::codec::manifest::EntryKey;
use crate::codec::names::tag_fault;
use crate::codec::snapshot::{DatabaseRecord, FindingKind, MAX_REFERENCES};
use crate::error::{Error, Result};
use crate::ops::backup::{BackupOptions, Before, Run};
use crate::snapshot::archive::SourceFinding;
use crate::sqlite::questions::{ReferenceQuery, built_in};

/// What every database is asked. A record names the sets, each once, and has room for so many.
pub(super) fn questions(options: &BackupOptions) -> Result<Vec<ReferenceQuery>> {
    let mut questions = if options.built_in_references { built_in() } else { Vec::new() };
    questions.extend(options.references.iter().cloned());
    let usage = |what: String| Err(Error::Usage { what });
    let mut names = BTreeSet::new();
    for query in &questions {
        if let Some(rule) = tag_fault(&query.name) {
            return usage(format!("{:?} cannot be the name of a reference: {rule}", query.name));
        }
        if !names.insert(&query.name) {
            return usage(format!("two references have the name {:?}", query.name));
        }
    }
    if questions.len() > MAX_REFERENCES {
        return usage(format!("{} references, at most {MAX_REFERENCES}", questions.len()));
    }
    Ok(questions)
}

impl Run<'_> {
    /// Queries that are for one database, where there is none. With several sources in the repository it may be another one's,
    /// unless an earlier snapshot of this one has it.
    pub(super) fn unasked(
        &self,
        before: &Before<'_>,
        now: &[DatabaseRecord],
    ) -> Vec<SourceFinding> {
        let is_only = before.listing.snapshots.iter().all(|it| it.record.source == before.source);
        let finding = |query: &ReferenceQuery| {
            let path = query.database.as_ref()?;
            let has = |databases: &[DatabaseRecord]| databases.iter().any(|it| *it.path == **path);
            let mut earlier = before.listing.of_source(before.source);
            let is_due = !has(now) && (is_only || earlier.any(|it| has(&it.record.databases)));
            is_due.then(|| SourceFinding {
                kind: FindingKind::Reference,
                key: EntryKey { root: 0, path: path.as_slice().into() },
                message: format!("reference {}: there is no database at this path", query.name),
            })
        };
        self.questions.iter().filter_map(finding).collect()
    }
}
