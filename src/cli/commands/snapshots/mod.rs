//! `larder snapshots`: lists snapshots, identical nights folded, or shows all that one knows.
//!
//! Here lives the list; `detail` is the page of one snapshot, `kept` what the
//! policy makes of each. Not here: reading records (`larder::ops::catalog`).

use clap::Args;
use larder::host::Host;
use larder::ops::catalog::Catalog;
use larder::repo::snapshots::Snapshot;
use serde::Serialize;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;
use crate::cli::output::json::Document;
use crate::cli::output::json::snapshot::SnapshotBody;
use crate::cli::output::table::{self, Column};
use crate::cli::output::units::{bytes, count};
use crate::cli::output::{known, times, wording};

mod detail;
mod kept;

use kept::{Kept, KeptBody};

/// List the snapshots of each source, newest first. Nights on which nothing changed are folded into the
/// newest of them; -v shows each. KEPT AS says why `larder forget` keeps a snapshot. With SNAP, show all that this one knows of itself and of its databases. What is missing or
/// damaged is said (exit 20).
#[derive(Debug, Args)]
pub(crate) struct SnapshotsArgs {
    /// Show this one: latest, latest~2, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "SNAP", conflicts_with = "tags")]
    snapshot: Option<String>,
    /// Only snapshots of this source
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// Only snapshots with this tag; may be repeated, then all are needed
    #[arg(long = "tag", value_name = "T")]
    tags: Vec<String>,
}

#[derive(Serialize)]
struct Body {
    zone: String,
    snapshots: Vec<ListedBody>,
    missing: Vec<MissingBody>,
    damage: Vec<String>,
}

#[derive(Serialize)]
struct ListedBody {
    #[serde(flatten)]
    snapshot: SnapshotBody,
    #[serde(flatten)]
    kept: KeptBody,
}

#[derive(Serialize)]
struct MissingBody {
    id: String,
    source: String,
}

/// A snapshot with its tags.
type Tagged<'c> = (&'c Snapshot, &'c [String]);

/// Runs the command.
pub(crate) fn run(args: &SnapshotsArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let catalog = Catalog::open(&repository)?;
    let chosen: Vec<Tagged<'_>> = match &args.snapshot {
        Some(asked) => {
            let one = context.select(&catalog, asked, &OfSource { source: args.source.clone() })?;
            catalog.snapshots().filter(|(it, _)| it.id == one.id).collect()
        }
        None => catalog.snapshots().filter(|it| args.want(it)).collect(),
    };
    let kept = Kept::of(context, &catalog);
    let spoken = match (context.console.form(), chosen.as_slice()) {
        (Form::Text, [one]) if args.snapshot.is_some() => detail::page(context, one, &kept),
        (Form::Text, chosen) => page(args, context, (chosen, &kept)),
        (_, chosen) => document(context, &catalog, (chosen, &kept)),
    };
    Failure::after(faults(context, &catalog), spoken)
}

impl SnapshotsArgs {
    fn want(&self, (snapshot, tags): &Tagged<'_>) -> bool {
        let of_source = self.source.as_ref().is_none_or(|it| *it == snapshot.record.source);
        of_source && self.tags.iter().all(|tag| tags.contains(tag))
    }
}

