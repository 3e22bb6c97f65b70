//! `larder backup`: takes a snapshot.
//!
//! Here live the flags and the run; `plan` finds out what to save, `report`
//! says what came of it. Not here: anything that reads a source.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use clap::Args;
use larder::ops::backup::{BackupOptions, backup};
use larder::ops::open::open_local;
use larder::repo::backend::memory::MemoryBackend;
use larder::repo::repository::{InitOptions, Repository};
use larder::repo::space::MinFree;

use crate::cli::capture::{HelperCapture, helper};
use crate::cli::commands::init;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::output::progress::Progress;
use crate::cli::output::units::{parse_bytes, parse_duration};
use crate::cli::spool::Spool;

mod json;
mod plan;
mod report;
mod stored;

use plan::Job;

/// Take a snapshot of one or more directories as one source; without PATH, of every source of the
/// configuration. Databases are captured through SQLite while their application works on.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 saved; 3 saved, but not clean (what is not is listed); \
    1 a source is missing; 11 the source is being saved by another run; 22 no room; 130 interrupted.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub(crate) struct BackupArgs {
    /// What to save
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The name of the source [default: as it was saved before, else from its path]
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Give the snapshot this tag; may be repeated
    #[arg(long = "tag", value_name = "T")]
    tags: Vec<String>,
    /// The time that the snapshot stands for, instead of now
    #[arg(long, value_name = "T")]
    time: Option<String>,
    /// Leave out what matches: a name at any depth, or a path from the root; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Leave out what matches a line of this file
    #[arg(long, value_name = "FILE")]
    exclude_from: Vec<PathBuf>,
    /// Leave out directories that mark themselves as caches (CACHEDIR.TAG)
    #[arg(long)]
    exclude_caches: bool,
    /// Do not enter other file systems
    #[arg(long)]
    one_file_system: bool,
    /// Store nothing; say what would be stored
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Accept that the source of this name has other roots now
    #[arg(long)]
    moved: bool,
    /// Room that stays free on the disks of repository and spool [default: 1 GiB or 5 %, whichever is less]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    min_free: Option<u64>,
    /// Where captured databases are kept meanwhile [default: TMPDIR, else /var/tmp]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// How long to wait for a database that its application has locked
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration)]
    db_wait: Duration,
}

/// Runs the command.
pub(crate) fn run(args: &BackupArgs, context: &Context) -> Result<Exit> {
    let jobs = plan::jobs(args, context)?;
    let time_ns = plan::time(args, context)?;
    let repository = open_or_make(args, &jobs, context)?;
    context.note_repository()?;
    if let Some(remark) = &context.settings.zone.remark {
        context.console.note(remark.as_str());
    }
    context.signals.watch()?;
    let runner = Runner { args, context, repository: &repository, time_ns };
    let mut worst = Exit::Ok;
    for job in &jobs {
        let exit = match runner.save(job) {
            Ok(exit) => exit,
            Err(failure) if jobs.len() == 1 => return Err(failure),
            // The next source may be sound; a full disk and a person's wish are the same for all.
            Err(failure) => match context.report(&failure) {
                stop @ (Exit::Interrupted(_) | Exit::NoSpace) => return Ok(worst.or_worse(stop)),
                exit => exit,
            },
        };
        worst = worst.or_worse(exit);
    }
    Ok(worst)
}

/// Only the default repository is made without being asked: a named one that is not there may be a volume that is not mounted.
fn open_or_make(args: &BackupArgs, jobs: &[Job], context: &Context) -> Result<Repository> {
    let place = context.place()?;
    match open_local(&place.value) {
        Ok(repository) => Ok(repository),
        Err(error) if place.is_default && Exit::from(error.kind()) == Exit::NoRepository => {
            if args.dry_run {
                context.console.note("there is no repository yet; the first backup makes one");
                return imagined(context);
            }
            plan::refuse_missing(jobs)?;
            let repository = init::make(context)?;
            context.console.note(format!("made a repository in {}", place.value.display()));
            Ok(repository)
        }
        Err(error) => Err(error.into()),
    }
}

/// A dry run of the very first backup leaves nothing behind either.
fn imagined(context: &Context) -> Result<Repository> {
    let backend = Arc::new(MemoryBackend::default());
    let made = Repository::init(backend, "memory", InitOptions::default(), &context.host);
    Ok(made.map_err(larder::error::Error::from)?)
}

struct Runner<'a> {
    args: &'a BackupArgs,
    context: &'a Context,
    repository: &'a Repository,
    time_ns: Option<i64>,
}

impl Runner<'_> {
    fn save(&self, job: &Job) -> Result<Exit> {
        let began = Instant::now();
        let context = self.context;
        plan::refuse_nested(&job.roots)?;
        let repository_dir = &context.place()?.value;
        let spool = Spool::find(self.args.spool.as_deref(), repository_dir, &job.roots)?;
        let progress = Progress::new(&context.console, &context.signals);
        let capture = HelperCapture {
            helper: helper()?,
            spool_dir: spool.dir().to_owned(),
            wait: self.args.db_wait,
            min_free: self.min_free(),
            host: &context.host,
            observer: &progress,
        };
        let options = self.options(job, &spool, repository_dir);
        let saved = backup(self.repository, &options, &capture, &context.host, &progress);
        progress.finish();
        report::Report { done: &saved?, progress: &progress, took: began.elapsed(), context }.say()
    }

    fn min_free(&self) -> MinFree {
        MinFree { asked_bytes: self.args.min_free }
    }

    fn options(&self, job: &Job, spool: &Spool, repository_dir: &std::path::Path) -> BackupOptions {
        let own = [larder::ops::open::directory_identity(repository_dir), spool.never_enter()];
        BackupOptions {
            roots: job.roots.clone(),
            source: job.source.clone(),
            moved: self.args.moved,
            tags: self.args.tags.clone(),
            time_ns: self.time_ns,
            zone: self.context.settings.zone.name.clone(),
            excludes: job.excludes.clone(),
            exclude_caches: self.args.exclude_caches,
            one_file_system: job.one_file_system,
            never_enter: own.into_iter().flatten().collect(),
            spool_dir: spool.dir().to_owned(),
            min_free: self.min_free(),
            workers: available_parallelism().map_or(1, usize::from),
            dry_run: self.args.dry_run,
            references: self.context.settings.references(),
            built_in_references: self.context.settings.built_in_references(),
        }
    }
}
