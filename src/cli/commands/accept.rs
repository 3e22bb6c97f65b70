//! `larder accept`: the findings of a snapshot are known, and no longer count when they come again.

use std::collections::BTreeMap;

use clap::Args;
use larder::codec::snapshot::{Finding, FindingKind};
use larder::ops::accept::{AcceptReport, accept, is_acceptable};
use larder::ops::catalog::Catalog;
use larder::repo::snapshots::Snapshot;
use larder::snapshot::retention::cause::Cause;
use serde::Serialize;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;
use crate::cli::output::json::Document;
use crate::cli::output::json::snapshot::{FindingBody, SnapshotRef};
use crate::cli::output::retention::{BrakeBody, causes};
use crate::cli::output::units::{count, many};

/// So many findings are named; more are counted.
const NAMED_FINDINGS: usize = 10;

/// Why some findings count every time.
const NEVER: &str =
    "what was not looked up, or is torn, cannot be accepted: it would hide what comes later";

/// Accept a snapshot as it is. The same findings of later backups of this source are said in one line and no
/// longer make exit 3; others do. What could not be looked up, and what is torn, cannot be accepted. Where `larder forget` removes
/// nothing because the newest snapshot shrank or is not sound, this lets it go on.
#[derive(Debug, Args)]
pub(crate) struct AcceptArgs {
    /// The snapshot: latest, latest~2, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "SNAP")]
    snapshot: String,
    #[command(flatten)]
    of: OfSource,
}

#[derive(Serialize)]
struct Body {
    snapshot: SnapshotRef,
    accepted_total: u64,
    already_total: u64,
    unlisted_total: u64,
    unacceptable_total: u64,
    released: Option<BrakeBody>,
    braked: Option<BrakeBody>,
    findings: Vec<FindingBody>,
}

/// Runs the command.
pub(crate) fn run(args: &AcceptArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let catalog = Catalog::open(&repository)?;
    let snapshot = context.select(&catalog, &args.snapshot, &args.of)?;
    let report = accept(&catalog, snapshot, &context.host)?;
    let nothing = report.accepted + report.already == 0 && report.released.is_none();
    if report.unacceptable > 0 && nothing {
        let what = by_kind(snapshot.record.findings.iter());
        let who = context.describe(snapshot);
        return Err(Failure::failed(format!("snapshot {who}: {what}: {NEVER}")));
    }
    if context.console.form() == Form::Document {
        context.console.document(&Document::new(Body {
            snapshot: SnapshotRef::of(snapshot, context.clock()),
            accepted_total: report.accepted,
            already_total: report.already,
            unlisted_total: report.unlisted,
            unacceptable_total: report.unacceptable,
            released: report.released.as_ref().map(BrakeBody::of),
            braked: report.braked.as_ref().map(BrakeBody::of),
            findings: snapshot.record.findings.iter().map(FindingBody::of).collect(),
        }))?;
        return Ok(Exit::Ok);
    }
    for line in page(context, snapshot, &report) {
        context.console.detail(&line)?;
    }
    Ok(Exit::Ok)
}

fn page(context: &Context, snapshot: &Snapshot, report: &AcceptReport) -> Vec<String> {
    let mut lines = findings(context, snapshot, report);
    lines.extend(brake(context, snapshot, report));
    lines
}

/// What became of the brake.
fn brake(context: &Context, snapshot: &Snapshot, report: &AcceptReport) -> Option<String> {
    let source = printable(snapshot.record.source.as_bytes());
    // What was only about files that rows name has been said.
    let is_news = |cause: &Cause| !matches!(cause, Cause::Dangling { .. });
    if let Some(brake) = &report.released {
        brake.causes.iter().any(is_news).then_some(())?;
        let causes = causes(brake);
        return Some(format!(
            "larder forget goes on for {source}; it had stopped because of: {causes}"
        ));
    }
    let brake = report.braked.as_ref()?;
    let accept = context.command(&format!("accept {}", brake.snapshot.short()));
    Some(format!("larder forget still removes nothing of {source}: see {accept}"))
}

fn findings(context: &Context, snapshot: &Snapshot, report: &AcceptReport) -> Vec<String> {
    let who = context.describe(snapshot);
    let findings = &snapshot.record.findings;
    if findings.is_empty() && report.unlisted == 0 {
        let has_shrunk = report.released.is_some();
        let nothing = if has_shrunk { "" } else { ": there is nothing to accept" };
        return vec![format!("snapshot {who} is clean{nothing}")];
    }
    let (acceptable, others): (Vec<_>, Vec<_>) =
        findings.iter().partition(|finding| is_acceptable(finding.kind));
    let mut lines = vec![format!("snapshot {who}: {}", by_kind(findings.iter()))];
    lines.extend(named(&acceptable));
    lines.extend(match (report.accepted, report.already) {
        (0, 0) => None,
        (0, _) => Some("all of it was accepted before".to_owned()),
        (accepted, 0) => Some(format!("accepted: {}", many(accepted, "finding"))),
        (accepted, already) => {
            let accepted = many(accepted, "finding");
            Some(format!("accepted: {accepted}, beside {} from before", count(already)))
        }
    });
    if !others.is_empty() {
        lines.push(format!("not accepted: {}: {NEVER}", by_kind(others.iter().copied())));
        lines.extend(named(&others));
    }
    if report.unlisted > 0 {
        let unlisted = many(report.unlisted, "more finding");
        lines
            .push(format!("not accepted: {unlisted}, which the snapshot counts but does not list"));
    }
    lines
}

/// The first findings by name, and how many more there are.
fn named(findings: &[&Finding]) -> Vec<String> {
    let line = |finding: &&Finding| {
        let message = printable(finding.message.as_bytes());
        format!("  {}: {message}", printable(&finding.subject))
    };
    let mut lines: Vec<_> = findings.iter().take(NAMED_FINDINGS).map(line).collect();
    let more = findings.len().saturating_sub(NAMED_FINDINGS) as u64;
    lines.extend((more > 0).then(|| format!("  and {} more", count(more))));
    lines
}

/// How many there are of each kind, in words.
fn by_kind<'f>(findings: impl Iterator<Item = &'f Finding>) -> String {
    let mut kinds: BTreeMap<(&'static str, &'static str), u64> = BTreeMap::new();
    for finding in findings {
        *kinds.entry(kind(finding.kind)).or_default() += 1;
    }
    let word =
        |(one, many): (&'static str, &'static str), number| if number == 1 { one } else { many };
    let said =
        kinds.into_iter().map(|(kind, number)| format!("{} {}", count(number), word(kind, number)));
    said.collect::<Vec<_>>().join(", ")
}

/// One of a kind, and several.
fn kind(kind: FindingKind) -> (&'static str, &'static str) {
    match kind {
        FindingKind::Source => ("problem of a file", "problems of files"),
        FindingKind::Database => ("problem of a database", "problems of databases"),
        FindingKind::Dangling => ("missing file", "missing files"),
        FindingKind::Reference => ("failed query for files", "failed queries for files"),
        FindingKind::Unreadable => ("unreadable file", "unreadable files"),
        FindingKind::Opaque => ("unreadable database", "unreadable databases"),
        FindingKind::Row => ("bad row", "bad rows"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted() {
        let finding = |kind| Finding {
            kind,
            subject: b"a".to_vec().into(),
            message: "m".into(),
            accepted: false,
        };
        let findings =
            [FindingKind::Dangling, FindingKind::Reference, FindingKind::Dangling].map(finding);
        assert_eq!(by_kind(findings.iter()), "1 failed query for files, 2 missing files");
    }
}
