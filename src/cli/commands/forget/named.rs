//! Forgetting by name.

use larder::ops::forget::{ByName, Target, by_name};
use larder::repo::repository::Repository;

use super::{ForgetArgs, json, undo};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;

/// Runs it.
pub(super) fn run(args: &ForgetArgs, context: &Context, repository: &Repository) -> Result<Exit> {
    let options = ByName {
        names: args.snapshots.clone(),
        source: args.source.clone(),
        zone: context.settings.zone.rules.clone(),
        allow_last: args.allow_last,
        dry_run: args.dry_run,
        wait: context.lock_wait(),
    };
    let targets = by_name(repository, &options, &context.host)?;
    let said = match context.console.form() {
        Form::Text => page(context, args, &targets),
        _ => json::named(context, &targets, args.dry_run),
    };
    Failure::after(Exit::Ok, said)
}

fn page(context: &Context, args: &ForgetArgs, targets: &[Target]) -> Result<()> {
    for target in targets {
        let text = match target {
            _ if !context.console.is_quiet() => line(context, target, args.dry_run),
            Target::Fact(id) => id.to_string(),
            other => other.snapshot().map(|id| id.to_string()).unwrap_or_default(),
        };
        context.console.line(&text)?;
    }
    let can_come_back = targets.iter().any(|it| matches!(it, Target::Snapshot(_)));
    if can_come_back { undo::offer(context, args) } else { Ok(()) }
}

fn line(context: &Context, target: &Target, dry_run: bool) -> String {
    let (forgot, gave_up) =
        if dry_run { ("would forget", "would give up") } else { ("forgot", "gave up") };
    match target {
        Target::Snapshot(snapshot) => {
            let source = printable(snapshot.record.source.as_bytes());
            format!("{forgot} snapshot {} of {source}", context.describe(snapshot))
        }
        Target::Unreadable(id) => {
            format!("{gave_up} snapshot {}, whose record cannot be read", id.short())
        }
        Target::Missing { id, source } => {
            let source = printable(source.as_bytes());
            format!("{gave_up} snapshot {} of {source}, which is missing", id.short())
        }
        Target::Fact(id) => format!("{gave_up} fact {}, which cannot be read", id.short()),
    }
}
