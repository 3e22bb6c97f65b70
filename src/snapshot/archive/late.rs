//! The second act: databases are captured, and files beside them are left out where the capture has read them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::FileExt;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::chunker::pages::{DEFAULT_GROUP_BYTES, PageGroup, PageGroups};
use crate::codec::content::{ChunkRef, Content};
use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileEntry, Origin};
use crate::codec::pack::PackClass;
use crate::codec::snapshot::{CheckResult, DatabaseLabel, DatabaseRecord};
use crate::id::BlobType;
use crate::observe::{Observer, Phase, Total};
use crate::repo::blobs::{BlobWrite, Compression, NewBlob};
use crate::snapshot::archive::file::{FileStore, Stored};
use crate::snapshot::archive::reading::{absolute, read, source_of};
use crate::snapshot::archive::slots::{Late, LateDatabase, Read, SideFile};
use crate::snapshot::archive::stop::Stop;
use crate::snapshot::archive::tally::Tally;
use crate::snapshot::archive::{ArchiveError, Request};
use crate::snapshot::content::write::ContentWriter;
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::identity::{observe, settled_before};

/// How often a database is captured that is replaced meanwhile.
const CAPTURES: usize = 3;

/// Groups that are read and stored side by side.
const GROUPS_AT_ONCE: usize = 4;

/// What came after the bulk pass.
#[derive(Default)]
pub(super) struct LateEntries {
    /// Entries of databases and of the files beside them that are not part of a capture.
    pub(super) entries: BTreeMap<EntryKey, Entry>,
    /// In the order of the manifest.
    pub(super) databases: Vec<DatabaseRecord>,
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
            .filter(|main| !known.contains(main))
            .collect();
        let looked = mains.into_iter().map(|main| source_of(self.request, main).look(&main.path));
        looked.flatten().map(|item| LateDatabase { item, previous: None }).collect()
    }

    fn database(&mut self, database: &LateDatabase) -> Result<(), ArchiveError> {
        if let Some((content, record)) = self.same_as_before(database) {
            self.keep(database, content, record, true);
            return Ok(());
        }
        let captured = match self.capture(&database.item.key) {
            Ok(Some(captured)) => captured,
            Ok(None) => {
                let key = database.item.key.clone();
                self.tally.finding(key, "replaced while it was captured; not saved");
                return Ok(());
            }
            Err(CaptureError::Cancelled { .. }) => return Err(ArchiveError::Cancelled),
            Err(error) if error.is_no_space() => return Err(ArchiveError::Capture(error)),
            Err(error) => {
                self.tally.finding(
                    database.item.key.clone(),
                    format!("database not saved: {}", in_full(&error)),
                );
                return Ok(());
            }
        };
        let content = self.store(&captured)?;
        let record = record_of(&database.item.key, &captured);
        self.report(&database.item.key, &record);
        self.keep(database, content, record, !captured.needs_side_files());
        Ok(())
    }

    /// The database at a path of the source, and nothing that a link put in its place would lead to: the capture goes by the path,
    /// which by then may mean something else.
    fn capture(&self, key: &EntryKey) -> Result<Option<Captured>, CaptureError> {
        let source = source_of(self.request, key);
        for _ in 0..CAPTURES {
            let captured = self.request.capture.capture(&absolute(source, key))?;
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
                self.tally.compare(database.previous.as_ref(), &described.entry);
                self.done.entries.insert(item.key.clone(), described.entry);
                self.done.databases.push(record);
                if complete {
                    self.complete.insert(item.key.clone());
                }
            }
            Err(problem) => self.tally.finding(item.key.clone(), problem.to_string()),
        }
    }

    fn store(&self, captured: &Captured) -> Result<Content, ArchiveError> {
        match page_groups(captured) {
            Some(groups) => self.store_groups(&captured.file, &groups),
            None => self.store_plainly(captured),
        }
    }

    fn store_groups(&self, file: &File, groups: &[PageGroup]) -> Result<Content, ArchiveError> {
        let mut content = ContentWriter::new(self.blobs);
        for batch in groups.chunks(GROUPS_AT_ONCE) {
            self.stop.check()?;
            let stored: Vec<ChunkRef> = batch
                .into_par_iter()
                .map(|group| self.store_group(file, group))
                .collect::<Result<_, _>>()?;
            for chunk in stored {
                content.push(chunk)?;
            }
        }
        Ok(content.finish()?)
    }

    fn store_group(&self, file: &File, group: &PageGroup) -> Result<ChunkRef, ArchiveError> {
        let mut plain = vec![0; usize::try_from(group.len).unwrap_or_default()];
        file.read_exact_at(&mut plain, group.offset).map_err(ArchiveError::Spool)?;
        let blob = NewBlob {
            blob_type: BlobType::Data,
            class: PackClass::BaseGroups,
            compression: Compression::Always,
            plain: &plain,
        };
        Ok(ChunkRef { id: self.blobs.put(blob)?.id, len: plain.len() as u64 })
    }

    /// Bytes that are not known to be pages are cut like any file.
    fn store_plainly(&self, captured: &Captured) -> Result<Content, ArchiveError> {
        let mut bytes = SpoolBytes { file: &captured.file, at: 0, failure: None };
        let mut store = FileStore::new(self.request.cut, self.blobs, self.stop);
        let stored = store.store(&mut bytes, captured.len, |_| false)?;
        match bytes.failure {
            Some(error) => Err(ArchiveError::Spool(error)),
            None => Ok(Stored::into_content(stored)),
        }
    }

    fn report(&mut self, key: &EntryKey, record: &DatabaseRecord) {
        let what = match record.label {
            DatabaseLabel::Committed => None,
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
            _ => String::new(),
        };
        if let Some(what) = what {
            self.tally.finding(key.clone(), format!("{what}{failed}"));
        }
    }

    /// Keeps a file beside a database, unless what was captured is complete without it.
    fn side_file(&mut self, file: &SideFile) -> Result<(), ArchiveError> {
        if self.complete.contains(&file.main) {
            return Ok(());
        }
        let mut store = FileStore::new(self.request.cut, self.blobs, self.stop);
        match read(self.request, &file.item, &mut store)? {
            Read::File(described) => {
                drop(self.done.entries.insert(file.item.key.clone(), described.entry));
            }
            Read::Database => {}
            Read::Problem(problem) => self.tally.problem(file.item.key.clone(), &problem),
        }
        Ok(())
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

/// The groups of a database that is whole pages; nothing for other bytes.
fn page_groups(captured: &Captured) -> Option<Vec<PageGroup>> {
    let whole =
        captured.page_count.checked_mul(u64::from(captured.page_size)) == Some(captured.len);
    let page_count = u32::try_from(captured.page_count).ok().filter(|count| whole && *count > 0)?;
    let groups = PageGroups::new(captured.page_size, DEFAULT_GROUP_BYTES).ok()?;
    Some(groups.of_database(page_count).collect())
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
        check: captured.check.clone(),
        captured_at_ns: captured.started_ns,
        identity: captured.identity.clone(),
        extensions: Vec::new(),
    }
}

/// The bytes of a spool, read without moving its cursor; remembers why it failed.
struct SpoolBytes<'a> {
    file: &'a File,
    at: u64,
    failure: Option<std::io::Error>,
}

impl std::io::Read for SpoolBytes<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.file.read_at(buffer, self.at) {
            Ok(len) => {
                self.at += len as u64;
                Ok(len)
            }
            Err(error) => {
                let kind = error.kind();
                self.failure = Some(error);
                Err(kind.into())
            }
        }
    }
}
