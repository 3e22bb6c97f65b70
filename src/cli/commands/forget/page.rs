//! What a policy comes to: what stays and why, what goes and why.

use larder::ops::forget::{OfSource, PolicyReport};
use larder::ops::retention::rules::Change;
use larder::snapshot::retention::policy::Policy;
use larder::snapshot::retention::{Decision, Verdict};

use super::{ForgetArgs, origin, undo};
use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::output::escape::printable;
use crate::cli::output::table::{self, Column};
use crate::cli::output::units::{count, many};
use crate::cli::output::{retention, times};

/// So many of what goes, or comes back, are shown; -v shows each.
pub(super) const SHOWN: usize = 12;

const STAYS: [Column; 4] =
    [Column::left("STAYS"), Column::left("TAKEN"), Column::left("KEPT AS"), Column::left("UNTIL")];
const GOES: [Column; 3] = [Column::left("GOES"), Column::left("TAKEN"), Column::left("BECAUSE")];

/// The page.
pub(super) fn page(context: &Context, args: &ForgetArgs, report: &PolicyReport) -> Result<()> {
    let dry_run = args.dry_run;
    if context.console.is_quiet() {
        let ids = report.forgotten.iter();
        return ids.map(ToString::to_string).try_for_each(|id| context.console.line(&id));
    }
    let rules = &report.rules;
    context.console.line(&format!("policy  {}   ({})", rules.policy, origin(context, rules)))?;
    if let Some(change) = &rules.change {
        context.console.line(&format!("        {}", stored(change, dry_run)))?;
    }
    for source in &report.sources {
        context.console.line("")?;
        Sheet::new(context, report, source).show()?;
    }
    if !report.sources.is_empty() {
        context.console.line("")?;
    }
    context.console.line(&summary(report, dry_run))?;
    if report.forgotten.is_empty() { Ok(()) } else { undo::offer(context, args) }
}

fn stored(change: &Change, dry_run: bool) -> String {
    let verb = if dry_run { "would be remembered" } else { "is remembered now" };
    match &change.before {
        None => format!("{verb} by the repository, for runs without this configuration"),
        Some(before) if before.zone != change.after.zone => {
            let (policy, zone) = (Policy::of_record(before), &before.zone);
            format!("{verb} by the repository, which said: {policy}, days in {zone}")
        }
        Some(before) => {
            format!("{verb} by the repository, which said: {}", Policy::of_record(before))
        }
    }
}

fn summary(report: &PolicyReport, dry_run: bool) -> String {
    let all = report.sources.iter().map(|source| source.decisions.len()).sum::<usize>() as u64;
    let gone = report.forgotten.len() as u64;
    if let Some(doubt) = report.doubt.as_ref().filter(|doubt| doubt.held > 0) {
        let held = many(doubt.held as u64, "snapshot");
        return format!(
            "nothing is forgotten while something is damaged or missing; {held} would be"
        );
    }
    match (all, gone, dry_run) {
        (0, ..) => "no snapshots".to_owned(),
        (1, 0, _) => "nothing to forget: 1 snapshot stays".to_owned(),
        (_, 0, _) => format!("nothing to forget: {} stay", many(all, "snapshot")),
        (_, _, true) => {
            format!("would forget {} of {}", count(gone), many(all, "snapshot"))
        }
        (_, _, false) => {
            let stay = if all - gone == 1 { "stays" } else { "stay" };
            let (gone, left) = (count(gone), count(all - gone));
            format!("forgotten: {gone} of {}; {left} {stay}", many(all, "snapshot"))
        }
    }
}

/// The tables of one source.
struct Sheet<'r> {
    context: &'r Context,
    report: &'r PolicyReport,
    source: &'r OfSource,
    this_year: i16,
    with_year: bool,
}

impl<'r> Sheet<'r> {
    fn new(context: &'r Context, report: &'r PolicyReport, source: &'r OfSource) -> Self {
        let year = |ns| times::civil(ns, &report.rules.zone).year();
        let this_year = year(larder::host::Host::now_ns(&context.host));
        let with_year = source.decisions.iter().any(|it| year(it.time_ns) != this_year);
        Self { context, report, source, this_year, with_year }
    }

    fn show(&self) -> Result<()> {
        let roots = self.source.roots.iter();
        let roots: Vec<String> =
            roots.map(|root| printable(root.as_os_str().as_encoded_bytes()).into_owned()).collect();
        let name = printable(self.source.source.as_bytes());
        let left = format!("{name}  {}", roots.join(" "));
        let zone = format!("times in {}", self.report.rules.zone_name);
        self.context.console.line(&format!("{left:<58} {zone}"))?;
        let (stays, goes): (Vec<&Decision>, Vec<&Decision>) =
            self.source.decisions.iter().partition(|it| it.verdict.is_kept());
        self.table(&STAYS, &stays)?;
        let each = self.context.console.is_verbose() || goes.len() <= SHOWN + 1;
        let shown = if each { goes.len() } else { SHOWN };
        self.table(&GOES, goes.get(..shown).unwrap_or_default())?;
        match goes.last().filter(|_| goes.len() > shown) {
            None => Ok(()),
            Some(oldest) => self.context.console.line(&format!(
                "   + {} more, back to {}; -v shows each",
                count((goes.len() - shown) as u64),
                self.taken(oldest)
            )),
        }
    }

    fn table(&self, columns: &[Column], decisions: &[&Decision]) -> Result<()> {
        let rows: Vec<Vec<String>> = decisions.iter().map(|it| self.row(it)).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let lines = table::lines(columns, &rows);
        lines.iter().try_for_each(|line| self.context.console.line(line))
    }

    fn row(&self, decision: &Decision) -> Vec<String> {
        let mut row = vec![decision.id.short(), self.taken(decision)];
        match &decision.verdict {
            Verdict::Kept { reasons, expiry } => {
                row.push(retention::reasons(reasons));
                row.push(retention::until(*expiry, &self.report.rules.zone, self.this_year));
            }
            Verdict::Removed { whys } => row.push(retention::whys(whys)),
        }
        row
    }

    fn taken(&self, decision: &Decision) -> String {
        times::short(decision.time_ns, &self.report.rules.zone, self.with_year)
    }
}
