//! Taking a snapshot.

use std::collections::{BTreeSet, HashSet};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::chunker::params::Params;
use crate::codec::manifest::EntryKey;
use crate::codec::names::tag_fault;
use crate::codec::snapshot::{
    DatabaseRecord, Finding, FindingKind, MAX_FINDINGS, MAX_REFERENCES, Outcome, Root, Siblings,
    SnapshotRecord,
};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::id::{BlobId, FindingId, SnapshotId};
use crate::observe::{Observer, Phase, Total, Warning};
use crate::ops::accept::is_acceptable;
use crate::ops::naming::{NamingError, list, source_name};
use crate::ops::tag::check_tag;
use crate::repo::backend::Refusal;
use crate::repo::blobs::BlobWrite;
use crate::repo::disk::Space;
use crate::repo::error::{Damage, RepoError};
use crate::repo::facts::Facts;
use crate::repo::locks::share_repository;
use crate::repo::missing::{names_for_next, next_sequence};
use crate::repo::read::Reader;
use crate::repo::repository::Repository;
use crate::repo::session::{Added, Session, claim_source};
use crate::repo::snapshots::{Listing, Snapshot};
use crate::repo::space::MinFree;
use crate::snapshot::archive::capture::Capture;
use crate::snapshot::archive::{
    ArchiveError, Archived, Parent, Request, SourceFinding, Versions, archive,
};
use crate::snapshot::beneath::Resolution;
use crate::snapshot::source::exclude::Excludes;
use crate::snapshot::source::walk::{Source, WalkOptions};
use crate::snapshot::version::stack::Moment;
use crate::sqlite::questions::{ReferenceQuery, built_in};

mod dry_run;
pub mod rows;

use dry_run::DryRun;
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

