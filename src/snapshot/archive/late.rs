//! The second act: databases are captured, and files beside them are left out where the capture has read them.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::codec::content::Content;
use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileEntry, Origin};
use crate::codec::snapshot::{
    CaptureMethod, CheckResult, DatabaseLabel, DatabaseRecord, FindingKind, JournalMode,
};
use crate::observe::{Observer, Phase, Total};
use crate::repo::blobs::BlobWrite;
use crate::repo::error::Damage;
use crate::snapshot::archive::file::FileStore;
use crate::snapshot::archive::pages::CapturedStore;
use crate::snapshot::archive::reading::{absolute, read, read_plainly, source_of};
use crate::snapshot::archive::slots::{Late, LateDatabase, Read, SideFile};
use crate::snapshot::archive::stop::Stop;
use crate::snapshot::archive::tally::Tally;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::beneath::split_last;
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::metadata::ItemKind;
use crate::snapshot::source::read::Described;
use crate::snapshot::source::walk::Item;
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::identity::{observe, settled_before};
use crate::sqlite::recognise::{SIDE_HEAD_BYTES, is_side_file};

/// How often a database is captured that is replaced meanwhile.
const CAPTURES: usize = 3;

/// What came after the bulk pass.
#[derive(Default)]
pub(super) struct LateEntries {
    /// Entries of databases and of the files beside them that are not part of a capture.
    pub(super) entries: BTreeMap<EntryKey, Entry>,
    /// In the order of the manifest.
    pub(super) databases: Vec<DatabaseRecord>,
    /// Why earlier versions of them could not be built upon.
    pub(super) damage: Vec<Damage>,
}

/// Captures every database of the bulk pass.
pub(super) fn capture_all(
    request: &Request<'_>,
    blobs: &dyn BlobWrite,
    observer: &dyn Observer,
    late: &Late,
    tally: &mut Tally,
) -> Result<LateEntries, ArchiveError> {
    let stop = Stop::new(observer);
    let (complete, done) = (BTreeSet::new(), LateEntries::default());
    let mut act = Act { request, blobs, stop: &stop, tally, complete, done };
    let unrecognised = act.mains_of_side_files(late);
    let databases = || late.databases.iter().chain(&unrecognised);
    if databases().next().is_some() {
        let bytes = databases().map(|database| database.item.stat.size).sum();
        let items = databases().count() as u64;
        observer.begin(Phase::Databases, Some(Total { items, bytes, estimated: false }));
    }
    for database in databases() {
        stop.check()?;
        act.database(database)?;
        observer.advance(1, database.item.stat.size);
    }
    for file in &late.side_files {
        stop.check()?;
        act.side_file(file)?;
    }
    act.done.databases.sort_by(|a, b| (a.root, &a.path).cmp(&(b.root, &b.path)));
    Ok(act.done)
}

struct Act<'a, 'r> {
    request: &'a Request<'r>,
    blobs: &'a dyn BlobWrite,
    stop: &'a Stop<'a>,
    tally: &'a mut Tally,
    /// Databases whose captured bytes need no file beside them.
    complete: BTreeSet<EntryKey>,
    done: LateEntries,
}

impl Act<'_, '_> {
    /// Databases that only a file beside them gives away, and that the bulk pass has taken for ordinary files: the file beside may
    /// have appeared since the last snapshot, or after the walk came by. Their entries take the place of those in the draft.
    fn mains_of_side_files(&self, late: &Late) -> Vec<LateDatabase> {
        let known: BTreeSet<&EntryKey> = late.databases.iter().map(|it| &it.item.key).collect();
        let mains: BTreeSet<&EntryKey> = late
            .side_files
            .iter()
            .map(|file| &file.main)
            .chain(&late.given_away)
            .filter(|main| !known.contains(main))
            .collect();
        let looked = mains.into_iter().map(|main| source_of(self.request, main).look(&main.path));
        let files = looked.flatten().filter(|item| item.stat.kind == ItemKind::File);
        files.map(|item| LateDatabase { item, previous: None }).collect()
    }

