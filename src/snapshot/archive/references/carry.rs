//! Taking the outcome of a database's references over from the parent, where it can be no other one.

use std::collections::BTreeSet;

use crate::codec::ByteString;
use crate::codec::manifest::EntryKey;
use crate::codec::snapshot::{DatabaseRecord, References, TAG_QUESTIONS};
use crate::snapshot::archive::SourceFinding;
use crate::snapshot::archive::references::is_about;
use crate::snapshot::beneath::is_at_or_below;

/// The directories below which rows of the parent's databases name files, and whether anything there has changed since.
#[derive(Debug, Default)]
pub(in crate::snapshot::archive) struct Watched {
    bases: Vec<(EntryKey, bool)>,
}

impl Watched {
    pub(in crate::snapshot::archive) fn of(databases: &[DatabaseRecord]) -> Self {
        let bases_of = |database: &DatabaseRecord| {
            let root = database.root;
            let base = move |it: &References| EntryKey { root, path: it.base.clone() };
            database.references.iter().map(base).collect::<Vec<_>>()
        };
        let mut bases: Vec<EntryKey> = databases.iter().flat_map(bases_of).collect();
        bases.sort();
        bases.dedup();
        Self { bases: bases.into_iter().map(|base| (base, false)).collect() }
    }

    /// Something came, went or changed here.
    pub(in crate::snapshot::archive) fn touch(&mut self, key: &EntryKey) {
        for (base, touched) in &mut self.bases {
            *touched |= contains(base, key);
        }
    }

    /// Nobody knows what changed.
    pub(in crate::snapshot::archive) fn touch_all(&mut self) {
        self.bases.iter_mut().for_each(|(_, touched)| *touched = true);
    }

    /// Whether the parent's outcome holds for an unchanged database: it was asked the same, and all files that its rows name, and all that
    /// they could have meant, are the parent's.
    pub(in crate::snapshot::archive) fn is_as_before(
        &self,
        record: &DatabaseRecord,
        questions: &[u8; 32],
    ) -> bool {
        let asked = record.extensions.iter().find(|it| it.tag == TAG_QUESTIONS);
        let untouched = |set: &References| {
            let base = EntryKey { root: record.root, path: set.base.clone() };
            self.bases.iter().any(|(watched, touched)| *watched == base && !touched)
        };
        asked.is_some_and(|it| *it.bytes == questions[..])
            && record.references.iter().all(|set| set.failure.is_none() && untouched(set))
    }
}

/// What rows of the parent's database name and is not as they say, when each bit of it was accepted, then or since; nothing when it must be
/// looked at again. Counts it as accepted.
pub(in crate::snapshot::archive) fn accepted_of(
    record: &mut DatabaseRecord,
    dangling: &[SourceFinding],
    accepted: &dyn Fn(&SourceFinding) -> bool,
) -> Option<Vec<SourceFinding>> {
    let mut all = Vec::new();
    for set in &mut record.references {
        let is_of_set = |it: &&SourceFinding| {
            it.key.root == record.root && is_about(it, (&record.path, &set.name))
        };
        let of_set: Vec<&SourceFinding> = dangling.iter().filter(is_of_set).collect();
        let files: BTreeSet<&EntryKey> = of_set.iter().map(|finding| &finding.key).collect();
        // A record does not list all of very many.
        if set.named.checked_sub(set.present) != Some(files.len() as u64)
            || !of_set.iter().all(|finding| accepted(finding))
        {
            return None;
        }
        set.accepted = files.len() as u64;
        all.extend(of_set.into_iter().cloned());
    }
    Some(all)
}

/// True when a key lies in this directory, or is it.
pub(in crate::snapshot::archive) fn contains(base: &EntryKey, key: &EntryKey) -> bool {
    base.root == key.root && is_at_or_below(&key.path, &base.path)
}

/// What a record says when everything is known of what was asked: which questions that holds for.
pub(in crate::snapshot::archive) fn questions_tag(questions: [u8; 32]) -> crate::codec::Extension {
    crate::codec::Extension { tag: TAG_QUESTIONS, bytes: ByteString::from(questions.as_slice()) }
}
