//! A directory with a database and files, captures that a script decides, and a host that does something while it is waited.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use larder::codec::snapshot::{
    CaptureMethod, CheckResult, DatabaseLabel, FindingKind, JournalMode, References,
};
use larder::host::Host;
use larder::observe::Unobserved;
use larder::ops::backup::{BackupOptions, BackupReport, backup};
use larder::snapshot::archive::capture::Capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::identity::observe;
use larder::sqlite::questions::{Answer, BaseDir, Named, ReferenceQuery};
use larder_testkit::host::TestHost;
use rusqlite::Connection;

use crate::round_trip::World;

pub(super) const DATABASE: &str = "a.db";

/// A source with a database and, beside it, `files/`.
pub(super) struct Rig {
    pub(super) world: World,
    nights: AtomicU64,
}

impl Rig {
    pub(super) fn new(seed: u64, files: &[(&str, &str)]) -> Self {
        let rig = Self { world: World::new(seed), nights: AtomicU64::new(seed * 1000) };
        fs::create_dir(rig.path("files")).unwrap();
        let connection = Connection::open(rig.path(DATABASE)).unwrap();
        connection.execute_batch("CREATE TABLE t(a); INSERT INTO t VALUES (1);").unwrap();
        connection.close().unwrap();
        for (name, text) in files {
            rig.write(name, text);
        }
        rig
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.world.path("source").join(name)
    }

    /// Writes a file below `files/`, with the directories that it needs.
    pub(super) fn write(&self, name: &str, text: &str) {
        let path = self.path("files").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path("files").join(name)).unwrap();
    }

    pub(super) fn options(&self, references: Vec<ReferenceQuery>) -> BackupOptions {
        BackupOptions { references, built_in_references: false, ..self.world.options() }
    }

    /// A night with one set, `docs`, whose answer in each round the script gives.
    pub(super) fn night(&self, capture: &Scripted<'_>) -> BackupReport {
        self.night_with(capture, &self.options(vec![query("docs")]), &|| {})
    }

    /// The same with other options, and something that happens at each pause.
    pub(super) fn night_with(
        &self,
        capture: &Scripted<'_>,
        options: &BackupOptions,
        at_pause: &(dyn Fn() + Send + Sync),
    ) -> BackupReport {
        let host = self.host(at_pause);
        backup(&self.world.repository(), options, capture, &host, &Unobserved).unwrap()
    }

    /// The machine of another night, long after all files were written.
    pub(super) fn host<'h>(&self, at_pause: &'h (dyn Fn() + Send + Sync)) -> Waits<'h> {
        let number = self.nights.fetch_add(1, Ordering::Relaxed);
        let host = TestHost::seeded(number);
        let night_ns = i64::try_from(number % 1000).unwrap() * 86_400_000_000_000;
        host.advance_ns((1 << 59) + night_ns);
        Waits { host, at_pause, paused_ms: AtomicU64::new(0) }
    }

    /// The text of a file below `files/` as the newest snapshot gives it back; `None` when it has none.
    pub(super) fn restored(&self, name: &str) -> BTreeMap<String, String> {
        let root = self.world.restore(name).join("files");
        let mut texts = BTreeMap::new();
        for entry in walk(&root) {
            let below = entry.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            texts.insert(below, fs::read_to_string(&entry).unwrap());
        }
        texts
    }
}

fn walk(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}

/// A query for the files beside the database.
pub(super) fn query(name: &str) -> ReferenceQuery {
    ReferenceQuery {
        name: name.into(),
        database: None,
        needs: Vec::new(),
        base: BaseDir::BesideDatabase(b"files".to_vec()),
        sql: "SELECT path, size, hash FROM documents".into(),
    }
}

/// An answer whose rows say path and size.
pub(super) fn rows(files: &[(&str, Option<u64>)]) -> Answer {
    named(files.iter().map(|(path, size)| (*path, *size, None)))
}

