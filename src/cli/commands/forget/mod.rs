//! `larder forget`: removes snapshots by a policy, or by name.
//!
//! Here live the arguments and what is common to its forms; `page` says what a policy comes to, `named` forgets by name,
//! `preview` is the calendar, `undo` the way back, `json` the document. Not here: deciding (`larder::snapshot::retention`) and removing
//! (`larder::ops::forget`).

use std::time::Duration;

use clap::Args;
use larder::ops::forget::{ByPolicy, Doubt, Filter, PolicyReport, by_policy};
use larder::ops::retention::rules::{Origin, Rules};
use larder::repo::prune::PruneOptions;
use larder::repo::repository::Repository;
use larder::snapshot::retention::brake::Limits;

use crate::cli::commands::prune;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::json::WarningKind;
use crate::cli::output::units::parse_period;
use crate::cli::output::{retention, wording};
use crate::cli::retention::{KeepArgs, parse_length, wish};

mod json;
mod named;
mod page;
mod preview;
mod undo;

/// Forget the snapshots that the policy does not keep, of each source for itself. The policy is that of [retention] in larder.toml,
/// else the one that the repository remembers from there; rules on the command line count for this run only. What was forgotten
/// can be brought back until its room is given back. With SNAP, forget just these, whatever the policy says; what is missing or
/// unreadable is given up by its whole id.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct ForgetArgs {
    /// Forget these: latest, latest~2, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "SNAP", conflicts_with_all = ["KeepArgs", "tags", "preview"])]
    snapshots: Vec<String>,
    /// Only snapshots of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only snapshots with this tag, as if there were no others; may be repeated, then all are needed
    #[arg(long = "tag", value_name = "T")]
    tags: Vec<String>,
    /// Say what would be forgotten, and change nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Show which snapshots there will be on each day of this time, if one is taken a day: 60d, 8w. Changes nothing
    #[arg(long, value_name = "TIME", value_parser = parse_length)]
    preview: Option<Duration>,
    /// Forget the last snapshot of a source, too, if no rule keeps it
    #[arg(long)]
    allow_last: bool,
    /// Give the room back, too, as `larder prune` does, also of what was forgotten before
    #[arg(long, conflicts_with_all = ["preview", "undo"])]
    prune: bool,
    /// With --prune: how long what was forgotten can still be brought back; 0 frees at once [default: 24h]
    #[arg(long, value_name = "TIME", value_parser = parse_period, requires = "prune")]
    grace: Option<i64>,
    /// Bring back what was forgotten last, or these SNAPs, while their room was not given back yet
    #[arg(long, conflicts_with_all = ["KeepArgs", "tags", "preview", "allow_last"])]
    undo: bool,
    #[command(flatten)]
    keep: KeepArgs,
}

/// Runs the command.
pub(crate) fn run(args: &ForgetArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    if args.undo {
        return undo::run(args, context, &repository);
    }
    if let Some(length) = args.preview {
        return preview::run(context, &repository, &args.options(context), length);
    }
    let exit = if args.snapshots.is_empty() {
        policy(args, context, &repository)?
    } else {
        named::run(args, context, &repository)?
    };
    if args.prune && matches!(exit, Exit::Ok | Exit::Incomplete) {
        return Ok(exit.or_worse(give_room(args, context, &repository)?));
    }
    Ok(exit)
}

fn policy(args: &ForgetArgs, context: &Context, repository: &Repository) -> Result<Exit> {
    let report = by_policy(repository, &args.options(context), &context.host)?;
    let report = report.ok_or_else(|| no_policy(context))?;
    let exit = outcome(&report);
    let said = match context.console.form() {
        Form::Text => page::page(context, args, &report),
        _ => json::document(context, &report, (args.dry_run, exit)),
    };
    if context.console.form() == Form::Text {
        warn(context, &report);
    }
    Failure::after(exit, said)
}

