//! Taking a snapshot.
//!
//! Here live the order of the steps (claim the source, list, archive, commit),
//! the options and the report. `asked` has the queries that are put to
//! databases, `archiving` what the archive is asked for, `lost` databases that are none any more, `record` what a run is
//! recorded as, `dry_run` the sink that stores nothing, `rows` what changed in
//! tables. Not here: how a source is read (`snapshot::archive`), and what is
//! printed (`cli`).
//!
//! Invariant: nothing is said to be saved before its record is durable.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::codec::snapshot::{Finding, SnapshotRecord};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::id::{FindingId, SnapshotId};
use crate::observe::{Observer, Phase, Warning};
use crate::ops::accept::is_acceptable;
use crate::ops::naming::{NamingError, list, source_name};
use crate::ops::tag::check_tag;
use crate::repo::backend::Refusal;
use crate::repo::error::{Damage, RepoError};
use crate::repo::facts::Facts;
use crate::repo::locks::share_repository;
use crate::repo::read::Reader;
use crate::repo::repository::Repository;
use crate::repo::session::{Session, claim_source};
use crate::repo::snapshots::{Listing, Snapshot};
use crate::repo::space::MinFree;
use crate::snapshot::archive::capture::Capture;
use crate::snapshot::archive::{ArchiveError, Archived, SourceFinding};
use crate::sqlite::questions::ReferenceQuery;

mod archiving;
mod asked;
mod dry_run;
mod lost;
mod record;
pub mod rows;

use asked::questions;
use dry_run::DryRun;
use record::Came;
use rows::{DatabaseRows, row_changes};

/// What to save, and how.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct BackupOptions {
    /// The roots, absolute.
    pub roots: Vec<PathBuf>,
    /// The source's name, when it is not to be found out.
    pub source: Option<String>,
    /// Accept that a known source has other roots now.
    pub moved: bool,
    /// Tags of the snapshot.
    pub tags: Vec<String>,
    /// The time that the snapshot stands for, when it is not now; nanoseconds since 1970.
    pub time_ns: Option<i64>,
    /// The IANA name of the zone in which times are meant.
    pub zone: String,
    /// Patterns of what to leave out.
    pub excludes: Vec<String>,
    /// Leave out directories that mark themselves as caches.
    pub exclude_caches: bool,
    /// Stay on the file system of each root.
    pub one_file_system: bool,
    /// Directories that are never entered, by device and inode.
    pub never_enter: Vec<(u64, u64)>,
    /// Where databases are captured to and the draft is kept; never inside a repository.
    pub spool_dir: PathBuf,
    /// Room that stays free on the repository's disk.
    pub min_free: MinFree,
    /// Threads that read files.
    pub workers: usize,
    /// Store nothing.
    pub dry_run: bool,
    /// Queries for the files that rows name, beside those that are built in.
    pub references: Vec<ReferenceQuery>,
    /// Ask the queries that are built in, too.
    pub built_in_references: bool,
}

impl BackupOptions {
    /// Everything below these roots, as nothing else was said.
    pub fn new(roots: Vec<PathBuf>, spool_dir: PathBuf) -> Self {
        Self {
            roots,
            source: None,
            moved: false,
            tags: Vec::new(),
            time_ns: None,
            zone: "UTC".to_owned(),
            excludes: Vec::new(),
            exclude_caches: false,
            one_file_system: false,
            never_enter: Vec::new(),
            spool_dir,
            min_free: MinFree::default(),
            workers: 1,
            dry_run: false,
            references: Vec::new(),
            built_in_references: true,
        }
    }
}

/// A snapshot that was taken, or would be.
#[derive(Debug)]
pub struct BackupReport {
    /// Its name; `None` after a dry run.
    pub id: Option<SnapshotId>,
    /// Its record.
    pub record: SnapshotRecord,
    /// What is only worth a word.
    pub notices: Vec<Warning>,
    /// Damage of the repository that was met and worked around.
    pub damage: Vec<Damage>,
    /// Promises that the repository's storage cannot keep.
    pub refusals: Vec<Refusal>,
    /// Tables whose rows are more or fewer than in the snapshot before, per database; those without a change are left out.
    pub row_changes: Vec<DatabaseRows>,
    /// Findings that count, that can be accepted, and that the snapshot before has, too.
    pub repeated: u64,
}