/// The same with hashes.
pub(super) fn named<'f>(
    files: impl IntoIterator<Item = (&'f str, Option<u64>, Option<&'f str>)>,
) -> Answer {
    let row = |(path, size_bytes, hash): (&str, Option<u64>, Option<&str>)| Named {
        path: path.as_bytes().into(),
        size_bytes,
        hash: hash.map(Into::into),
    };
    Answer::Named { files: files.into_iter().map(row).collect(), without_text: 0 }
}

/// What the rows of each capture say.
pub(super) type Script<'s> = dyn Fn(u32) -> Result<Vec<Answer>, CaptureError> + Sync + 's;

/// Captures the bytes as they are; what its rows say is the script's, which may also change the source.
pub(super) struct Scripted<'s> {
    script: Box<Script<'s>>,
    captures: AtomicU32,
    /// Whether the database seems never to change.
    pub(super) is_at_rest: bool,
    pub(super) started_ns: i64,
}

impl<'s> Scripted<'s> {
    pub(super) fn new(script: impl Fn(u32) -> Vec<Answer> + Sync + 's) -> Self {
        Self::failing(move |round| Ok(script(round)))
    }

    pub(super) fn failing(
        script: impl Fn(u32) -> Result<Vec<Answer>, CaptureError> + Sync + 's,
    ) -> Self {
        let (script, captures) = (Box::new(script), AtomicU32::new(0));
        Self { script, captures, is_at_rest: false, started_ns: 1 << 61 }
    }

    pub(super) fn at_rest(self) -> Self {
        Self { is_at_rest: true, ..self }
    }

    pub(super) fn captures(&self) -> u32 {
        self.captures.load(Ordering::Relaxed)
    }
}

impl Capture for Scripted<'_> {
    fn capture(
        &self,
        path: &Path,
        _questions: &[ReferenceQuery],
    ) -> Result<Captured, CaptureError> {
        let identity = observe(path).ok().filter(|_| self.is_at_rest);
        let answers = (self.script)(self.captures.fetch_add(1, Ordering::Relaxed) + 1)?;
        let file = File::open(path).unwrap();
        let metadata = file.metadata().unwrap();
        Ok(Captured {
            file,
            len: metadata.len(),
            inode: (metadata.dev(), metadata.ino()),
            label: DatabaseLabel::Committed,
            method: CaptureMethod::OnlineBackup,
            page_size: 4096,
            page_count: metadata.len() / 4096,
            journal_mode: JournalMode::Rollback,
            check: CheckResult::QuickOk,
            knowledge: None,
            answers,
            started_ns: self.started_ns,
            identity,
        })
    }
}

/// A host that does something at each pause, and counts how long it was told to wait.
pub(super) struct Waits<'h> {
    host: TestHost,
    at_pause: &'h (dyn Fn() + Send + Sync),
    pub(super) paused_ms: AtomicU64,
}

impl std::fmt::Debug for Waits<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.host.fmt(f)
    }
}

impl Host for Waits<'_> {
    fn now_ns(&self) -> i64 {
        self.host.now_ns()
    }

    fn pause(&self, time: Duration) {
        self.host.pause(time);
        self.paused_ms.fetch_add(u64::try_from(time.as_millis()).unwrap(), Ordering::Relaxed);
        (self.at_pause)();
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.host.fill_random(buffer);
    }

    fn name(&self) -> String {
        self.host.name()
    }

    fn user(&self) -> String {
        self.host.user()
    }

    fn pid(&self) -> u32 {
        self.host.pid()
    }

    fn command(&self) -> String {
        self.host.command()
    }
}

/// The first set of the first database.
pub(super) fn first_set(report: &BackupReport) -> &References {
    &report.record.databases[0].references[0]
}

/// `path: message` of the findings of this kind.
pub(super) fn said(report: &BackupReport, kind: FindingKind) -> Vec<String> {
    let of_kind = report.record.findings.iter().filter(|finding| finding.kind == kind);
    of_kind.map(|it| format!("{}: {}", it.subject.escape_ascii(), it.message)).collect()
}