/// The prune that follows. What it frees cannot be foretold while the snapshots are still there.
fn give_room(args: &ForgetArgs, context: &Context, repository: &Repository) -> Result<Exit> {
    if args.dry_run {
        context.console.note("what a prune frees is known once the snapshots are forgotten");
        return Ok(Exit::Ok);
    }
    let mut options = PruneOptions { wait: context.lock_wait(), ..PruneOptions::default() };
    options.grace_ns = args.grace.unwrap_or(options.grace_ns);
    if context.console.form() == Form::Text {
        context.console.detail("")?;
    }
    prune::give_back(context, repository, &options, false)
}

impl ForgetArgs {
    fn options(&self, context: &Context) -> ByPolicy {
        ByPolicy {
            wish: wish(&context.settings, self.keep.policy()),
            filter: Filter { source: self.source.clone(), tags: self.tags.clone() },
            allow_last: self.allow_last,
            limits: Limits::default(),
            dry_run: self.dry_run,
            wait: context.lock_wait(),
        }
    }
}

/// Nothing is ever removed by a policy that nobody has given.
fn no_policy(context: &Context) -> Failure {
    let what = "no policy says which snapshots to keep: there is no [retention] in a larder.toml, and the repository remembers none";
    let rules = "forget --keep-daily 7 --keep-weekly 4 --keep-monthly forever --dry-run";
    Failure::usage(what).with_hint(format!(
        "{}   # for this run; for every run: larder config example",
        context.command(rules)
    ))
}

/// Where the policy comes from, in words.
fn origin(context: &Context, rules: &Rules) -> String {
    match rules.origin {
        Origin::ThisRun => "the command line, for this run".to_owned(),
        Origin::Repository => "the repository".to_owned(),
        Origin::Configuration => {
            let config = context.settings.config.as_ref();
            let line = config.and_then(|(_, config)| config.retention.as_ref()).map(|it| it.line);
            let file = config.map(|(path, _)| path.display().to_string()).unwrap_or_default();
            line.map_or(file.clone(), |line| format!("{file}:{line}"))
        }
    }
}

fn outcome(report: &PolicyReport) -> Exit {
    let braked = report.sources.iter().any(|source| source.brake.is_some());
    let braked = if braked { Exit::Incomplete } else { Exit::Ok };
    match &report.doubt {
        None => braked,
        Some(doubt) if doubt.damage.is_empty() && doubt.missing.is_empty() => Exit::Unsupported,
        Some(_) => Exit::Damage,
    }
}

/// Everything that kept something from going.
fn warn(context: &Context, report: &PolicyReport) {
    let console = &context.console;
    if let Some(doubt) = &report.doubt {
        return warn_of_doubt(context, doubt);
    }
    let braked = || report.sources.iter().filter_map(|it| Some((it, it.brake.as_ref()?)));
    for (source, brake) in braked() {
        let text = retention::brake(&source.source, brake, source.held);
        console.warning(
            WarningKind::Finding,
            &larder::observe::Warning::about(Vec::new(), console.brief(&text)),
        );
    }
    if let Some((_, brake)) = braked().next() {
        let accept = context.command(&format!("accept {}", brake.snapshot.short()));
        console.hint(&format!("{accept}   # if that is as it should be"));
    }
}

fn warn_of_doubt(context: &Context, doubt: &Doubt) {
    let console = &context.console;
    for damage in wording::damages(&doubt.damage) {
        console.damage(&console.brief(&damage));
    }
    for missing in &doubt.missing {
        console.damage(&wording::missing(missing.id, &missing.source));
    }
    if doubt.unknown_facts > 0 {
        console.damage("a newer larder has said things here that this one does not understand");
    }
    let hint = match doubt.missing.first() {
        Some(missing) if doubt.damage.is_empty() => {
            let give_up = context.command(&format!("forget {}", missing.id));
            format!("{give_up}   # gives up what is missing")
        }
        _ => context.command("check"),
    };
    console.hint(&hint);
}
