//! The course of a restore.

use std::collections::HashSet;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;

use crate::codec::manifest::Entry;
use crate::observe::{Observer, Phase, Total};
use crate::repo::error::RepoError;
use crate::snapshot::beneath::{Beneath, Resolution, path_flaw};
use crate::snapshot::restore::contents::FileContents;
use crate::snapshot::restore::error::{Failure, RestoreError};
use crate::snapshot::restore::links::Links;
use crate::snapshot::restore::make::{self, MadeOther};
use crate::snapshot::restore::plan::{Batch, FileJob, Job, Placement, Planner};
use crate::snapshot::restore::replace::{self, NamedPath};
use crate::snapshot::restore::report::RestoreReport;
use crate::snapshot::restore::target;
use crate::snapshot::restore::write::{Outcome, Writer, sort_by_place};
use crate::snapshot::trail::Trail;

/// The usual number of entries that are carried out together: enough to sort by, little to hold.
pub const BATCH_ENTRIES: usize = 4096;

/// How a restore is done.
#[derive(Clone, Copy)]
pub struct RestoreOptions<'a> {
    /// Threads that write files, at least one.
    pub threads: usize,
    /// Entries that are carried out together, at least one.
    pub batch_entries: usize,
    /// How paths are resolved.
    pub resolution: Resolution,
    /// Who is told, and says when to stop.
    pub observer: &'a dyn Observer,
    /// What there is to do, if it is known.
    pub total: Option<Total>,
    /// Brings everything on the file system of a directory to the disk; [`sync_file_system`] outside of tests.
    pub sync: fn(BorrowedFd<'_>) -> io::Result<()>,
}

/// Brings everything on the file system of this directory to the disk. The system keeps what went wrong with any file meanwhile, also
/// with one that is closed, and says it here.
pub fn sync_file_system(dir: BorrowedFd<'_>) -> io::Result<()> {
    Ok(rustix::fs::syncfs(dir)?)
}

/// Restores everything into a directory that is missing or empty.
///
/// `entries` come in the order of their keys. Damage and refusals of single entries are in the report; the rest is
/// restored.
pub fn restore_tree(
    entries: impl IntoIterator<Item = Result<Entry, RepoError>>,
    placements: &[Placement],
    target: &Path,
    contents: &dyn FileContents,
    options: RestoreOptions<'_>,
) -> Result<RestoreReport, RestoreError> {
    for placement in placements {
        if let Some(reason) = path_flaw(&placement.to) {
            return Err(RestoreError::BadPath { path: placement.to.as_slice().into(), reason });
        }
    }
    let beneath = target::open_empty(target, options.resolution)?;
    for placement in placements {
        target::make_parents(&beneath, &placement.to)
            .map_err(|source| RestoreError::Target { path: target.to_path_buf(), source })?;
    }
    options.observer.begin(Phase::Restore, options.total);
    let report = Run::new(&beneath, contents, options).all(entries, placements)?;
    // The target was empty, so all of it is on one file system.
    (options.sync)(beneath.dir())
        .map_err(|source| RestoreError::NotDurable { path: target.to_path_buf(), source })?;
    Ok(report)
}

/// Restores one named path, a file or a directory with all that is in it, to a place in a directory.
///
/// It is restored beside its place first. What is there then moves, with its journals, to `.larder-replaced-<time>`;
/// without leave to do that, or while a process has that database open, it is an error. An incomplete restore never takes the place
/// of anything.
pub fn restore_path(
    entries: impl IntoIterator<Item = Result<Entry, RepoError>>,
    named: &NamedPathRestore<'_>,
    contents: &dyn FileContents,
    options: RestoreOptions<'_>,
) -> Result<RestoreReport, RestoreError> {
    if let Some(reason) = flaw_of_place(named.at) {
        return Err(RestoreError::BadPath { path: named.at.into(), reason });
    }
    let beneath = target::open_any(named.target, options.resolution)?;
    let place = NamedPath::prepare(&beneath, named)?;
    options.observer.begin(Phase::Restore, options.total);
    let placement =
        Placement { root: named.root, from: named.from.to_vec(), to: place.name().to_vec() };
    let staging = place.staging(options.resolution)?;
    let report = Run::new(&staging, contents, options).all(entries, &[placement]);
    let sync = || {
        (options.sync)(staging.dir())
            .map_err(|source| RestoreError::NotDurable { path: named.target.to_path_buf(), source })
    };
    replace::settle(&place, &staging, report.and_then(|report| sync().map(|()| report)))
}

fn flaw_of_place(at: &[u8]) -> Option<&'static str> {
    if at.is_empty() { Some("it names no place") } else { path_flaw(at) }
}

/// One path of a snapshot and the place where it goes.
#[derive(Debug, Clone, Copy)]
pub struct NamedPathRestore<'a> {
    /// The root that it is in.
    pub root: u32,
    /// The path, relative to that root.
    pub from: &'a [u8],
    /// The directory under which it goes; made if it is missing.
    pub target: &'a Path,
    /// Its path there. Directories that lead to it are made.
    pub at: &'a [u8],
    /// Whether it is a database: then a log or a journal of that name is in its way too.
    pub database: bool,
    /// Whether what is in its place may be moved aside.
    pub overwrite: bool,
    /// The time as text that fits into a file name, for the directories of what is replaced.
    pub time: &'a str,
}

