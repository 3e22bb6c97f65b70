//! What a check says to people.

use std::time::Duration;

use larder::id::BlobType;
use larder::observe::Phase;
use larder::ops::check::{Affected, CheckFinding, DataReport};
use larder::repo::error::Damage;
use larder::repo::layout;
use larder::repo::snapshots::Snapshot;

use super::Said;
use crate::cli::failure::Result;
use crate::cli::output::escape::printable;
use crate::cli::output::units::{bytes, count, duration, many};
use crate::cli::output::wording::{self, absolute_or_relative, of_total};

impl Said<'_> {
    /// What was looked at, what was found, what was not looked at.
    pub(super) fn page(&self) -> Result<()> {
        let console = &self.context.console;
        self.notes().into_iter().for_each(|note| console.note(note));
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
        let indexes = match report.segments {
            1 => "1 index".to_owned(),
            many => format!("{} indexes", count(many)),
        };
        let ok = report.missing.is_empty() && report.findings.iter().all(is_of_the_data);
        let what = format!(
            "{}, {}, {indexes}{}",
            many(report.snapshots, "snapshot"),
            many(report.packs, "pack"),
            if ok { ": every blob has its place" } else { "" }
        );
        line("structure", &what, (ok, self.progress.spent(Phase::CheckStructure)))
    }

    fn data_line(&self, data: &DataReport) -> String {
        let blobs = of_total(data.sound_blobs, data.blobs);
        let what = format!("{}, {blobs} blobs sound", bytes(data.bytes));
        let ok = data.sound_blobs == data.blobs;
        line("data", &what, (ok, self.progress.spent(Phase::CheckData)))
    }

    fn finding(&self, finding: &CheckFinding) -> Result<()> {
        let console = &self.context.console;
        console.line(&format!("damaged     {}", console.brief(&finding.damage.to_string())))?;
        if finding.affected.is_empty() {
            return console.line(&format!("            {}", no_snapshot(finding)));
        }
        self.hits(&finding.affected)
            .iter()
            .try_for_each(|hit| console.line(&format!("            {hit}")))
    }

    /// Whom a damage hits: snapshots of a source with the same paths are said together.
    fn hits(&self, affected: &[Affected]) -> Vec<String> {
        let mut known: Vec<(&Snapshot, &Affected)> =
            affected.iter().filter_map(|it| Some((self.snapshot(it.snapshot)?, it))).collect();
        known.sort_by_key(|(it, _)| (&it.record.source, it.record.sequence, it.id));
        known
            .chunk_by(|(a, hits), (b, others)| {
                a.record.source == b.record.source
                    && (&hits.paths, hits.total) == (&others.paths, others.total)
            })
            .map(|alike| self.hit(alike))
            .collect()
    }

    fn hit(&self, alike: &[(&Snapshot, &Affected)]) -> String {
        let (Some((first, hits)), Some((last, _))) = (alike.first(), alike.last()) else {
            return String::new();
        };
        let who = match alike.len() {
            1 => self.context.describe(first),
            number => format!(
                "{} to {}, {}",
                self.context.describe(first),
                self.context.describe(last),
                many(number as u64, "snapshot")
            ),
        };
        let mut paths: Vec<_> =
            hits.paths.iter().map(|key| absolute_or_relative(first, key)).collect();
        paths.sort();
        let mut named: Vec<_> = paths.iter().map(|path| printable(path).into_owned()).collect();
        let more = hits.total.saturating_sub(named.len() as u64);
        if more > 0 {
            named.push(format!("and {} more", count(more)));
        }
        format!("{} {who}: {}", printable(first.record.source.as_bytes()), named.join(", "))
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
        format!("DAMAGE: {}; what is not named is not hit.  {rest}", found.join(", "))
    }
}

/// Why a damage hits no snapshot, and what becomes of it.
fn no_snapshot(finding: &CheckFinding) -> &'static str {
    match &finding.damage {
        Damage::Object { object, .. } if object.starts_with(layout::INDEX) => {
            "no snapshot is hit: what it listed is found in the packs, only slower; \
             the next backup stores again what it needs of it"
        }
        _ if finding.served_elsewhere => "no snapshot is hit: it is stored at another place, too",
        _ => "no snapshot needs it",
    }
}

/// True for bytes of files: records, manifests and index are whole.
fn is_of_the_data(finding: &CheckFinding) -> bool {
    matches!(finding.damage, Damage::Blob { blob_type: BlobType::Data | BlobType::PagePatch, .. })
}

fn line(label: &str, what: &str, (ok, spent): (bool, Option<Duration>)) -> String {
    let verdict = if ok { "ok" } else { "DAMAGED" };
    let spent = spent.map(duration).unwrap_or_default();
    format!("{label:<11} {what:<62} {verdict:<7} {spent:>6}").trim_end().to_owned()
}
