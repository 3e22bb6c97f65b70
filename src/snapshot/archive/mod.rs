//! Archiving: from a walked source to a manifest, storing what is new on the way.
//!
//! Three acts. The bulk pass walks the source, takes over what is unchanged and
//! reads the rest in parallel; its entries go into a draft. Then the databases
//! are captured, and captured again until every file that their rows name has an
//! entry or is known to have none (`references`). Then all of it becomes the
//! manifest, which is compared once more with what the rows name.
//!
//! Invariant: an entry of the manifest names only blobs that the repository has
//! or has just been given. A source error becomes a finding and never stops the
//! run; a repository error stops it and never becomes a finding.

use std::time::Duration;

use crate::chunker::params::Params;
use crate::codec::manifest::EntryKey;
use crate::codec::snapshot::{Counts, DatabaseRecord, FindingKind};
use crate::id::BlobId;
use crate::observe::Observer;
use crate::repo::blobs::{BlobRead, BlobWrite};
use crate::repo::error::{Damage, RepoError};
use crate::snapshot::error::SnapshotError;
use crate::snapshot::source::error::SourceError;
use crate::snapshot::source::walk::{Source, WalkOptions};
use crate::snapshot::version::stack::Moment;
use crate::sqlite::captured::CaptureError;
use crate::sqlite::questions::ReferenceQuery;

mod draft;
mod file;
mod previous;
mod tally;

mod slots;
mod stop;

mod reading;

mod collector;
mod walker;

mod databases;
mod late;
mod pages;
mod references;
mod scan;
mod spools;

mod assemble;

pub mod capture;

use assemble::assemble;
use capture::Capture;
use late::{Left, capture_all};
use scan::{Scanned, scan};
use tally::Tally;

/// Why a source could not be archived at all.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The source as a whole cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The repository failed.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The draft of the manifest could not be kept in the spool directory.
    #[error("spool: {0}")]
    Spool(std::io::Error),
    /// There is no room for a captured database.
    #[error(transparent)]
    Capture(CaptureError),
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl From<RepoError> for ArchiveError {
    fn from(error: RepoError) -> Self {
        Self::Snapshot(error.into())
    }
}

/// The snapshot that this one is compared with.
#[derive(Clone, Copy)]
pub struct Parent<'a> {
    /// Reads its manifest.
    pub blobs: &'a dyn BlobRead,
    /// The root of its manifest.
    pub manifest: BlobId,
    /// When it began, nanoseconds since 1970.
    pub began_ns: i64,
    /// Its databases.
    pub databases: &'a [DatabaseRecord],
    /// Files that its databases name and that it has not as they say; those that it lists.
    pub dangling: &'a [SourceFinding],
}

/// What to archive, and how.
pub struct Request<'a> {
    /// The open roots, in the order of their numbers.
    pub sources: &'a [Source],
    /// What to leave out of each of them.
    pub walks: &'a [WalkOptions<'a>],
    /// How files are cut.
    pub cut: Params,
    /// Threads that read files.
    pub workers: usize,
    /// Nanoseconds since 1970.
    pub clock: &'a (dyn Fn() -> i64 + Sync),
    /// Lets time pass, for what the application is about to do.
    pub pause: &'a (dyn Fn(Duration) + Sync),
    /// Where the draft is kept; never inside a repository.
    pub spool_dir: &'a std::path::Path,
    /// The snapshot before.
    pub parent: Option<Parent<'a>>,
    /// Captures databases.
    pub capture: &'a dyn Capture,
    /// Queries for the files that rows name.
    pub references: &'a [ReferenceQuery],
    /// Whether a finding was seen and accepted before, so that nothing is to be waited for on its account.
    pub accepted: &'a (dyn Fn(&SourceFinding) -> bool + Sync),
    /// What databases are stored upon; without it each is stored whole, as chunks.
    pub versions: Option<Versions<'a>>,
}

/// Earlier versions of the source's databases, and what decides how a new one lies on them.
#[derive(Clone, Copy)]
pub struct Versions<'a> {
    /// Reads them.
    pub blobs: &'a dyn BlobRead,
    /// The version records of a database, newest first.
    pub of: &'a (dyn Fn(&EntryKey) -> Vec<BlobId> + Sync),
    /// When this snapshot and the one before it are.
    pub moment: Moment<'a>,
    /// Bytes that stay free on the disk of the spool directory.
    pub min_free_bytes: u64,
}

/// Something about the source that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFinding {
    /// Of which kind it is.
    pub kind: FindingKind,
    /// Where.
    pub key: EntryKey,
    /// What is the matter.
    pub message: String,
}

/// A source that was archived.
#[derive(Debug)]
pub struct Archived {
    /// The root of the manifest.
    pub manifest: BlobId,
    /// What is in it. The bytes that it added are the session's to count.
    pub counts: Counts,
    /// The databases in it.
    pub databases: Vec<DatabaseRecord>,
    /// What makes it less than clean.
    pub findings: Vec<SourceFinding>,
    /// Findings that are too many to be held, counted.
    pub unlisted: u64,
    /// Of those, how many were not accepted before.
    pub unlisted_open: u64,
    /// What is only worth a word: directories that were not entered, files that came and went.
    pub notices: Vec<SourceFinding>,
    /// The previous manifest could not be read to its end; everything after that point was read again.
    pub parent_damage: Option<RepoError>,
    /// Why earlier versions of databases could not be built upon.
    pub version_damage: Vec<Damage>,
}

/// Archives a source into an open session.
pub fn archive(
    request: &Request<'_>,
    blobs: &dyn BlobWrite,
    observer: &dyn Observer,
) -> Result<Archived, ArchiveError> {
    let mut tally = Tally::default();
    let Scanned { draft, late, parent_damage, watched } =
        scan(request, blobs, observer, &mut tally)?;
    let mut draft = draft.finish().map_err(ArchiveError::Spool)?;
    let left = Left { late: &late, watched, draft: &mut draft };
    let mut late = capture_all(request, blobs, observer, left, &mut tally)?;
    let version_damage = std::mem::take(&mut late.0.damage);
    let (manifest, databases) = assemble(request, (blobs, observer), &mut draft, late, &mut tally)?;
    Ok(Archived {
        manifest,
        counts: tally.counts,
        databases,
        findings: tally.findings,
        unlisted: tally.unlisted,
        unlisted_open: tally.unlisted_open,
        notices: tally.notices,
        parent_damage,
        version_damage,
    })
}
