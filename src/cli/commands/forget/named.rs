//! Forgetting by name.

use std::time::Duration;

use larder::ops::forget::{ByName, Named, Target, by_name};

use super::{ForgetArgs, json};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;

/// Runs it.
pub(super) fn run(args: &ForgetArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let options = ByName {
        names: args.snapshots.clone(),
        source: args.source.clone(),
        zone: context.settings.zone.rules.clone(),
        allow_last: args.allow_last,
        dry_run: args.dry_run,
        wait: Duration::ZERO,
    };
    let targets = by_name(&repository, &options, &context.host)?;
    let said = match context.console.form() {
        Form::Text => page(context, &targets, args.dry_run),
        _ => json::named(context, &targets, args.dry_run),
    };
    Failure::after(Exit::Ok, said)
}

fn page(context: &Context, targets: &[Target], dry_run: bool) -> Result<()> {
    for target in targets {
        let text = if context.console.is_quiet() {
            target.id.to_string()
        } else {
            line(context, target, dry_run)
        };
        context.console.line(&text)?;
    }
    let can_come_back = targets.iter().any(|it| matches!(it.named, Named::Snapshot(_)));
    if can_come_back && !dry_run {
        context.console.hint(&format!(
            "{}   # brings back what was forgotten last, until a prune empties the trash",
            context.command("forget --undo")
        ));
    }
    Ok(())
}

fn line(context: &Context, target: &Target, dry_run: bool) -> String {
    let (forgot, gave_up) =
        if dry_run { ("would forget", "would give up") } else { ("forgot", "gave up") };
    match &target.named {
        Named::Snapshot(snapshot) => {
            let source = printable(snapshot.record.source.as_bytes());
            format!("{forgot} snapshot {} of {source}", context.describe(snapshot))
        }
        Named::Unreadable => {
            format!("{gave_up} snapshot {}, whose record cannot be read", target.id.short())
        }
        Named::Missing(source) => {
            let source = printable(source.as_bytes());
            format!("{gave_up} snapshot {} of {source}, which is missing", target.id.short())
        }
    }
}
