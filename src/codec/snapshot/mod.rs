//! Snapshot records: one small, immutable object a snapshot.
//!
//! Here live what a record says and its rules. Not here: taking snapshots, and
//! which of them are there, missing or forgotten.
//!
//! Invariant: a decoded record has roots, names and numbers that the layers
//! above can use without looking at them again.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::durable;
use crate::codec::manifest::FileTime;
use crate::codec::{ByteString, CodecError, Durable, Extension, Kind};
use crate::id::{BlobId, SnapshotId};

#[cfg(test)]
pub(crate) mod blank;
mod knowledge;
mod rules;

pub use knowledge::{JournalMode, Knowledge, MAX_REFERENCES, MAX_TABLES, References, TableRows};
pub(super) use rules::{each_once, present_fault};

/// How much of the source a snapshot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Everything, as one would wish (exit 0).
    Clean,
    /// Saved, but incomplete or not clean; the warnings say what (exit 3).
    WithFindings,
}

/// What kind of state the bytes of a captured database are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DatabaseLabel {
    /// Exactly one committed state of the source.
    Committed,
    /// A committed state, recovered from a journal in a private copy.
    Recovered,
    /// Files copied as a crash would have left them.
    CrashImage,
    /// The source itself is corrupt.
    SourceCorrupt,
    /// Not readable as a database (sealed, or another format).
    Opaque,
}

/// Which way the bytes were obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum CaptureMethod {
    /// The online-backup interface under a held read transaction.
    OnlineBackup,
    /// The same, of a database at rest without side files, opened immutable.
    Immutable,
    /// Files copied privately, then recovered by `SQLite`.
    PrivateRecovery,
    /// Plain copy of the file's bytes.
    RawCopy,
}

/// What a check of a captured database said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckResult {
    /// `quick_check` said ok.
    QuickOk,
    /// It named problems; the first of them.
    Failed(String),
    /// It could not be run; why.
    NotRun(String),
}

/// Identity of a file on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileIdentity {
    /// Device.
    pub device: u64,
    /// Inode.
    pub inode: u64,
    /// Length in bytes.
    pub size: u64,
    /// Last modification.
    pub mtime: FileTime,
    /// Last change of the inode.
    pub ctime: FileTime,
}

/// What makes a database "the same as last time" without reading it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseIdentity {
    /// The database file.
    pub main: FileIdentity,
    /// Its write-ahead log, if there is one.
    pub wal: Option<FileIdentity>,
    /// The first 32 bytes of the log (its header with the salts), or fewer.
    pub wal_header: ByteString,
    /// Its rollback journal, if there is one.
    pub journal: Option<FileIdentity>,
}

/// What a snapshot knows about one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatabaseRecord {
    /// Index into the roots.
    pub root: u32,
    /// Path relative to that root.
    pub path: ByteString,
    /// What kind of state it is.
    pub label: DatabaseLabel,
    /// How it was obtained.
    pub method: CaptureMethod,
    /// Bytes a page; 0 when unknown.
    pub page_size: u32,
    /// Pages; 0 when unknown.
    pub page_count: u64,
    /// Bytes captured.
    pub len: u64,
    /// How its writers work.
    pub journal_mode: JournalMode,
    /// What the check of the captured bytes said.
    pub check: CheckResult,
    /// When the read transaction began, nanoseconds since 1970.
    pub captured_at_ns: i64,
    /// What it looked like on disk just before, to recognise it unchanged; `None` when it changed meanwhile.
    pub identity: Option<DatabaseIdentity>,
    /// The version record that its entry names, if it is stored as one. Only the entry makes it live.
    pub version: Option<BlobId>,
    /// What is inside; `None` when `SQLite` could not look.
    pub knowledge: Option<Knowledge>,
    /// Its references to files; at most [`MAX_REFERENCES`].
    pub references: Vec<References>,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

/// A root of the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root {
    /// Its absolute path, as bytes.
    pub path: ByteString,
}

/// Counts of a snapshot. `new`, `changed`, `removed` are files, against the parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// Regular files.
    pub files: u64,
    /// Directories.
    pub dirs: u64,
    /// Everything else.
    pub others: u64,
    /// Sum of the sizes of the files.
    pub bytes: u64,
    /// Files that the parent does not have.
    pub new_files: u64,
    /// Files that the parent has otherwise.
    pub changed_files: u64,
    /// Files of the parent that are gone.
    pub removed_files: u64,
    /// Plaintext bytes of blobs that this snapshot added.
    pub new_plain_bytes: u64,
    /// Bytes that they take in the repository.
    pub new_stored_bytes: u64,
}

/// A finding about the source that makes a snapshot [`Outcome::WithFindings`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Of which kind it is.
    pub kind: FindingKind,
    /// The path or object concerned, as bytes.
    pub subject: ByteString,
    /// What is the matter.
    pub message: String,
    /// A person has seen and accepted it before: it does not count.
    pub accepted: bool,
}

