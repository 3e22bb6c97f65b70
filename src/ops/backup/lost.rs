//! Databases that the snapshot before had and this one has not: deleted, or no longer to be known as one.
//!
//! What is no database is saved as any other file, without a question. So a database that turned to garbage would be saved
//! in silence. It is said on each night until somebody accepts it or the database is back.

use std::collections::BTreeSet;

use crate::codec::manifest::EntryKey;
use crate::codec::snapshot::{DatabaseRecord, FindingKind};
use crate::ops::backup::{Before, Run};
use crate::snapshot::archive::{Archived, SourceFinding};

/// The whole state: so it can be accepted, and is then another finding than a database that cannot be captured.
const LOST: &str = "no database any more; it was one in a snapshot before";

impl Run<'_> {
    pub(super) fn lost_databases(
        &self,
        before: &Before<'_>,
        archived: &Archived,
    ) -> Vec<SourceFinding> {
        let Some(parent) = before.parent().map(|parent| &parent.record) else { return Vec::new() };
        let key = |it: &DatabaseRecord| EntryKey { root: it.root, path: it.path.clone() };
        let there: BTreeSet<EntryKey> = archived.databases.iter().map(key).collect();
        let said_of = |lost: &EntryKey| archived.findings.iter().any(|it| it.key == *lost);
        let said_before = parent.findings.iter().filter(|it| it.message == LOST);
        let gone_before = said_before.filter_map(|it| self.key(&it.subject));
        // What nothing could be read of was no database that anybody could lose.
        let read_before = parent.databases.iter().filter(|it| it.knowledge.is_some());
        let gone: BTreeSet<EntryKey> = gone_before
            .map(lost)
            .filter(|finding| !self.is_accepted(before, finding))
            .map(|finding| finding.key)
            .chain(read_before.map(key))
            .collect();
        let lost_now = gone.into_iter().filter(|it| !there.contains(it) && !said_of(it));
        lost_now.map(lost).collect()
    }
}

fn lost(key: EntryKey) -> SourceFinding {
    SourceFinding { kind: FindingKind::Opaque, key, message: LOST.to_owned() }
}
