//! What every act works with, and the use cases as the demo calls them.

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::thread::available_parallelism;

use larder::ops::backup::{BackupOptions, BackupReport, backup};
use larder::ops::catalog::Catalog;
use larder::ops::open::{init_local, open_local};
use larder::ops::restore::{RestoreRequest, restore};
use larder::repo::read::Reader;
use larder::repo::repository::{InitOptions, Repository};
use larder::repo::snapshots::Snapshot;
use larder::repo::space::MinFree;
use larder::sqlite::options::{DEFAULT_WAIT, HelperCommand};

use crate::cli::capture::HelperCapture;
use crate::cli::commands::demo::ground::Ground;
use crate::cli::commands::demo::watch::Watch;
use crate::cli::context::Context;
use crate::cli::failure::{Failure, Result};

/// The demo's own repository fills only the demo's own directory: no reserve is kept on its disk.
const NO_RESERVE: MinFree = MinFree { asked_bytes: Some(0) };

/// What every act works with.
pub(super) struct Scene<'a> {
    /// Zone, clock, console.
    pub(super) context: &'a Context,
    /// The demo's directory.
    pub(super) ground: &'a Ground,
    /// Who watches.
    pub(super) watch: &'a Watch<'a>,
    /// The demo's repository.
    pub(super) repository: Repository,
}

impl<'a> Scene<'a> {
    /// Makes the repository.
    pub(super) fn set(
        context: &'a Context,
        ground: &'a Ground,
        watch: &'a Watch<'a>,
    ) -> Result<Self> {
        let repository = init_local(&ground.repository(), InitOptions::default(), &context.host)?;
        Ok(Self { context, ground, watch, repository })
    }

    /// Saves the application's directory, as of this time.
    pub(super) fn backup(&self, time_ns: i64) -> Result<BackupReport> {
        let spool = self.ground.scratch()?;
        let capture = HelperCapture {
            helper: HelperCommand::of(this_program()?),
            spool_dir: spool.path().to_owned(),
            wait: DEFAULT_WAIT,
            min_free: NO_RESERVE,
            host: &self.context.host,
            observer: self.watch,
        };
        let options = BackupOptions {
            time_ns: Some(time_ns),
            zone: self.context.settings.zone.name.clone(),
            min_free: NO_RESERVE,
            workers: threads(),
            ..BackupOptions::new(vec![self.ground.live()], spool.path().to_owned())
        };
        Ok(backup(&self.repository, &options, &capture, &self.context.host, self.watch)?)
    }

    /// Opens the repository as a command of its own would.
    pub(super) fn open_again(&self) -> Result<Repository> {
        Ok(open_local(&self.ground.repository())?)
    }

    /// The snapshot that a reference means.
    pub(super) fn select<'c>(
        &self,
        catalog: &'c Catalog<'_>,
        reference: &str,
    ) -> Result<&'c Snapshot> {
        Ok(catalog.select(reference, None, &self.context.settings.zone.rules)?)
    }

    /// Brings one file of a snapshot back beneath `target`; returns where it is.
    pub(super) fn bring_back(
        &self,
        (reader, snapshot): (&Reader<'_>, &Snapshot),
        file: &Path,
        target: &Path,
    ) -> Result<PathBuf> {
        let request = RestoreRequest {
            paths: vec![file.to_owned()],
            target: Some(target.to_owned()),
            overwrite: false,
            // Names what would be moved aside; nothing is in the way here.
            time: "demo".to_owned(),
            threads: threads(),
        };
        let restored = restore(reader, snapshot, &request, self.watch)?;
        match restored.into_iter().next() {
            Some(it) if it.report.is_complete() => Ok(it.to),
            Some(it) => Err(Failure::failed(format!(
                "{} could not be restored: {:?}",
                file.display(),
                it.report
            ))),
            None => Err(Failure::failed(format!("{} was not restored", file.display()))),
        }
    }
}

fn threads() -> usize {
    available_parallelism().map_or(1, NonZero::get)
}

/// This program, which is also the capture helper and the demo's application.
pub(super) fn this_program() -> Result<PathBuf> {
    std::env::current_exe().map_err(|error| Failure::io("finding this program", &error))
}

/// A failure of the sample.
pub(super) fn of_sample(error: &larder_sample::Error) -> Failure {
    Failure::failed(format!("the demo's application: {}", causes(error)))
}

/// An error and its causes in one line.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let rest = std::iter::successors(error.source(), |cause| cause.source());
    rest.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
