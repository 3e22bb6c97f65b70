//! One database of the source: whether it is captured at all, what its rows are asked, and how what was captured becomes an entry.

use crate::codec::content::Content;
use crate::codec::manifest::{EntryKey, EntryKind, FileEntry, Origin};
use crate::codec::snapshot::{
    CaptureMethod, CheckResult, DatabaseLabel, DatabaseRecord, FindingKind, JournalMode,
    TAG_QUESTIONS,
};
use crate::snapshot::archive::ArchiveError;
use crate::snapshot::archive::file::FileStore;
use crate::snapshot::archive::late::Act;
use crate::snapshot::archive::pages::CapturedStore;
use crate::snapshot::archive::reading::{absolute, read_plainly, source_of};
use crate::snapshot::archive::references::resolve::{digest_of, questions_for, resolve};
use crate::snapshot::archive::references::{Asked, Named};
use crate::snapshot::archive::slots::LateDatabase;
use crate::snapshot::source::read::Described;
use crate::snapshot::source::walk::Item;
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::identity::{observe, settled_before};
use crate::sqlite::questions::ReferenceQuery;

/// How often a database is captured that is replaced meanwhile.
const CAPTURES: usize = 3;

/// A capture whose rows name files: stored when they are settled.
pub(super) struct Held {
    pub(super) database: LateDatabase,
    questions: Vec<ReferenceQuery>,
    captured: Captured,
    pub(super) asked: Asked,
    described: Described,
    rounds: u32,
    /// It is known what is there and what is not.
    pub(super) is_settled: bool,
    /// It cannot be captured any more, or only worse.
    is_last: bool,
}

/// An unchanged database whose references are the parent's.
pub(super) struct Kept {
    pub(super) database: LateDatabase,
    /// Where its rows name files.
    pub(super) bases: Vec<EntryKey>,
}

impl Act<'_, '_> {
    pub(super) fn database(&mut self, database: &LateDatabase) -> Result<(), ArchiveError> {
        let as_before = self.same_as_before(database).and_then(|(content, record)| {
            Some((content, self.with_the_parents_references(database, record)?))
        });
        match as_before {
            Some((content, record)) => {
                self.keep(database, content, record);
                Ok(())
            }
            None => self.capture_anew(database.clone()),
        }
    }

    /// A file that a row names and that is a database.
    pub(super) fn database_of(&mut self, item: Item) -> Result<(), ArchiveError> {
        self.capture_anew(LateDatabase { item, previous: None })
    }

    pub(super) fn capture_anew(&mut self, database: LateDatabase) -> Result<(), ArchiveError> {
        self.captured_store().admit(&database.item)?;
        let questions = questions_for(self.request.references, &database.item.key);
        let mut captured = match self.capture(&database.item.key, &questions) {
            Ok(Some(captured)) => captured,
            Ok(None) => return self.as_it_lies(&database, "it was replaced all the time"),
            Err(CaptureError::Cancelled { .. }) => return Err(ArchiveError::Cancelled),
            Err(error) if error.is_no_space() => return Err(ArchiveError::Capture(error)),
            Err(error) => return self.as_it_lies(&database, &error.in_full()),
        };
        let answers = std::mem::take(&mut captured.answers);
        let asked = resolve(&database.item.key, &questions, answers);
        let file = file_entry(&captured);
        let described =
            source_of(self.request, &database.item.key).describe_file(&database.item, file);
        let described = match described {
            Ok(described) => described,
            Err(problem) => {
                self.tally.finding(database.item.key.clone(), problem.to_string());
                return Ok(());
            }
        };
        if !captured.needs_side_files() {
            self.complete.insert(database.item.key.clone());
        }
        let (rounds, is_settled, is_last) = (1, false, false);
        let held =
            Held { database, questions, captured, asked, described, rounds, is_settled, is_last };
        if held.asked.sets.iter().all(|set| set.files.is_empty()) {
            return self.store(held);
        }
        // Rows may name the database itself; its content comes when it is stored.
        self.done.entries.insert(held.database.item.key.clone(), held.described.entry.clone());
        self.held.push(held);
        Ok(())
    }

    /// Captures those databases again that have changed and whose rows name files that are not there.
    pub(super) fn capture_again(&mut self) -> Result<(), ArchiveError> {
        let mut held = std::mem::take(&mut self.held);
        for one in &mut held {
            if !one.is_settled && !one.is_last && self.open_of(one).next().is_some() {
                self.capture_one_again(one)?;
            }
        }
        self.held = held;
        Ok(())
    }