/// What every database is asked. A record names the sets, each once, and has room for so many.
fn questions(options: &BackupOptions) -> Result<Vec<ReferenceQuery>> {
    let mut questions = if options.built_in_references { built_in() } else { Vec::new() };
    questions.extend(options.references.iter().cloned());
    let usage = |what: String| Err(Error::Usage { what });
    let mut names = BTreeSet::new();
    for query in &questions {
        if let Some(rule) = tag_fault(&query.name) {
            return usage(format!("{:?} cannot be the name of a reference: {rule}", query.name));
        }
        if !names.insert(&query.name) {
            return usage(format!("two references have the name {:?}", query.name));
        }
    }
    if questions.len() > MAX_REFERENCES {
        return usage(format!("{} references, at most {MAX_REFERENCES}", questions.len()));
    }
    Ok(questions)
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

/// What a run came to.
struct Came<'a> {
    archived: &'a Archived,
    added: Added,
    damage: &'a [Damage],
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

    fn archive(
        &self,
        before: &Before<'_>,
        reader: &Reader<'_>,
        blobs: &dyn BlobWrite,
    ) -> std::result::Result<Archived, ArchiveError> {
        let options = self.options;
        let sources = self.open_sources()?;
        let excludes = self.excludes()?;
        let walks: Vec<_> = excludes.iter().map(|excludes| self.walk_options(excludes)).collect();
        let parent = before.parent();
        let total = parent.map(|parent| Total {
            items: parent.record.counts.files,
            bytes: parent.record.counts.bytes,
            estimated: true,
        });
        self.observer.begin(Phase::Files, total);
        let chunker = self.repository.config().chunker;
        let cut = Params::new(chunker.average_bytes, chunker.whole_file_bytes)
            .expect("invariant: a decoded config has chunker parameters within their bounds");
        let earlier: Vec<_> = before.listing.of_source(before.source).rev().collect();
        let versions = |key: &EntryKey| versions_of(&earlier, key);
        let request = Request {
            sources: &sources,
            walks: &walks,
            cut,
            workers: options.workers.max(1),
            clock: &|| self.host.now_ns(),
            pause: &|time| self.host.pause(time),
            spool_dir: &options.spool_dir,
            parent: parent.map(|parent| parent_of(parent, reader)),
            capture: self.capture,
            references: self.questions,
            accepted: &|finding| self.is_accepted(before, finding),
            versions: Some(Versions {
                blobs: reader,
                of: &versions,
                moment: Moment {
                    time_ns: options.time_ns.unwrap_or(self.started_ns),
                    before_ns: parent.map(|parent| parent.record.time_ns),
                    zone: &options.zone,
                },
                min_free_bytes: spool_reserve(options),
            }),
        };
        let mut archived = archive(&request, blobs, self.observer)?;
        archived.findings.extend(self.unasked(before, &archived.databases));
        Ok(archived)
    }

    /// Queries that are for one database, where there is none. With several sources in the repository it may be another one's,
    /// unless an earlier snapshot of this one has it.
    fn unasked(&self, before: &Before<'_>, now: &[DatabaseRecord]) -> Vec<SourceFinding> {
        let is_only = before.listing.snapshots.iter().all(|it| it.record.source == before.source);
        let finding = |query: &ReferenceQuery| {
            let path = query.database.as_ref()?;
            let has = |databases: &[DatabaseRecord]| databases.iter().any(|it| *it.path == **path);
            let mut earlier = before.listing.of_source(before.source);
            let is_due = !has(now) && (is_only || earlier.any(|it| has(&it.record.databases)));
            is_due.then(|| SourceFinding {
                kind: FindingKind::Reference,
                key: EntryKey { root: 0, path: path.as_slice().into() },
                message: format!("reference {}: there is no database at this path", query.name),
            })
        };
        self.questions.iter().filter_map(finding).collect()
    }

    fn open_sources(&self) -> std::result::Result<Vec<Source>, ArchiveError> {
        let opened = self
            .options
            .roots
            .iter()
            .zip(0..)
            .map(|(root, number)| Source::open(number, root, Resolution::default()));
        Ok(opened.collect::<std::result::Result<_, _>>()?)
    }

    fn excludes(&self) -> std::result::Result<Vec<Excludes>, ArchiveError> {
        let made =
            self.options.roots.iter().map(|root| Excludes::new(&self.options.excludes, root));
        Ok(made.collect::<std::result::Result<_, _>>()?)
    }

    fn walk_options<'e>(&'e self, excludes: &'e Excludes) -> WalkOptions<'e> {
        WalkOptions {
            excludes,
            exclude_caches: self.options.exclude_caches,
            same_file_system: self.options.one_file_system,
            never_enter: &self.options.never_enter,
        }
    }

    fn record(&self, before: &Before<'_>, came: &Came<'_>) -> SnapshotRecord {
        let (archived, added) = (came.archived, came.added);
        let Before { listing, facts, source, .. } = *before;
        let mut counts = archived.counts;
        (counts.new_plain_bytes, counts.new_stored_bytes) = (added.plain_bytes, added.stored_bytes);
        let findings = self.findings(before, archived);
        let settled =
            findings.iter().all(|finding| finding.accepted) && archived.unlisted_open == 0;
        let clean = settled && came.damage.is_empty();
        let root = |path: &PathBuf| Root { path: path.as_os_str().as_bytes().into() };
        SnapshotRecord {
            sequence: next_sequence(listing, facts, source),
            time_ns: self.options.time_ns.unwrap_or(self.started_ns),
            started_ns: self.started_ns,
            finished_ns: self.host.now_ns(),
            zone: self.options.zone.clone(),
            source: source.to_owned(),
            roots: self.options.roots.iter().map(root).collect(),
            host: self.host.name(),
            user: self.host.user(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            parent: before.parent().map(|parent| parent.id),
            manifest: archived.manifest,
            outcome: if clean { Outcome::Clean } else { Outcome::WithFindings },
            counts,
            databases: archived.databases.clone(),
            tags: self.options.tags.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
            findings_total: (findings.len() as u64).saturating_add(archived.unlisted),
            findings: listed(findings),
            siblings: Siblings { present: names_for_next(listing, facts, source) },
            extensions: Vec::new(),
        }
    }

    fn findings(&self, before: &Before<'_>, archived: &Archived) -> Vec<Finding> {
        let finding = |finding: &SourceFinding| {
            let accepted = self.is_accepted(before, finding);
            Finding { accepted, ..self.finding(finding) }
        };
        archived.findings.iter().map(finding).collect()
    }

    fn finding(&self, finding: &SourceFinding) -> Finding {
        Finding {
            kind: finding.kind,
            subject: self.subject(&finding.key).into(),
            message: finding.message.clone(),
            accepted: false,
        }
    }

    fn is_accepted(&self, before: &Before<'_>, finding: &SourceFinding) -> bool {
        // A fact may be older than the rule, or hostile. Nearly always nothing is accepted, and hashing is not for nothing.
        is_acceptable(finding.kind) && !before.accepted.is_empty() && {
            let said = self.finding(finding).said();
            before.accepted.contains(&self.repository.keys().finding_id(&said))
        }
    }

    /// How a path is called in messages: relative where there is one root, absolute where there are several.
    fn subject(&self, key: &EntryKey) -> Vec<u8> {
        let root = usize::try_from(key.root).ok().and_then(|root| self.options.roots.get(root));
        match root {
            Some(root) if self.options.roots.len() > 1 || key.path.is_empty() => {
                let root = root.as_os_str().as_bytes();
                if key.path.is_empty() { root.to_vec() } else { [root, b"/", &key.path].concat() }
            }
            _ => key.path.to_vec(),
        }
    }

    /// Damage that reading the parent has met, together with what the listings showed.
    fn damage(&self, reader: &Reader<'_>, before: &Before<'_>, archived: &Archived) -> Vec<Damage> {
        let mut damage = self.repository.config_damage().to_vec();
        damage.extend(before.listing.damage.iter().cloned());
        damage.extend(before.facts.damage.iter().cloned());
        damage.extend(reader.take_damage());
        let unserved = reader.take_unserved();
        // Reading the parent ends with damage that the reader has met, or with what a node contradicts.
        let parent = archived.parent_damage.as_ref().and_then(RepoError::damage);
        let met = parent.into_iter().chain(&archived.version_damage);
        damage.extend(met.filter(|damage| !unserved.contains(damage)).cloned());
        damage.extend(unserved);
        damage
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

/// The first findings, as many as a record lists: where that is not all of them, those that count before those that do not.
fn listed(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() > MAX_FINDINGS {
        findings.sort_by_key(|finding| finding.accepted);
        findings.truncate(MAX_FINDINGS);
    }
    findings
}

fn parent_of<'a>(parent: &'a Snapshot, reader: &'a Reader<'_>) -> Parent<'a> {
    Parent {
        blobs: reader,
        manifest: parent.record.manifest,
        began_ns: parent.record.started_ns,
        databases: &parent.record.databases,
    }
}

/// The version records of a database in these snapshots, newest first.
fn versions_of(before: &[&Snapshot], key: &EntryKey) -> Vec<BlobId> {
    let is_it = |database: &&DatabaseRecord| database.root == key.root && database.path == key.path;
    let version = |snapshot: &&Snapshot| snapshot.record.databases.iter().find(is_it)?.version;
    before.iter().filter_map(version).collect()
}

/// What stays free on the spool's disk. Where its size cannot be learnt, that is what was asked for, or nothing.
fn spool_reserve(options: &BackupOptions) -> u64 {
    let dir = &options.spool_dir;
    let space = fs2::available_space(dir).and_then(|available_bytes| {
        Ok(Space { available_bytes, total_bytes: fs2::total_space(dir)? })
    });
    match space {
        Ok(space) => options.min_free.keep_bytes(space),
        Err(_) => options.min_free.asked_bytes.unwrap_or(0),
    }
}
