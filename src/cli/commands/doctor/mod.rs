//! `larder doctor`: looks at a directory, and says what should be mended.
//!
//! Here live the flags and the run; `page` and `json` say what was found, `paste`
//! makes what is to be put into the configuration. Not here: looking
//! (`larder::ops::doctor`).

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use larder::ops::doctor::{Concern, DoctorOptions, DoctorReport, concerns, doctor};
use larder::ops::open::directory_identity;
use larder::repo::space::MinFree;

use crate::cli::capture::helper;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::progress::Progress;
use crate::cli::output::units::{parse_bytes, parse_duration};
use crate::cli::paths;
use crate::cli::spool::Spool;

mod json;
mod page;
mod paste;

/// Look at a directory before it is saved, or when something is odd: which databases are in it and how they are, who has them
/// open, which columns name files and whether these are there, and what is around. Changes nothing, and holds up no writer.
#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 nothing to mend; 3 something to mend, which is listed; \
    1 there is no such directory.")]
pub(crate) struct DoctorArgs {
    /// The directory of the application
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Where databases are kept meanwhile [default: TMPDIR, else /var/tmp]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Room that stays free on the disks of repository and spool [default: 1 GiB or 5 %, whichever is less]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    min_free: Option<u64>,
    /// How long to wait for a database that its application has locked
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = parse_duration)]
    db_wait: Duration,
}

/// Runs the command.
pub(crate) fn run(args: &DoctorArgs, context: &Context) -> Result<Exit> {
    let here =
        std::env::current_dir().map_err(|error| Failure::io("the working directory", &error))?;
    let dir = paths::absolute(&args.dir, &here)
        .map_err(|error| Failure::io(format!("directory {}", args.dir.display()), &error))?;
    let repository = context.settings.repository.as_ref().map(|it| it.value.clone());
    let spool = spool(args, &dir, repository.as_deref())?;
    context.signals.watch()?;
    let progress = Progress::new(&context.console, &context.signals);
    let own = [repository.as_deref().and_then(directory_identity), spool.never_enter()];
    let options = DoctorOptions {
        dir,
        repository,
        never_enter: own.into_iter().flatten().collect(),
        spool_dir: spool.dir().to_owned(),
        helper: &helper()?,
        wait: args.db_wait,
        min_free: MinFree { asked_bytes: args.min_free },
        references: context.settings.references(),
        built_in_references: context.settings.built_in_references(),
    };
    let report = doctor(&options, &context.host, &progress);
    progress.finish();
    let mut report = report?;
    if context.settings.sources().len() > 1 {
        // A query may well be for a database of another source.
        report.unmatched.clear();
    }
    let concerns = concerns(&report);
    let said = Said { report: &report, concerns: &concerns, context };
    let spoken = match context.console.form() {
        Form::Text => said.page(),
        _ => said.document(),
    };
    Failure::after(said.exit(), spoken)
}

fn spool(
    args: &DoctorArgs,
    dir: &std::path::Path,
    repository: Option<&std::path::Path>,
) -> Result<Spool> {
    let nowhere = std::path::Path::new("");
    Spool::find(args.spool.as_deref(), repository.unwrap_or(nowhere), &[dir.to_owned()])
}

/// What was found, and who is to hear of it.
struct Said<'a> {
    report: &'a DoctorReport,
    concerns: &'a [Concern],
    context: &'a Context,
}

impl Said<'_> {
    fn exit(&self) -> Exit {
        if self.concerns.is_empty() { Exit::Ok } else { Exit::Incomplete }
    }
}
