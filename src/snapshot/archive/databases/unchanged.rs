//! Taking a database over from the parent, unread.

use crate::codec::content::Content;
use crate::codec::manifest::{EntryKey, EntryKind, FileEntry, Origin};
use crate::codec::snapshot::{CheckResult, DatabaseLabel, DatabaseRecord, TAG_QUESTIONS};
use crate::snapshot::archive::SourceFinding;
use crate::snapshot::archive::databases::{AsBefore, Kept};
use crate::snapshot::archive::late::Act;
use crate::snapshot::archive::reading::{absolute, source_of};
use crate::snapshot::archive::references::carry::accepted_of;
use crate::snapshot::archive::references::resolve::{digest_of, questions_for};
use crate::snapshot::archive::slots::LateDatabase;
use crate::sqlite::identity::{observe, settled_before};

impl Act<'_, '_> {
    /// The parent's bytes, when neither the database nor its log has changed since they were captured.
    pub(in crate::snapshot::archive) fn same_as_before(
        &self,
        database: &LateDatabase,
    ) -> Option<AsBefore> {
        let key = &database.item.key;
        let EntryKind::File(file) = &database.previous.as_ref()?.kind else { return None };
        let record = self.record_before(key)?;
        let same = record.label == DatabaseLabel::Committed
            && (record.check == CheckResult::QuickOk || record.len == 0);
        same.then(|| (file.content.clone(), record.clone()))
    }

    /// The parent's record of a database whose file and log are what they were; its bytes may be read again all the same.
    pub(in crate::snapshot::archive) fn record_before(
        &self,
        key: &EntryKey,
    ) -> Option<&DatabaseRecord> {
        let is_it = |record: &&DatabaseRecord| record.root == key.root && record.path == key.path;
        let record = self.request.parent?.databases.iter().find(is_it)?;
        let now = observe(&absolute(source_of(self.request, key), key)).ok()?;
        let same = record.identity.as_ref() == Some(&now);
        (same && settled_before(&now, record.captured_at_ns)).then_some(record)
    }

    /// The record of an unchanged database with what still holds of its references; nothing when its rows must be asked for that.
    pub(super) fn with_the_parents_references(
        &self,
        database: &LateDatabase,
        mut record: DatabaseRecord,
    ) -> Option<(DatabaseRecord, Vec<SourceFinding>)> {
        let questions = questions_for(self.request.references, &database.item.key);
        if questions.is_empty() {
            record.references.clear();
            record.extensions.retain(|extension| extension.tag != TAG_QUESTIONS);
            return Some((record, Vec::new()));
        }
        let parent = self.request.parent?;
        let is_as_before = self.watched.is_as_before(&record, &digest_of(&questions));
        let dangling = accepted_of(&mut record, parent.dangling, self.request.accepted);
        Some((record, dangling.filter(|_| is_as_before)?))
    }

    pub(super) fn keep(
        &mut self,
        database: &LateDatabase,
        content: Content,
        (record, dangling): (DatabaseRecord, Vec<SourceFinding>),
    ) {
        let item = &database.item;
        let file = FileEntry {
            size: record.len,
            content,
            sparse: None,
            origin: Origin::Database,
            read_at_ns: record.captured_at_ns,
        };
        match source_of(self.request, &item.key).describe_file(item, file) {
            Ok(described) => {
                self.take(database.previous.as_ref(), described);
                let sets = record.references.iter();
                let root = record.root;
                let bases: Vec<_> =
                    sets.map(|set| EntryKey { root, path: set.base.clone() }).collect();
                if !bases.is_empty() {
                    self.kept.push(Kept { database: database.clone(), bases, dangling });
                }
                self.done.databases.push(record);
                self.complete.insert(item.key.clone());
            }
            Err(problem) => self.tally.finding(item.key.clone(), problem.to_string()),
        }
    }
}