/// A restore under way.
struct Run<'a> {
    target: &'a Beneath,
    writer: Writer<'a>,
    links: Links,
    batch_entries: usize,
    /// Directories of the batches under way that could not be made, each said once.
    unmade: HashSet<Vec<u8>>,
    report: RestoreReport,
}

impl<'a> Run<'a> {
    fn new(
        target: &'a Beneath,
        contents: &'a dyn FileContents,
        options: RestoreOptions<'a>,
    ) -> Self {
        let RestoreOptions { threads, batch_entries, observer, .. } = options;
        let writer = Writer { target, contents, observer, threads };
        let (links, report) = (Links::default(), RestoreReport::default());
        Self { target, writer, links, batch_entries, unmade: HashSet::new(), report }
    }

    fn all(
        mut self,
        entries: impl IntoIterator<Item = Result<Entry, RepoError>>,
        placements: &[Placement],
    ) -> Result<RestoreReport, RestoreError> {
        let mut planner = Planner::new(placements);
        for entry in entries {
            self.stop_if_asked()?;
            match entry {
                Ok(entry) => self.plan(&mut planner, entry),
                Err(error) => self.keep(b"", Err(Failure::of_repository(error)))?.unwrap_or(()),
            }
            if planner.pending() >= self.batch_entries.max(1) {
                self.carry_out(planner.take())?;
            }
        }
        self.carry_out(planner.finish())?;
        Ok(self.report)
    }

    fn stop_if_asked(&self) -> Result<(), RestoreError> {
        if self.writer.observer.cancelled() { Err(RestoreError::Cancelled) } else { Ok(()) }
    }

    fn plan(&mut self, planner: &mut Planner<'_>, entry: Entry) {
        let path = entry.key.path.to_vec();
        if let Err(reason) = planner.add(entry, &mut self.links) {
            self.report.damaged.add(&path, reason);
        }
    }

    fn carry_out(&mut self, mut batch: Batch) -> Result<(), RestoreError> {
        let mut trail = Trail::new(self.target);
        for job in &batch.directories {
            let made = make::directory(&mut trail, &job.path);
            if self.keep(&job.path, made)?.is_none() {
                self.unmade.insert(job.path.clone());
            }
        }
        drop(trail);
        sort_by_place(&mut batch.files, self.writer.contents);
        for (number, outcome) in self.writer.write_all(&batch.files) {
            if let Some(job) = batch.files.get(number) {
                self.file_done(job, (number, outcome))?;
            }
        }
        self.make_others(&batch.others)?;
        for job in batch.links {
            self.stop_if_asked()?;
            self.link(job)?;
        }
        for job in &batch.left {
            if self.unmade.remove(&job.path) {
                continue;
            }
            let finished = make::finish_directory(self.target, job);
            if let Some(notes) = self.keep(&job.path, finished)? {
                self.report.directories += 1;
                self.note(&job.path, notes);
            }
        }
        Ok(())
    }

    fn file_done(&mut self, job: &FileJob, (_, outcome): Outcome) -> Result<(), RestoreError> {
        let Some(written) = self.keep(&job.path, outcome)? else { return Ok(()) };
        self.report.files += 1;
        self.report.bytes += written.bytes;
        self.note(&job.path, written.notes);
        if let Some(made) = written.made {
            self.links.made(&job.entry, made);
        }
        Ok(())
    }

    fn make_others(&mut self, jobs: &[Job]) -> Result<(), RestoreError> {
        let mut trail = Trail::new(self.target);
        for job in jobs {
            self.stop_if_asked()?;
            let made = make::other(&mut trail, job);
            match self.keep(&job.path, made)? {
                Some(MadeOther::Done { notes, made }) => {
                    self.report.others += 1;
                    self.note(&job.path, notes);
                    self.links.made(&job.entry, made);
                }
                Some(MadeOther::LeftOut(reason)) => self.note(&job.path, vec![reason]),
                None => {}
            }
        }
        Ok(())
    }

    fn link(&mut self, job: Job) -> Result<(), RestoreError> {
        let Some(made) = self.links.target(&job.entry) else { return self.make_instead(job) };
        let linked = make::link(self.target, &made, &job.path);
        if self.keep(&job.path, linked)?.is_some() {
            if make::is_file(&job.entry) {
                self.report.files += 1;
            } else {
                self.report.others += 1;
            }
            self.writer.observer.advance(1, 0);
        }
        Ok(())
    }

    /// The first name could not be made: this one is tried in its own right, and says itself what is wrong.
    fn make_instead(&mut self, job: Job) -> Result<(), RestoreError> {
        if !make::is_file(&job.entry) {
            return self.make_others(&[job]);
        }
        let Some(job) = FileJob::new(job, true) else { return Ok(()) };
        let written = self.writer.write(&mut Trail::new(self.target), &job);
        self.file_done(&job, (0, written))
    }

    fn note(&mut self, path: &[u8], notes: Vec<String>) {
        for note in notes {
            self.report.notes.add(path, note);
        }
    }

    /// Puts the failure of one entry into the report; passes on what is fatal.
    fn keep<T>(
        &mut self,
        path: &[u8],
        result: Result<T, Failure>,
    ) -> Result<Option<T>, RestoreError> {
        match result {
            Ok(value) => return Ok(Some(value)),
            Err(Failure::Damaged(reason)) => self.report.damaged.add(path, reason),
            Err(Failure::Refused(reason)) => self.report.refused.add(path, reason),
            Err(Failure::Fatal(error)) => return Err(error),
        }
        Ok(None)
    }
}