impl Finding {
    /// What its id is made from: kind, subject and message, as a record has them.
    pub fn said(&self) -> Vec<u8> {
        let mut said = (self.kind as u32).to_le_bytes().to_vec();
        for part in [&*self.subject, self.message.as_bytes()] {
            said.extend_from_slice(&(part.len() as u64).to_le_bytes());
            said.extend_from_slice(part);
        }
        said
    }
}

/// What a finding is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FindingKind {
    /// A file or directory that could not be saved whole.
    Source,
    /// A database that is not one committed and sound state.
    Database,
    /// A file that a row names and that the snapshot has not, or not as the row says.
    Dangling,
    /// References that could not be looked up.
    Reference,
    /// A file or directory that cannot be read, or not be held as it is.
    Unreadable,
    /// A database that `SQLite` cannot read: sealed, or none.
    Opaque,
    /// What a row says of a file is refused, or contradicts another row.
    Row,
}

/// Which other snapshots were there when this one was taken; see `docs/format.md`, "Missing snapshots".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Siblings {
    /// Every snapshot of the source that was listed, each once; at most [`MAX_SIBLINGS`].
    pub present: Vec<SnapshotId>,
}

/// The record of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// One more than the highest of the source; below 2^48.
    pub sequence: u64,
    /// The time that the snapshot stands for, nanoseconds since 1970 (`--time`, else when it began).
    pub time_ns: i64,
    /// When the run began.
    pub started_ns: i64,
    /// When the record was written.
    pub finished_ns: i64,
    /// The IANA name of the zone in which its times are meant.
    pub zone: String,
    /// The source's name.
    pub source: String,
    /// The roots, in the order of their numbers; 1 to [`MAX_ROOTS`], each once.
    pub roots: Vec<Root>,
    /// The machine that took it.
    pub host: String,
    /// The user who took it.
    pub user: String,
    /// The larder that took it.
    pub version: String,
    /// The snapshot that it was compared with.
    pub parent: Option<SnapshotId>,
    /// The root node of the manifest.
    pub manifest: BlobId,
    /// How it went.
    pub outcome: Outcome,
    /// Counts.
    pub counts: Counts,
    /// The databases in it, in the order of the manifest, each once.
    pub databases: Vec<DatabaseRecord>,
    /// The tags that it was born with, each once; at most [`MAX_TAGS`].
    pub tags: Vec<String>,
    /// What was not clean: the first [`MAX_FINDINGS`] findings.
    pub findings: Vec<Finding>,
    /// All findings, counted.
    pub findings_total: u64,
    /// What else was there.
    pub siblings: Siblings,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

/// Tag of a database's extension: a hash of the queries that it was asked (32 bytes), when nothing was refused and no rows disagree: what
/// is not there as they say is a finding each. Whoever asks the same of the same bytes, and has the same files, need not ask again.
pub const TAG_QUESTIONS: u32 = 1;

/// The most findings that a record lists; more are only counted.
pub const MAX_FINDINGS: usize = 1000;

/// The most roots of a source.
pub const MAX_ROOTS: usize = 1000;

/// The most snapshots that a record names as present.
pub const MAX_SIBLINGS: usize = 16_384;

/// The most tags that a snapshot is born with.
pub const MAX_TAGS: usize = 64;

/// Sequences stay below this.
pub const MAX_SEQUENCE: u64 = 1 << 48;

durable!(SnapshotRecord, Kind::Snapshot);

impl SnapshotRecord {
    /// Encodes it after leaving out what must be for the record to keep to its limit: the last findings, as many as it takes, then
    /// all counts of rows. `findings_total` and `tables_left_out` count them still.
    pub fn encode_fitting(&mut self) -> Result<Vec<u8>, CodecError> {
        self.findings.truncate(MAX_FINDINGS);
        let too_large = |done: &Result<Vec<u8>, CodecError>| match done {
            Err(CodecError::TooLarge { len, limit, .. }) => Some(len.saturating_sub(*limit)),
            _ => None,
        };
        let mut done = self.encode();
        if let Some(excess) = too_large(&done) {
            self.drop_findings(excess);
            done = self.encode();
        }
        if too_large(&done).is_some() {
            self.databases.iter_mut().filter_map(|it| it.knowledge.as_mut()).for_each(|known| {
                let tables = std::mem::take(&mut known.tables).len();
                let tables = u32::try_from(tables).unwrap_or(u32::MAX);
                known.tables_left_out = known.tables_left_out.saturating_add(tables);
            });
            done = self.encode();
        }
        done
    }

    fn drop_findings(&mut self, mut excess: usize) {
        while excess > 0
            && let Some(finding) = self.findings.pop()
        {
            // The kind, two lengths of 8 bytes and what they count, and a byte.
            excess = excess.saturating_sub(21 + finding.subject.len() + finding.message.len());
        }
    }
}
