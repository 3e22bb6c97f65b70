//! Taking the outcome of a database's references over from the parent, where it can be no other one.

use crate::codec::ByteString;
use crate::codec::manifest::EntryKey;
use crate::codec::snapshot::{DatabaseRecord, References, TAG_QUESTIONS};
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

    /// Whether the parent's outcome holds for an unchanged database: it was asked the same, all that its rows name was there, and all
    /// files that these could be are the parent's.
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
            && record.references.iter().all(|set| is_whole(set) && untouched(set))
    }
}

/// Everything named is there.
pub(in crate::snapshot::archive) fn is_whole(set: &References) -> bool {
    set.failure.is_none() && set.named == set.present
}

/// True when a key lies in this directory, or is it.
pub(in crate::snapshot::archive) fn contains(base: &EntryKey, key: &EntryKey) -> bool {
    base.root == key.root && is_at_or_below(&key.path, &base.path)
}

/// What a record says when everything was there: which questions that holds for.
pub(in crate::snapshot::archive) fn questions_tag(questions: [u8; 32]) -> crate::codec::Extension {
    crate::codec::Extension { tag: TAG_QUESTIONS, bytes: ByteString::from(questions.as_slice()) }
}
