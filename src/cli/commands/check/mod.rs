//! `larder check`: looks for damage, offline.
//!
//! Here live the flags and the run; `page` and `json` say what was found. Not
//! here: looking (`larder::ops::check`).

use std::time::Instant;

use clap::Args;
use larder::id::SnapshotId;
use larder::ops::catalog::Catalog;
use larder::ops::check::{CheckOptions, CheckReport, check, remember};
use larder::repo::snapshots::Snapshot;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::progress::Progress;
use crate::cli::output::times;
use crate::cli::output::units::bytes;

mod json;
mod page;

/// Look for damage without the source, changing nothing but a note of what is damaged: whether records, index and manifests
/// fit together and every blob has its place; with --read-data, whether every stored byte is what it was.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 no damage; 20 damage, or a missing snapshot; all of it is listed."
)]
pub(crate) struct CheckArgs {
    /// Read and compare every stored byte
    #[arg(long)]
    read_data: bool,
}

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let catalog = Catalog::open(&repository)?;
    context.signals.watch()?;
    let began = Instant::now();
    let progress = Progress::new(&context.console, &context.signals);
    let report = check(&catalog, CheckOptions { read_data: args.read_data }, &progress);
    progress.finish();
    let report = report?;
    if args.read_data && !report.findings.is_empty() {
        // On a medium that cannot be written there is no next backup that would have to know.
        let _ = remember(&catalog, &report, &context.host);
    }
    let said = Said { report: &report, catalog: &catalog, context, progress: &progress };
    let spoken = match context.console.form() {
        Form::Text => said.page(),
        _ => said.lines(began.elapsed()),
    };
    Failure::after(said.exit(), spoken)
}

/// A finished check, and who is to hear of it.
struct Said<'a> {
    report: &'a CheckReport,
    catalog: &'a Catalog<'a>,
    context: &'a Context,
    progress: &'a Progress<'a>,
}

impl Said<'_> {
    fn exit(&self) -> Exit {
        if self.report.is_clean() { Exit::Ok } else { Exit::Damage }
    }

    /// What is odd, but no damage.
    fn notes(&self) -> Vec<String> {
        let zone = &self.context.settings.zone.rules;
        let unled = self.report.unled.iter().map(|it| {
            format!(
                "{} that no snapshot needs, stored by a backup that ended well ({}): its record may be lost",
                bytes(it.stored_bytes),
                times::long(it.written_ns, zone)
            )
        });
        unled.chain(self.report.notes.iter().cloned()).collect()
    }

    fn snapshot(&self, id: SnapshotId) -> Option<&Snapshot> {
        self.catalog.listing().snapshots.iter().find(|it| it.id == id)
    }
}
