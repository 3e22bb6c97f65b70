//! `larder restore`: gets a snapshot back, whole or in part.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use clap::Args;
use larder::host::Host;
use larder::observe::Warning;
use larder::ops::catalog::Catalog;
use larder::ops::restore::{RestoreRequest, Restored, restore};
use larder::repo::snapshots::Snapshot;
use larder::snapshot::restore::report::{Remark, Remarks};
use serde::Serialize;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;
use crate::cli::output::json::snapshot::SnapshotRef;
use crate::cli::output::json::{Path, WarningKind};
use crate::cli::output::progress::{Progress, millis};
use crate::cli::output::times;
use crate::cli::output::units::{bytes, duration, many};

/// So many remarks of a kind are named; more are counted.
const NAMED_REMARKS: usize = 20;

/// Get files back as they were: content, modes, owners, times, attributes, links. Every byte is proved
/// before it is written; nothing is overwritten: what is in the way of a PATH moves aside with --overwrite.
#[derive(Debug, Args)]
#[command(
    after_help = "Without --target, a file or directory goes to ./<name> and a whole snapshot to \
    ./<source>-<id>; none may exist.\nExit codes: 0 all is in place; 3 the target did not take some of it; \
    20 some of it is damaged. Either is listed, and nothing incomplete has its name."
)]
pub(crate) struct RestoreArgs {
    /// The snapshot: latest, latest~2, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "SNAP")]
    snapshot: String,
    /// What to get back: paths from the root of the source, or absolute as they were there [default: everything]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The directory that stands for the root of the source; for a whole snapshot missing or empty
    #[arg(long, value_name = "DIR")]
    target: Option<PathBuf>,
    /// Move aside what is in the way of a PATH, into .larder-replaced-<time> beside it
    #[arg(long, requires = "paths")]
    overwrite: bool,
    #[command(flatten)]
    of: OfSource,
}

/// Runs the command.
pub(crate) fn run(args: &RestoreArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let catalog = Catalog::open(&repository)?;
    let snapshot = context.select(&catalog, &args.snapshot, &args.of)?;
    let reader = catalog.reader()?;
    context.signals.watch()?;
    let began = Instant::now();
    let progress = Progress::new(&context.console, &context.signals);
    let restored = restore(&reader, snapshot, &request(args, context), &progress);
    progress.finish();
    let said = Said { restored: &restored?, snapshot, took: began.elapsed(), context };
    said.remarks();
    let spoken = match context.console.form() {
        Form::Text => said.page(),
        _ => context.console.json_line("summary", &said.summary()),
    };
    let beside = context.note_damage(&catalog, &reader, &[(&args.snapshot, snapshot)]);
    Failure::after(said.exit().or_worse(beside), spoken)
}

fn request(args: &RestoreArgs, context: &Context) -> RestoreRequest {
    let now = times::civil(context.host.now_ns(), &context.settings.zone.rules);
    RestoreRequest {
        paths: args.paths.clone(),
        target: args.target.clone(),
        overwrite: args.overwrite,
        time: now.strftime("%Y-%m-%dT%H%M%S").to_string(),
        threads: available_parallelism().map_or(1, usize::from),
    }
}

struct Said<'a> {
    restored: &'a [Restored],
    snapshot: &'a Snapshot,
    took: Duration,
    context: &'a Context,
}

impl Said<'_> {
    fn exit(&self) -> Exit {
        let damaged = self.restored.iter().any(|it| !it.report.damaged.is_empty());
        let refused = self.restored.iter().any(|it| !it.report.refused.is_empty());
        match (damaged, refused) {
            (true, _) => Exit::Damage,
            (false, true) => Exit::Incomplete,
            (false, false) => Exit::Ok,
        }
    }

    fn remarks(&self) {
        for it in self.restored {
            self.list(WarningKind::Note, &it.report.notes);
            self.list(WarningKind::Finding, &it.report.refused);
            self.list(WarningKind::Damage, &it.report.damaged);
            if let Some(aside) = &it.report.left_aside {
                let what = "not complete, so it did not take its place";
                let warning = Warning::about(aside.as_os_str().as_bytes(), what);
                self.context.console.warning(WarningKind::Finding, &warning);
            }
        }
    }

    fn list(&self, kind: WarningKind, remarks: &Remarks) {
        let console = &self.context.console;
        if kind == WarningKind::Note && console.is_quiet() {
            return;
        }
        let every = console.form() != Form::Text || console.is_verbose();
        let shown = if every { usize::MAX } else { NAMED_REMARKS };
        for Remark { path, message } in remarks.listed().iter().take(shown) {
            console.warning(kind, &Warning::about(path.clone(), message.clone()));
        }
        let named = remarks.listed().len().min(shown) as u64;
        let more = remarks.total().saturating_sub(named);
        if more > 0 {
            let text = format!("the same or the like of {}", many(more, "more path"));
            console.warning(kind, &Warning::about(Vec::new(), text));
        }
    }

    fn page(&self) -> Result<()> {
        let snapshot = self.context.describe(self.snapshot);
        for it in self.restored {
            if let Some(replaced) = &it.report.replaced {
                let what = printable(replaced.as_os_str().as_bytes()).into_owned();
                self.context.console.detail(&format!("moved aside  {what}"))?;
            }
            if it.report.left_aside.is_some() {
                continue;
            }
            let files = many(it.report.files, "file");
            let to = printable(it.to.as_os_str().as_bytes());
            let what = format!("{files}, {}  {to}", bytes(it.report.bytes));
            self.context.console.detail(&format!("restored  {what}"))?;
        }
        let ending = match self.exit() {
            Exit::Ok => "every byte proved",
            Exit::Damage => "NOT COMPLETE: what is damaged is listed above",
            _ => "NOT COMPLETE: what the target did not take is listed above",
        };
        self.context.console.detail(&format!("from {snapshot}  {ending}  {}", duration(self.took)))
    }

    fn summary(&self) -> SummaryBody {
        SummaryBody {
            snapshot: SnapshotRef::of(self.snapshot, self.context.clock()),
            restored: self.restored.iter().map(RestoredBody::of).collect(),
            elapsed_ms: millis(self.took),
            exit_code: self.exit().code(),
        }
    }
}

#[derive(Serialize)]
struct SummaryBody {
    snapshot: SnapshotRef,
    restored: Vec<RestoredBody>,
    elapsed_ms: u64,
    exit_code: u8,
}

#[derive(Serialize)]
struct RestoredBody {
    #[serde(flatten)]
    path: Path,
    target: TargetBody,
    files: u64,
    dirs: u64,
    others: u64,
    written_bytes: u64,
    damaged_total: u64,
    refused_total: u64,
    notes_total: u64,
    replaced: Option<TargetBody>,
    left_aside: Option<TargetBody>,
}

#[derive(Serialize)]
struct TargetBody {
    #[serde(flatten)]
    path: Path,
}

impl TargetBody {
    fn of(path: &std::path::Path) -> Self {
        Self { path: Path::of(path.as_os_str().as_bytes()) }
    }
}

impl RestoredBody {
    fn of(restored: &Restored) -> Self {
        let report = &restored.report;
        Self {
            path: Path::of(restored.path.as_os_str().as_bytes()),
            target: TargetBody::of(&restored.to),
            files: report.files,
            dirs: report.directories,
            others: report.others,
            written_bytes: report.bytes,
            damaged_total: report.damaged.total(),
            refused_total: report.refused.total(),
            notes_total: report.notes.total(),
            replaced: report.replaced.as_deref().map(TargetBody::of),
            left_aside: report.left_aside.as_deref().map(TargetBody::of),
        }
    }
}