fn document(
    context: &Context,
    catalog: &Catalog<'_>,
    (chosen, kept): (&[Tagged<'_>], &Kept),
) -> Result<()> {
    let clock = context.clock();
    let listed = |(it, tags): &Tagged<'_>| ListedBody {
        snapshot: SnapshotBody::of(it, tags, clock),
        kept: kept.body(it.id, clock),
    };
    let missing = catalog.missing().into_iter();
    context.console.document(&Document::new(Body {
        zone: clock.name.to_owned(),
        snapshots: chosen.iter().map(listed).collect(),
        missing: missing
            .map(|it| MissingBody { id: it.id.to_string(), source: it.source })
            .collect(),
        damage: catalog.damage().iter().map(ToString::to_string).collect(),
    }))
}

/// What should be there and is not.
fn faults(context: &Context, catalog: &Catalog<'_>) -> Exit {
    let (missing, damage) = (catalog.missing(), catalog.damage());
    if missing.is_empty() && damage.is_empty() {
        return Exit::Ok;
    }
    if context.console.form() == Form::Text {
        for missing in &missing {
            context.console.damage(&wording::missing(missing.id, &missing.source));
        }
        for damage in &damage {
            context.console.damage(&context.console.brief(&damage.to_string()));
        }
        context.console.hint(&context.command("check"));
    }
    Exit::Damage
}

fn page(
    args: &SnapshotsArgs,
    context: &Context,
    (chosen, kept): (&[Tagged<'_>], &Kept),
) -> Result<()> {
    if context.console.is_quiet() {
        return chosen
            .iter()
            .rev()
            .try_for_each(|(it, _)| context.console.line(&it.id.to_string()));
    }
    if chosen.is_empty() {
        let filtered = args.source.is_some() || !args.tags.is_empty();
        let what = if filtered { "no snapshot fits" } else { "no snapshots yet" };
        context.console.note(what);
        return Ok(());
    }
    let mut of_source: Vec<&[Tagged<'_>]> =
        chosen.chunk_by(|(a, _), (b, _)| a.record.source == b.record.source).collect();
    kept.note_zone(context);
    let last = of_source.pop();
    for snapshots in of_source {
        source(context, snapshots, kept)?;
        context.console.line("")?;
    }
    last.map_or(Ok(()), |snapshots| source(context, snapshots, kept))
}

const COLUMNS: [Column; 10] = [
    Column::left("ID"),
    Column::left("TAKEN"),
    Column::right("FILES"),
    Column::right("SIZE"),
    Column::right("ADDED"),
    Column::left("DATABASE"),
    Column::left("SCHEMA"),
    Column::right("REFS"),
    Column::left("KEPT AS"),
    Column::left("NOTE"),
];

/// The table of one source, oldest first as they come, newest first as they are shown.
fn source(context: &Context, snapshots: &[Tagged<'_>], kept: &Kept) -> Result<()> {
    let Some((newest, _)) = snapshots.last() else { return Ok(()) };
    let folds = fold(snapshots, kept, context.console.is_verbose());
    let with_year = spans_years(context, snapshots);
    let rows: Vec<_> = folds.iter().map(|it| it.row(context, kept, with_year)).collect();
    let lines = table::lines(&COLUMNS, &rows);
    let roots: Vec<_> =
        newest.record.roots.iter().map(|root| printable(&root.path).into_owned()).collect();
    let left = format!("{}  {}", printable(newest.record.source.as_bytes()), roots.join(" "));
    let zone = format!("times in {}", context.settings.zone.name);
    context.console.line(&format!("{left:<58} {zone}"))?;
    let mut lines = lines.iter();
    if let Some(headings) = lines.next() {
        context.console.line(headings)?;
    }
    for (line, fold) in lines.zip(&folds) {
        context.console.line(line)?;
        if let Some(line) = fold.folded(context, with_year) {
            context.console.line(&line)?;
        }
    }
    Ok(())
}

/// A snapshot and the ones before it that hold the same.
struct Fold<'c> {
    shown: Tagged<'c>,
    alike: Vec<Tagged<'c>>,
}

fn fold<'c>(snapshots: &[Tagged<'c>], kept: &Kept, each: bool) -> Vec<Fold<'c>> {
    let mut folds: Vec<Fold<'c>> = Vec::new();
    for next in snapshots.iter().rev() {
        match folds.last_mut() {
            Some(fold) if !each && !kept.is_pinned(next.0.id) && is_alike(&fold.shown, next) => {
                fold.alike.push(*next);
            }
            _ => folds.push(Fold { shown: *next, alike: Vec::new() }),
        }
    }
    folds
}

/// A snapshot with a tag or a pin of its own is never hidden, nor one with something to say.
fn is_alike((shown, _): &Tagged<'_>, (next, tags): &Tagged<'_>) -> bool {
    shown.record.manifest == next.record.manifest
        && tags.is_empty()
        && shown.record.findings == next.record.findings
        && known::databases(&shown.record) == known::databases(&next.record)
}

impl Fold<'_> {
    /// The line for those that are not shown. With `--time` snapshots may stand for times in any order.
    fn folded(&self, context: &Context, with_year: bool) -> Option<String> {
        let times = self.alike.iter().map(|(it, _)| it.record.time_ns);
        let (oldest, newest) = (times.clone().min()?, times.max()?);
        let shown = self.shown.0.record.time_ns;
        let (way, end) = if oldest <= shown { ("back to", oldest) } else { ("forward to", newest) };
        let end = times::short(end, &context.settings.zone.rules, with_year);
        let number = count(self.alike.len() as u64);
        let added_bytes: u64 =
            self.alike.iter().map(|(it, _)| it.record.counts.new_stored_bytes).sum();
        let added = if added_bytes > 0 {
            format!(", {} added then", bytes(added_bytes))
        } else {
            String::new()
        };
        Some(format!("   + {number} identical, {way} {end}{added}"))
    }

    fn row(&self, context: &Context, kept: &Kept, with_year: bool) -> Vec<String> {
        let (snapshot, tags) = &self.shown;
        let record = &snapshot.record;
        let notes = tags.iter().map(|tag| format!("tag:{tag}")).chain(kept.pins(snapshot.id));
        let findings = Some(wording::findings(record)).filter(|it| !it.is_empty());
        vec![
            snapshot.id.short(),
            times::short(record.time_ns, &context.settings.zone.rules, with_year),
            count(record.counts.files),
            bytes(record.counts.bytes),
            bytes(record.counts.new_stored_bytes),
            known::databases(record),
            known::schema_versions(record),
            known::references_total(record),
            kept.brief(snapshot.id),
            notes.chain(findings).collect::<Vec<_>>().join(" "),
        ]
    }
}

/// The year is left out while all is of this year.
fn spans_years(context: &Context, snapshots: &[Tagged<'_>]) -> bool {
    let year = |ns| times::civil(ns, &context.settings.zone.rules).year();
    let this = year(context.host.now_ns());
    snapshots.iter().any(|(it, _)| year(it.record.time_ns) != this)
}