    fn database(&mut self, database: &LateDatabase) -> Result<(), ArchiveError> {
        if let Some((content, record)) = self.same_as_before(database) {
            self.keep(database, content, record, true);
            return Ok(());
        }
        self.captured_store().admit(&database.item)?;
        let captured = match self.capture(&database.item.key) {
            Ok(Some(captured)) => captured,
            Ok(None) => return self.as_it_lies(database, "it was replaced all the time"),
            Err(CaptureError::Cancelled { .. }) => return Err(ArchiveError::Cancelled),
            Err(error) if error.is_no_space() => return Err(ArchiveError::Capture(error)),
            Err(error) => return self.as_it_lies(database, &in_full(&error)),
        };
        let stored = self.captured_store().store(&database.item.key, &captured)?;
        self.done.damage.extend(stored.damage);
        for notice in stored.notices {
            self.tally.notice(database.item.key.clone(), notice);
        }
        let mut record = record_of(&database.item.key, &captured);
        record.version = stored.version;
        self.report(&database.item.key, &record);
        if database.item.stat.links > 1 && captured.journal_mode == JournalMode::Wal {
            let what =
                "has other names (hard links): what is in a log beside one of them is not saved";
            self.tally.finding_of(FindingKind::Database, database.item.key.clone(), what);
        }
        self.keep(database, stored.content, record, !captured.needs_side_files());
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
        self.tally.flaws(&described);
        if let EntryKind::File(file) = &mut described.entry.kind {
            file.origin = Origin::Database;
            self.done.databases.push(record_as_it_lies(&item.key, file, why));
        }
        self.tally.compare(database.previous.as_ref(), &described.entry);
        self.done.entries.insert(item.key.clone(), described.entry);
        Ok(())
    }

    /// The database at a path of the source, and nothing that a link put in its place would lead to: the capture goes by the path,
    /// which by then may mean something else.
    fn capture(&self, key: &EntryKey) -> Result<Option<Captured>, CaptureError> {
        let source = source_of(self.request, key);
        for _ in 0..CAPTURES {
            let captured = self.request.capture.capture(&absolute(source, key), &[])?;
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

    fn keep(
        &mut self,
        database: &LateDatabase,
        content: Content,
        record: DatabaseRecord,
        complete: bool,
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
                self.done.databases.push(record);
                if complete {
                    self.complete.insert(item.key.clone());
                }
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
            let kind = FindingKind::Database;
            self.tally.finding_of(kind, key.clone(), format!("{what}{failed}"));
        }
    }

    fn take(&mut self, previous: Option<&Entry>, described: Described) {
        self.tally.flaws(&described);
        self.tally.compare(previous, &described.entry);
        self.done.entries.insert(described.entry.key.clone(), described.entry);
    }

    /// Keeps a file beside a database, unless it belongs to it and what was captured is complete without it.
    fn side_file(&mut self, file: &SideFile) -> Result<(), ArchiveError> {
        if self.complete.contains(&file.main) && self.belongs_to_a_database(&file.item) {
            return Ok(());
        }
        let mut store = FileStore::new(self.request.cut, self.blobs, self.stop);
        match read(self.request, &file.item, &mut store)? {
            Read::File(described) => self.take(file.previous.as_ref(), described),
            // It has become one since the walk came by.
            Read::Database => {
                self.database(&LateDatabase { item: file.item.clone(), previous: None })?;
            }
            Read::Problem(problem) => self.tally.problem(file.item.key.clone(), &problem),
        }
        Ok(())
    }

    /// True when a file is what its name says, or gone.
    fn belongs_to_a_database(&self, item: &Item) -> bool {
        let mut head = [0; SIDE_HEAD_BYTES];
        match source_of(self.request, &item.key).open_regular(&item.key.path) {
            Ok((file, _)) => rustix::io::pread(&file, &mut head, 0).is_ok_and(|len| {
                let name = OsStr::from_bytes(split_last(&item.key.path).1);
                is_side_file(name, head.get(..len).unwrap_or_default())
            }),
            Err(problem) => matches!(problem, Problem::Vanished),
        }
    }
}

/// An error and what caused it, in one line.
fn in_full(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
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
