//! `larder check`: looks for damage, offline.

use std::time::{Duration, Instant};

use clap::Args;
use larder::observe::Phase;
use larder::ops::catalog::Catalog;
use larder::ops::check::{Affected, CheckFinding, CheckOptions, CheckReport, DataReport, check};
use larder::repo::snapshots::Snapshot;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;
use crate::cli::output::json::Path;
use crate::cli::output::progress::{Progress, millis};
use crate::cli::output::units::{bytes, count, duration, many};
use crate::cli::output::wording::{self, absolute_or_relative, of_total};

/// Look for damage without the source and without changing anything: whether records, index and manifests
/// fit together and every blob has its place; with --read-data, whether every stored byte is what it was.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 no damage; 20 damage, or a missing snapshot; all of it is listed."
)]
pub(crate) struct CheckArgs {
    /// Read and compare every stored byte
    #[arg(long)]
    read_data: bool,
}

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let catalog = Catalog::open(&repository)?;
    context.signals.watch()?;
    let began = Instant::now();
    let progress = Progress::new(&context.console, &context.signals);
    let report = check(&catalog, CheckOptions { read_data: args.read_data }, &progress);
    progress.finish();
    let said = Said { report: &report?, catalog: &catalog, context, progress: &progress };
    match context.console.form() {
        Form::Text => said.page()?,
        _ => said.lines(began.elapsed())?,
    }
    Ok(said.exit())
}

struct Said<'a> {
    report: &'a CheckReport,
    catalog: &'a Catalog<'a>,
    context: &'a Context,
    progress: &'a Progress<'a>,
}

impl Said<'_> {
    fn exit(&self) -> Exit {
        if self.report.is_clean() { Exit::Ok } else { Exit::Damage }
    }

    fn page(&self) -> Result<()> {
        let console = &self.context.console;
        self.report.notes.iter().for_each(|note| console.note(note.as_str()));
        console.detail(&self.structure_line())?;
        if let Some(data) = &self.report.data {
            console.detail(&self.data_line(data))?;
        }
        for finding in &self.report.findings {
            self.finding(finding)?;
        }
        for missing in &self.report.missing {
            console
                .line(&format!("missing     {}", wording::missing(missing.id, &missing.source)))?;
        }
        console.detail(&self.verdict())
    }

    fn structure_line(&self) -> String {
        let report = self.report;
        let what = format!(
            "{}, {}, {}: {}",
            many(report.snapshots, "snapshot"),
            many(report.packs, "pack"),
            match report.segments {
                1 => "1 index".to_owned(),
                many => format!("{} indexes", count(many)),
            },
            if report.is_clean() { "every blob has its place" } else { "read" }
        );
        let spent = self.progress.spent(Phase::CheckStructure);
        line("structure", &what, (self.report.is_clean(), spent))
    }

    fn data_line(&self, data: &DataReport) -> String {
        let what = format!(
            "{}, {} blobs sound",
            bytes(data.bytes),
            of_total(data.sound_blobs, data.blobs)
        );
        let sound = data.sound_blobs == data.blobs;
        line("data", &what, (sound, self.progress.spent(Phase::CheckData)))
    }

    fn finding(&self, finding: &CheckFinding) -> Result<()> {
        self.context.console.line(&format!("damaged     {}", finding.damage))?;
        if finding.affected.is_empty() {
            return self.context.console.line("            no snapshot needs it");
        }
        for affected in &finding.affected {
            self.context.console.line(&format!("            {}", self.hit(affected)))?;
        }
        Ok(())
    }

    fn hit(&self, affected: &Affected) -> String {
        let Some(snapshot) = self.snapshot(affected) else {
            return format!("snapshot {}", affected.snapshot.short());
        };
        let paths: Vec<_> =
            affected.paths.iter().map(|key| absolute_or_relative(snapshot, key)).collect();
        let mut named: Vec<_> = paths.iter().map(|path| printable(path).into_owned()).collect();
        let more = affected.total.saturating_sub(named.len() as u64);
        if more > 0 {
            named.push(format!("{} more", many(more, "path")));
        }
        let source = printable(snapshot.record.source.as_bytes());
        format!("{source} {}: {}", self.context.describe(snapshot), named.join(", "))
    }

    fn snapshot(&self, affected: &Affected) -> Option<&Snapshot> {
        self.catalog.listing().snapshots.iter().find(|it| it.id == affected.snapshot)
    }

    fn verdict(&self) -> String {
        let unread = if self.report.data.is_some() { "" } else { "stored bytes (--read-data), " };
        let rest = format!("not looked at: {unread}inside databases, the live source");
        if self.report.is_clean() {
            return format!("no damage.  {rest}");
        }
        let damaged = self.report.findings.len() as u64;
        let missing = self.report.missing.len() as u64;
        let parts = [(damaged, "damaged object"), (missing, "missing snapshot")];
        let parts = parts.iter().filter(|(number, _)| *number > 0);
        let found: Vec<_> = parts.map(|(number, what)| many(*number, what)).collect();
        format!("DAMAGE: {}; what is not named above is not hit.  {rest}", found.join(", "))
    }

    fn lines(&self, took: Duration) -> Result<()> {
        for finding in &self.report.findings {
            self.context.console.json_line("warning", &DamageBody::of(finding, self))?;
        }
        for missing in &self.report.missing {
            let message = wording::missing(missing.id, &missing.source);
            let body = DamageBody { kind: "missing", message, affected: Vec::new() };
            self.context.console.json_line("warning", &body)?;
        }
        for note in &self.report.notes {
            let body = DamageBody { kind: "note", message: note.clone(), affected: Vec::new() };
            self.context.console.json_line("warning", &body)?;
        }
        self.context.console.json_line("summary", &SummaryBody::of(self, took))
    }
}

