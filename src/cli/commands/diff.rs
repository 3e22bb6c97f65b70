//! `larder diff`: shows what changed between two snapshots.

use std::io::{self, BufWriter, Write};

use clap::Args;
use larder::codec::manifest::Entry;
use larder::ops::catalog::Catalog;
use larder::ops::diff::{DiffSummary, diff};
use larder::repo::read::Reader;
use larder::repo::snapshots::Snapshot;
use larder::snapshot::manifest::diff::{Change, Differences};
use serde::Serialize;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::entries::{EntryBody, size};
use crate::cli::output::json::Listing;
use crate::cli::output::json::snapshot::{Clock, SnapshotRef};
use crate::cli::output::units::{bytes, count};
use crate::cli::output::wording::absolute_or_relative;

/// Show what changed between two snapshots of one source: + added, - removed, M other content,
/// m other metadata only. Ends with 0 whether anything changed or not.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// The earlier snapshot: latest~1, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "A")]
    before: String,
    /// The later one [default: the latest of the same source]
    #[arg(value_name = "B")]
    after: Option<String>,
    #[command(flatten)]
    of: OfSource,
}

/// Runs the command.
pub(crate) fn run(args: &DiffArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let catalog = Catalog::open(&repository)?;
    let before = context.select(&catalog, &args.before, &args.of)?;
    let after = if let Some(after) = &args.after {
        context.select(&catalog, after, &args.of)?
    } else {
        let of = OfSource { source: Some(before.record.source.clone()) };
        context.select(&catalog, "latest", &of)?
    };
    let reader = catalog.reader()?;
    let pair = Pair { before, after, reader: &reader };
    match context.console.form() {
        Form::Text => pair.page(context)?,
        _ => pair.document(context.clock())?,
    }
    let later = args.after.as_deref().unwrap_or("latest");
    Ok(context.note_damage(&catalog, &reader, &[(&args.before, before), (later, after)]))
}

struct Pair<'a> {
    before: &'a Snapshot,
    after: &'a Snapshot,
    reader: &'a Reader<'a>,
}

impl Pair<'_> {
    fn page(&self, context: &Context) -> Result<()> {
        let mut output = BufWriter::new(io::stdout().lock());
        let summary = diff(self.reader, self.before, self.after, |change| {
            if context.console.is_quiet() {
                return Ok(());
            }
            let (sign, entry, detail) = described(change);
            let mut line = format!("{sign} {detail:>20}  ").into_bytes();
            let path = absolute_or_relative(self.after, &entry.key);
            line.extend(context.console.name(&path));
            line.push(b'\n');
            output.write_all(&line).map_err(writing)
        })?;
        output.flush().map_err(|error| Failure::output(&error))?;
        drop(output);
        context.console.line(&last_line(summary))?;
        let (before, after) = (context.describe(self.before), context.describe(self.after));
        context.console.detail(&format!("from {before} to {after}"))
    }

    fn document(&self, clock: Clock<'_>) -> Result<()> {
        let head = Head {
            before: SnapshotRef::of(self.before, clock),
            after: SnapshotRef::of(self.after, clock),
        };
        let output = BufWriter::new(io::stdout().lock());
        let mut listing = Listing::begin(output, &head, "changes")?;
        let summary = diff(self.reader, self.before, self.after, |change| {
            listing.item(&ChangeBody::of(change, clock)).map_err(|failure| match failure {
                Failure::OutputClosed => writing(io::ErrorKind::BrokenPipe.into()),
                _ => writing(io::Error::other("standard output")),
            })
        });
        match summary {
            Ok(summary) => listing.end("summary", &SummaryBody::of(summary)),
            Err(error) => {
                listing.end("summary", &None::<SummaryBody>)?;
                Err(error.into())
            }
        }
    }
}

fn writing(source: io::Error) -> larder::error::Error {
    larder::error::Error::Io { what: "writing the output".into(), source }
}

fn described(change: &Change) -> (char, &Entry, String) {
    let sized = |entry: &Entry| size(entry).map(bytes).unwrap_or_default();
    match change {
        Change::Added(entry) => ('+', entry, sized(entry)),
        Change::Removed(entry) => ('-', entry, sized(entry)),
        Change::Changed { before, after } => {
            let differences = Differences::between(before, after);
            if !differences.kind && !differences.content {
                return ('m', after, metadata(before, after));
            }
            let (old, new) = (sized(before), sized(after));
            let detail = if old == new { new } else { format!("{old} -> {new}") };
            ('M', after, detail)
        }
    }
}

/// The first thing that differs.
fn metadata(before: &Entry, after: &Entry) -> String {
    if before.mode != after.mode {
        format!("{:04o} -> {:04o}", before.mode, after.mode)
    } else if (before.uid, before.gid) != (after.uid, after.gid) {
        format!("{}:{} -> {}:{}", before.uid, before.gid, after.uid, after.gid)
    } else if before.mtime == after.mtime {
        "attributes".to_owned()
    } else {
        "time".to_owned()
    }
}

fn last_line(summary: DiffSummary) -> String {
    let parts = [
        (summary.added, "added"),
        (summary.removed, "removed"),
        (summary.modified, "modified"),
        (summary.metadata_only, "with other metadata only"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number)))
        .collect();
    if said.is_empty() { "no changes".to_owned() } else { said.join(", ") }
}

#[derive(Serialize)]
struct Head {
    before: SnapshotRef,
    after: SnapshotRef,
}

#[derive(Serialize)]
struct ChangeBody {
    change: &'static str,
    before: Option<EntryBody>,
    after: Option<EntryBody>,
}

impl ChangeBody {
    fn of(change: &Change, clock: Clock<'_>) -> Self {
        let body = |entry: &Entry| Some(EntryBody::of(entry, clock.zone));
        match change {
            Change::Added(after) => Self { change: "added", before: None, after: body(after) },
            Change::Removed(before) => {
                Self { change: "removed", before: body(before), after: None }
            }
            Change::Changed { before, after } => {
                let differences = Differences::between(before, after);
                let modified = differences.kind || differences.content;
                Self {
                    change: if modified { "modified" } else { "metadata" },
                    before: body(before),
                    after: body(after),
                }
            }
        }
    }
}

#[derive(Serialize)]
struct SummaryBody {
    added: u64,
    removed: u64,
    modified: u64,
    metadata_only: u64,
}

impl SummaryBody {
    fn of(summary: DiffSummary) -> Self {
        let DiffSummary { added, removed, modified, metadata_only } = summary;
        Self { added, removed, modified, metadata_only }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_leaves_zeros_out() {
        let summary = DiffSummary { added: 1_000, metadata_only: 2, ..DiffSummary::default() };
        assert_eq!(last_line(summary), "1,000 added, 2 with other metadata only");
        assert_eq!(last_line(DiffSummary::default()), "no changes");
    }
}
