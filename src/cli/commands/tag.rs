//! `larder tag`: gives tags to a snapshot, or takes them away.

use clap::Args;
use larder::ops::catalog::Catalog;
use larder::ops::tag::{TagChange, tag, undisturbed};
use serde::Serialize;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::json::Document;
use crate::cli::output::json::snapshot::SnapshotRef;

/// Give tags to a snapshot (+TAG) or take them away (-TAG). `tag:NAME` then means the newest snapshot
/// with that tag.
#[derive(Debug, Args)]
pub(crate) struct TagArgs {
    // Before SNAP, since everything after it may begin with a hyphen.
    #[command(flatten)]
    of: OfSource,
    /// The snapshot: latest, latest~2, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "SNAP")]
    snapshot: String,
    /// What to change: +before-upgrade, -old
    #[arg(
        value_name = "CHANGE",
        required = true,
        allow_hyphen_values = true,
        trailing_var_arg = true
    )]
    changes: Vec<String>,
}

#[derive(Serialize)]
struct Body {
    snapshot: SnapshotRef,
    tags: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &TagArgs, context: &Context) -> Result<Exit> {
    let changes: Vec<TagChange> =
        args.changes.iter().map(|text| change(text)).collect::<Result<_>>()?;
    let repository = context.open()?;
    // A forget that has decided already must not take away what a tag is to keep.
    let _held = undisturbed(&repository, context.lock_wait())?;
    let catalog = Catalog::open(&repository)?;
    let snapshot = context.select(&catalog, &args.snapshot, &args.of)?;
    let tags: Vec<String> = tag(&catalog, snapshot, &changes, &context.host)?.into_iter().collect();
    if context.console.form() == Form::Document {
        let snapshot = SnapshotRef::of(snapshot, context.clock());
        context.console.document(&Document::new(Body { snapshot, tags }))?;
    } else {
        let tags = if tags.is_empty() { "no tags".to_owned() } else { tags.join(" ") };
        context.console.detail(&format!("snapshot {}  {tags}", context.describe(snapshot)))?;
    }
    Ok(Exit::Ok)
}

fn change(text: &str) -> Result<TagChange> {
    if let Some(name) = text.strip_prefix('+') {
        return Ok(TagChange::Add(name.to_owned()));
    }
    if let Some(name) = text.strip_prefix('-') {
        return Ok(TagChange::Remove(name.to_owned()));
    }
    let what = format!("{text:?} says neither +TAG nor -TAG");
    Err(Failure::usage(what).with_hint(format!("+{text} gives the tag, -{text} takes it away")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_says_whether_it_gives_or_takes() {
        assert_eq!(change("+a-b").unwrap(), TagChange::Add("a-b".to_owned()));
        assert_eq!(change("-a").unwrap(), TagChange::Remove("a".to_owned()));
        assert_eq!(change("a").unwrap_err().exit(), Exit::Usage);
    }
}