fn line(label: &str, what: &str, (ok, spent): (bool, Option<Duration>)) -> String {
    let verdict = if ok { "ok" } else { "DAMAGED" };
    let spent = spent.map(duration).unwrap_or_default();
    format!("{label:<11} {what:<62} {verdict:<7} {spent:>6}").trim_end().to_owned()
}

#[derive(Serialize)]
struct DamageBody {
    kind: &'static str,
    message: String,
    affected: Vec<AffectedBody>,
}

#[derive(Serialize)]
struct AffectedBody {
    snapshot: String,
    paths: Vec<Path>,
    paths_total: u64,
}

impl DamageBody {
    fn of(finding: &CheckFinding, said: &Said<'_>) -> Self {
        let affected = finding.affected.iter().map(|it| AffectedBody {
            snapshot: it.snapshot.to_string(),
            paths: it.paths.iter().map(|key| said.path(it, key)).collect(),
            paths_total: it.total,
        });
        Self { kind: "damage", message: finding.damage.to_string(), affected: affected.collect() }
    }
}

impl Said<'_> {
    fn path(&self, affected: &Affected, key: &larder::codec::manifest::EntryKey) -> Path {
        match self.snapshot(affected) {
            Some(snapshot) => Path::of(&absolute_or_relative(snapshot, key)),
            None => Path::of(&key.path),
        }
    }
}

#[derive(Serialize)]
struct SummaryBody {
    clean: bool,
    snapshots: u64,
    packs: u64,
    pack_bytes: u64,
    index_segments: u64,
    blobs: u64,
    read_data: Option<DataBody>,
    damaged_total: usize,
    missing_total: usize,
    elapsed_ms: u64,
    exit_code: u8,
}

#[derive(Serialize)]
struct DataBody {
    read_bytes: u64,
    blobs: u64,
    sound_blobs: u64,
}

impl SummaryBody {
    fn of(said: &Said<'_>, took: Duration) -> Self {
        let report = said.report;
        Self {
            clean: report.is_clean(),
            snapshots: report.snapshots,
            packs: report.packs,
            pack_bytes: report.pack_bytes,
            index_segments: report.segments,
            blobs: report.blobs,
            read_data: report.data.map(|it| DataBody {
                read_bytes: it.bytes,
                blobs: it.blobs,
                sound_blobs: it.sound_blobs,
            }),
            damaged_total: report.findings.len(),
            missing_total: report.missing.len(),
            elapsed_ms: millis(took),
            exit_code: said.exit().code(),
        }
    }
}