    fn capture_one_again(&mut self, held: &mut Held) -> Result<(), ArchiveError> {
        self.stop.check()?;
        let key = &held.database.item.key;
        let now = observe(&absolute(source_of(self.request, key), key)).ok();
        if now.is_some() && now == held.captured.identity {
            return Ok(());
        }
        let why = match self.capture(key, &held.questions) {
            Ok(Some(mut captured)) if is_as_good(&captured, &held.captured) => {
                let answers = std::mem::take(&mut captured.answers);
                held.asked = resolve(key, &held.questions, answers);
                held.captured = captured;
                held.rounds += 1;
                return Ok(());
            }
            Ok(Some(_)) => "it could only be captured in a worse way".to_owned(),
            Ok(None) => "it was replaced all the time".to_owned(),
            Err(CaptureError::Cancelled { .. }) => return Err(ArchiveError::Cancelled),
            Err(error) => error.in_full(),
        };
        held.is_last = true;
        let what = format!("not captured again: {why}; an earlier state of it is saved");
        self.tally.finding_of(FindingKind::Reference, key.clone(), what);
        Ok(())
    }

    /// Stores the captures that the references were settled with.
    pub(super) fn store_held(&mut self) -> Result<(), ArchiveError> {
        std::mem::take(&mut self.held).into_iter().try_for_each(|held| self.store(held))
    }

    /// Stores what was captured, once.
    fn store(&mut self, held: Held) -> Result<(), ArchiveError> {
        let Held { database, captured, asked, mut described, rounds, .. } = held;
        let key = &database.item.key;
        let stored = self.captured_store().store(key, &captured)?;
        self.done.damage.extend(stored.damage);
        for notice in stored.notices {
            self.tally.notice(key.clone(), notice);
        }
        let content = stored.content;
        described.entry.kind = EntryKind::File(FileEntry { content, ..file_entry(&captured) });
        let mut record = record_of(key, &captured);
        record.version = stored.version;
        self.report(key, &record);
        if database.item.stat.links > 1 && captured.journal_mode == JournalMode::Wal {
            let what =
                "has other names (hard links): what is in a log beside one of them is not saved";
            self.tally.finding_of(FindingKind::Database, key.clone(), what);
        }
        self.take(database.previous.as_ref(), described);
        self.done.databases.push(record);
        let captured_at_ns = captured.started_ns;
        self.done.named.push(Named { database: key.clone(), captured_at_ns, asked, rounds });
        Ok(())
    }

