//! References: the files that rows of a captured database name, and whether the snapshot has them.
//!
//! Here live the steps of the protocol that `docs/references.md` specifies: rows
//! become keys, keys are looked up in the finished entries, what is missing or
//! changed is read at once, databases are captured again until nothing is
//! missing or always the same, and the assembled manifest is compared with what
//! the stored captures name. Not here: asking the rows (`sqlite`), capturing,
//! and what a person has accepted (`ops`).
//!
//! Invariant: nothing is locked, and nothing is assumed of the application. What
//! is said of a reference is what [`outcome`] saw in the manifest that was stored.

use crate::codec::manifest::{Entry, EntryKey, EntryKind};
use crate::codec::snapshot::{FileIdentity, FindingKind};
use crate::snapshot::archive::SourceFinding;
use crate::snapshot::source::metadata::Stat;

pub(super) mod carry;
pub(super) mod fetch;
pub(super) mod hashes;
pub(super) mod left_out;
pub(super) mod lookup;
pub(super) mod outcome;
mod refusals;
pub(super) mod resolve;
pub(super) mod room;
pub(super) mod rounds;

/// A file that a row names, and what the row says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) key: EntryKey,
    pub(super) size_bytes: Option<u64>,
    pub(super) hash: Option<Box<[u8; 32]>>,
    /// What is wrong with it by the last look.
    pub(super) flaw: Option<Flaw>,
    /// The row says nothing to compare with, and the file was written after the row was captured.
    pub(super) is_newer: bool,
}

/// The answer to one query of one database, resolved.
#[derive(Debug)]
pub(super) struct Set {
    pub(super) name: String,
    /// The directory that its paths are relative to.
    pub(super) base: EntryKey,
    /// Ascending by key, size and hash, each once.
    pub(super) files: Vec<Reference>,
    /// Why there are none.
    pub(super) failure: Option<String>,
}

/// Everything that the rows of one captured database say about files.
#[derive(Debug, Default)]
pub(super) struct Asked {
    pub(super) sets: Vec<Set>,
    /// What could not be looked up, a sentence each.
    pub(super) refused: Vec<String>,
    /// Values of rows that are refused by name, a sentence each.
    pub(super) refused_rows: Vec<String>,
    /// What was asked; `None` when not everything was answered.
    pub(super) questions: Option<[u8; 32]>,
    /// What all of it takes of the [`room::Room`].
    pub(super) taken_bytes: usize,
}

/// What a captured database that is in the snapshot says about files.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) database: EntryKey,
    pub(super) captured_at_ns: i64,
    pub(super) asked: Asked,
    /// Captures of it.
    pub(super) rounds: u32,
}

/// What is wrong with a reference. The texts are part of a finding's identity: no counts, no times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Flaw {
    Missing,
    Unreadable,
    Excluded,
    NotEntered,
    NotAFile,
    Size,
    Hash,
    Unproved,
    /// Its stored bytes are the capture's, whose header differs from the file's.
    Captured,
    NotSaved,
}

impl Flaw {
    /// True when neither time nor another capture can change it.
    fn is_chosen(self) -> bool {
        matches!(self, Self::Excluded | Self::NotEntered | Self::Captured)
    }

    fn text(self) -> &'static str {
        match self {
            Self::Missing => "it is missing at the source too",
            Self::Unreadable => "it could not be read",
            Self::Excluded => "it is excluded from the snapshot",
            Self::NotEntered => "it lies in a directory that is not entered",
            Self::NotAFile => "it is not a regular file",
            Self::Size => "its size is not the one that the row says",
            Self::Hash => "its content has not the hash that the row says",
            Self::Unproved => "it went before its hash could be checked",
            Self::Captured => {
                "it is a database: what is saved is a capture, which no hash of its file fits"
            }
            Self::NotSaved => "it could not be saved",
        }
    }
}

/// The finding about a file that a row names and the snapshot has not, or not as the row says.
pub(super) fn dangling(
    database: &EntryKey,
    set: &Set,
    (key, flaw): (&EntryKey, Flaw),
) -> SourceFinding {
    let database = String::from_utf8_lossy(&database.path);
    let message = format!("{}{}", named_by(&database, &set.name), flaw.text());
    SourceFinding { kind: FindingKind::Dangling, key: key.clone(), message }
}

/// True for a finding of [`dangling`] about this set of this database, whichever its root.
pub(super) fn is_about(finding: &SourceFinding, (database, set): (&[u8], &str)) -> bool {
    let beginning = named_by(&String::from_utf8_lossy(database), set);
    finding.kind == FindingKind::Dangling && finding.message.starts_with(&beginning)
}

fn named_by(database: &str, set: &str) -> String {
    format!("named by a row of {database} ({set}); ")
}

/// The inode and the state of it that an entry was made from.
pub(super) fn identity_of(entry: &Entry) -> Option<FileIdentity> {
    let EntryKind::File(file) = &entry.kind else { return None };
    Some(FileIdentity {
        device: entry.device,
        inode: entry.inode,
        size: file.size,
        mtime: entry.mtime,
        ctime: entry.ctime,
    })
}

/// The same of what is on disk.
pub(super) fn identity_on_disk(stat: &Stat) -> FileIdentity {
    FileIdentity {
        device: stat.device,
        inode: stat.inode,
        size: stat.size,
        mtime: stat.mtime,
        ctime: stat.ctime,
    }
}