/// Takes a snapshot of the roots. On return with an id it is saved: it survives a crash at any later moment.
pub fn backup(
    repository: &Repository,
    options: &BackupOptions,
    capture: &dyn Capture,
    host: &dyn Host,
    observer: &dyn Observer,
) -> Result<BackupReport> {
    options.tags.iter().try_for_each(|tag| check_tag(tag))?;
    let questions = &questions(options)?;
    let started_ns = host.now_ns();
    let run = Run { repository, options, questions, capture, host, observer, started_ns };
    let _waits = options.dry_run.then(|| share_repository(repository.backend())).transpose()?;
    let listing = Listing::read(repository)?;
    let source = source_name(&listing, &options.roots, options.source.as_deref(), options.moved)
        .map_err(naming)?;
    if options.dry_run {
        // Snapshots were listed before the facts are read here, as below.
        let facts = Facts::read(repository)?;
        return run.rehearsal(&Before::new(&listing, &facts, &source));
    }
    let held = claim_source(repository, &source)?;
    // Listed again under the lock of the source: nobody takes a snapshot of it any more until this one is saved. Snapshots before
    // facts, so that one that is being forgotten is either still there or explained.
    let listing = listing.refreshed(repository)?;
    let facts = Facts::read(repository)?;
    let before = Before::new(&listing, &facts, &source);
    let session = Session::begin(repository, &facts, held, options.min_free, host)?;
    let reader = session.reader();
    let archived = match run.archive(&before, &reader, &session) {
        Ok(archived) => archived,
        Err(error) => return Err(keep_what_is_finished(&session, error)),
    };
    observer.begin(Phase::Commit, None);
    session.keep()?;
    let mut damage = run.damage(&reader, &before, &archived);
    damage.extend(session.take_damage());
    let came = Came { archived: &archived, added: session.added(), damage: &damage };
    let record = run.record(&before, &came);
    let committed = session.commit(&record)?;
    Ok(run.report(Some(committed.id), record, &before, (&archived, damage)))
}

/// After an interruption, and when the disk is nearly full, what is finished is made durable for the next run to reuse.
fn keep_what_is_finished(session: &Session<'_>, error: ArchiveError) -> Error {
    let error = Error::from(error);
    if matches!(error, Error::Interrupted | Error::Repo(RepoError::NoSpace { .. })) {
        // Its failure would only hide why the run ended; what was published before stays in any case.
        let _ = session.keep();
    }
    error
}

fn naming(error: NamingError) -> Error {
    match error {
        NamingError::OtherRoots { name, recorded, given } => {
            Error::OtherRoots { name, recorded: list(&recorded), given: list(&given) }
        }
        error @ NamingError::Unfit { .. } => Error::Usage { what: error.to_string() },
    }
}

/// What the repository says before the run.
struct Before<'a> {
    listing: &'a Listing,
    facts: &'a Facts,
    /// The source's name.
    source: &'a str,
    /// Findings about it that do not count any more.
    accepted: HashSet<FindingId>,
}

impl<'a> Before<'a> {
    fn new(listing: &'a Listing, facts: &'a Facts, source: &'a str) -> Self {
        Self { listing, facts, source, accepted: facts.accepted(source) }
    }

    fn parent(&self) -> Option<&'a Snapshot> {
        self.listing.newest(self.source)
    }
}

struct Run<'a> {
    repository: &'a Repository,
    options: &'a BackupOptions,
    questions: &'a [ReferenceQuery],
    capture: &'a dyn Capture,
    host: &'a dyn Host,
    observer: &'a dyn Observer,
    started_ns: i64,
}

impl Run<'_> {
    fn rehearsal(&self, before: &Before<'_>) -> Result<BackupReport> {
        let reader = Reader::open(self.repository, before.facts)?;
        let sink = DryRun::new(&reader, self.repository.keys());
        let archived = self.archive(before, &reader, &sink)?;
        let damage = self.damage(&reader, before, &archived);
        let came = Came { archived: &archived, added: sink.added(), damage: &damage };
        let record = self.record(before, &came);
        Ok(self.report(None, record, before, (&archived, damage)))
    }

    fn report(
        &self,
        id: Option<SnapshotId>,
        record: SnapshotRecord,
        before: &Before<'_>,
        (archived, damage): (&Archived, Vec<Damage>),
    ) -> BackupReport {
        let old = before.parent().map(|parent| parent.record.databases.as_slice());
        let row_changes = row_changes(old.unwrap_or_default(), &record.databases);
        let findings = before.parent().map(|parent| parent.record.findings.as_slice());
        let repeated = repeated(findings.unwrap_or_default(), &record.findings);
        let notice = |notice: &SourceFinding| {
            Warning::about(self.subject(&notice.key), notice.message.clone())
        };
        BackupReport {
            id,
            record,
            notices: archived.notices.iter().map(notice).collect(),
            damage,
            refusals: self.repository.backend().refusals(),
            row_changes,
            repeated,
        }
    }
}

/// How many of the findings that count and can be accepted were there before.
fn repeated(before: &[Finding], now: &[Finding]) -> u64 {
    let before: HashSet<Vec<u8>> = before.iter().map(Finding::said).collect();
    let counting = now.iter().filter(|finding| !finding.accepted && is_acceptable(finding.kind));
    counting.filter(|finding| before.contains(&finding.said())).count() as u64
}