    fn captured_store(&self) -> CapturedStore<'_> {
        CapturedStore { request: self.request, blobs: self.blobs, stop: self.stop }
    }

    /// Saves the bytes of a database that could not be captured, read like those of any file; its log and its journal too.
    fn as_it_lies(&mut self, database: &LateDatabase, why: &str) -> Result<(), ArchiveError> {
        let item = &database.item;
        let mut store = FileStore::new(self.request.cut, self.blobs, self.stop);
        let mut described = match read_plainly(self.request, item, &mut store)? {
            Ok(described) => described,
            Err(problem) => {
                let what = format!("database not saved: {why}; {problem}");
                self.tally.finding(item.key.clone(), what);
                return Ok(());
            }
        };
        let what = format!("not captured: {why}; its bytes were saved as they are");
        self.tally.finding_of(FindingKind::Database, item.key.clone(), what);
        if let EntryKind::File(file) = &mut described.entry.kind {
            file.origin = Origin::Database;
            self.done.databases.push(record_as_it_lies(&item.key, file, why));
            let questions = questions_for(self.request.references, &item.key);
            let (captured_at_ns, rounds) = (file.read_at_ns, 1);
            let asked = resolve(&item.key, &questions, Vec::new());
            let database = item.key.clone();
            self.done.named.push(Named { database, captured_at_ns, asked, rounds });
        }
        self.take(database.previous.as_ref(), described);
        Ok(())
    }

    /// The database at a path of the source, and nothing that a link put in its place would lead to: the capture goes by the path,
    /// which by then may mean something else.
    fn capture(
        &self,
        key: &EntryKey,
        questions: &[ReferenceQuery],
    ) -> Result<Option<Captured>, CaptureError> {
        let source = source_of(self.request, key);
        for _ in 0..CAPTURES {
            let captured = self.request.capture.capture(&absolute(source, key), questions)?;
            let there = source.look(&key.path).ok().map(|item| item.stat);
            if there.is_some_and(|stat| (stat.device, stat.inode) == captured.inode) {
                return Ok(Some(captured));
            }
        }
        Ok(None)
    }

    /// The parent's bytes, when neither the database nor its log has changed since they were captured.
    fn same_as_before(&self, database: &LateDatabase) -> Option<(Content, DatabaseRecord)> {
        let key = &database.item.key;
        let EntryKind::File(file) = &database.previous.as_ref()?.kind else { return None };
        let is_it = |record: &&DatabaseRecord| record.root == key.root && record.path == key.path;
        let record = self.request.parent?.databases.iter().find(is_it)?;
        let now = observe(&absolute(source_of(self.request, key), key)).ok()?;
        let same = record.label == DatabaseLabel::Committed
            && (record.check == CheckResult::QuickOk || record.len == 0)
            && record.identity.as_ref() == Some(&now)
            && settled_before(&now, record.captured_at_ns);
        same.then(|| (file.content.clone(), record.clone()))
    }

    /// The record of an unchanged database with what still holds of its references; nothing when its rows must be asked for that.
    fn with_the_parents_references(
        &self,
        database: &LateDatabase,
        mut record: DatabaseRecord,
    ) -> Option<DatabaseRecord> {
        let questions = questions_for(self.request.references, &database.item.key);
        if questions.is_empty() {
            record.references.clear();
            record.extensions.retain(|extension| extension.tag != TAG_QUESTIONS);
            return Some(record);
        }
        self.watched.is_as_before(&record, &digest_of(&questions)).then_some(record)
    }

    fn keep(&mut self, database: &LateDatabase, content: Content, record: DatabaseRecord) {
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
                    self.kept.push(Kept { database: database.clone(), bases });
                }
                self.done.databases.push(record);
                self.complete.insert(item.key.clone());
            }
            Err(problem) => self.tally.finding(item.key.clone(), problem.to_string()),
        }
    }

    fn report(&mut self, key: &EntryKey, record: &DatabaseRecord) {
        let what = match record.label {
            DatabaseLabel::Committed => match &record.check {
                CheckResult::NotRun(_) if record.len > 0 => Some("saved, but not checked"),
                _ => None,
            },
            DatabaseLabel::Recovered => Some("recovered from its journal in a private copy"),
            DatabaseLabel::CrashImage => {
                Some("saved as a crash would have left it: it could not be read through SQLite")
            }
            DatabaseLabel::SourceCorrupt => Some("the database itself is corrupt; saved as it is"),
            DatabaseLabel::Opaque if record.identity.is_none() => Some(
                "not readable as SQLite; its bytes changed as they were copied, or just before",
            ),
            DatabaseLabel::Opaque => {
                Some("not readable as SQLite; its bytes were saved as they are")
            }
        };
        let failed = match &record.check {
            CheckResult::Failed(problem) => format!(" (quick_check: {problem})"),
            CheckResult::NotRun(why) if record.label == DatabaseLabel::Committed => {
                format!(": quick_check did not run: {why}")
            }
            _ => String::new(),
        };
        if let Some(what) = what {
            // Bytes that changed while they were copied are not just unreadable: they are torn.
            let kind = match record.label {
                DatabaseLabel::Opaque if record.identity.is_some() => FindingKind::Opaque,
                _ => FindingKind::Database,
            };
            self.tally.finding_of(kind, key.clone(), format!("{what}{failed}"));
        }
    }
}

/// A later capture takes an earlier one's place only when its label is no worse.
fn is_as_good(later: &Captured, earlier: &Captured) -> bool {
    later.label == DatabaseLabel::Committed || later.label == earlier.label
}

/// The entry of captured bytes, without them.
fn file_entry(captured: &Captured) -> FileEntry {
    FileEntry {
        size: captured.len,
        content: Content::Inline(Vec::new()),
        sparse: None,
        origin: Origin::Database,
        read_at_ns: captured.started_ns,
    }
}

fn record_of(key: &EntryKey, captured: &Captured) -> DatabaseRecord {
    DatabaseRecord {
        root: key.root,
        path: key.path.clone(),
        label: captured.label,
        method: captured.method,
        page_size: captured.page_size,
        page_count: captured.page_count,
        len: captured.len,
        journal_mode: captured.journal_mode,
        check: captured.check.clone(),
        captured_at_ns: captured.started_ns,
        identity: captured.identity.clone(),
        version: None,
        knowledge: captured.knowledge.clone(),
        references: Vec::new(),
        extensions: Vec::new(),
    }
}

/// The record of a database whose bytes were read like those of any file.
fn record_as_it_lies(key: &EntryKey, file: &FileEntry, why: &str) -> DatabaseRecord {
    DatabaseRecord {
        root: key.root,
        path: key.path.clone(),
        label: DatabaseLabel::Opaque,
        method: CaptureMethod::RawCopy,
        page_size: 0,
        page_count: 0,
        len: file.size,
        journal_mode: JournalMode::Unknown,
        check: CheckResult::NotRun(why.to_owned()),
        captured_at_ns: file.read_at_ns,
        identity: None,
        version: None,
        knowledge: None,
        references: Vec::new(),
        extensions: Vec::new(),
    }
}
