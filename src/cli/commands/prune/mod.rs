//! `larder prune`: gives back the room of what no snapshot needs.
//!
//! Here live the flags and the run; `page` and `json` say what came of it. Not
//! here: what goes (`larder::ops::prune`), which snapshots to forget.

use std::time::{Duration, Instant};

use clap::Args;
use larder::ops::prune::{outlook, prune};
use larder::repo::prune::{PruneOptions, PruneReport};
use larder::repo::repository::Repository;
use larder::repo::space::MinFree;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::progress::Progress;
use crate::cli::output::units::{parse_bytes, parse_period};

mod json;
mod page;

/// Remove what no snapshot needs. It goes to the trash first, from where `larder forget --undo` can bring forgotten snapshots back,
/// and is given back to the disk by a prune after the time of grace. Backups and restores may run beside it.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 done; 11 others use the repository; 20 damage, or a missing snapshot: then nothing is removed \
                  but what is certainly dead."
)]
pub(crate) struct PruneArgs {
    /// How long the trash keeps things; 0 frees at once, and nothing forgotten can come back
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = parse_period)]
    grace: i64,
    /// How long to keep what a backup that was cut off has stored; the next backup uses it
    #[arg(long, value_name = "TIME", default_value = "14d", value_parser = parse_period)]
    unfinished: i64,
    /// Room that rewriting leaves free on the repository's disk [default: 1 GiB or 5 %, whichever is less]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    min_free: Option<u64>,
    /// Change nothing; say what would go
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// Runs the command.
pub(crate) fn run(args: &PruneArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let options = PruneOptions {
        grace_ns: args.grace,
        unfinished_ns: args.unfinished,
        wait: context.lock_wait(),
        min_free: MinFree { asked_bytes: args.min_free },
    };
    give_back(context, &repository, &options, args.dry_run)
}

/// Prunes, or says what a prune would do, and says what came of it.
pub(crate) fn give_back(
    context: &Context,
    repository: &Repository,
    options: &PruneOptions,
    dry_run: bool,
) -> Result<Exit> {
    context.signals.watch()?;
    let began = Instant::now();
    let progress =
        Progress::new(&context.console, &context.signals).in_zone(&context.settings.zone.rules);
    let run = if dry_run { outlook } else { prune };
    let report = run(repository, options, &context.host, &progress);
    progress.finish();
    let (report, took) = (&report?, began.elapsed());
    Said { report, context, progress: &progress, took, dry_run }.say()
}

/// A finished prune, and who is to hear of it.
pub(crate) struct Said<'a> {
    pub(crate) report: &'a PruneReport,
    pub(crate) context: &'a Context,
    pub(crate) progress: &'a Progress<'a>,
    pub(crate) took: Duration,
    pub(crate) dry_run: bool,
}

impl Said<'_> {
    /// Says everything; returns how it went.
    pub(crate) fn say(&self) -> Result<Exit> {
        for damage in &self.report.damage {
            let console = &self.context.console;
            console.damage(&format!("{}; its pack stays", console.brief(&damage.to_string())));
        }
        if self.report.disk_was_full {
            self.context.console.storage(
                "the disk is full: the trash was emptied before its time, so that what was forgotten cannot come back",
            );
        }
        let spoken = match self.context.console.form() {
            Form::Text => self.page(),
            Form::Document | Form::Lines => self.summary(),
        };
        if self.exit() == Exit::Damage {
            self.context.console.hint(&self.context.command("check --read-data"));
        }
        Failure::after(self.exit(), spoken)
    }

    fn exit(&self) -> Exit {
        let sound = self.report.damage.is_empty() && self.report.hopeless_blobs == 0;
        if sound { Exit::Ok } else { Exit::Damage }
    }
}
