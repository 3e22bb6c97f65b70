//! What a backup says when it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use larder::codec::snapshot::{Counts, DatabaseRecord, SnapshotRecord};
use larder::observe::{Phase, Warning};
use larder::ops::backup::BackupReport;
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;
use crate::cli::output::json::WarningKind;
use crate::cli::output::json::snapshot::SnapshotBody;
use crate::cli::output::progress::{Progress, millis};
use crate::cli::output::units::{bytes, count, duration, many};
use crate::cli::output::{times, wording};

/// So many findings are named; more are counted.
const NAMED_FINDINGS: usize = 20;

/// So many databases have a line of their own.
const NAMED_DATABASES: usize = 8;

/// A finished backup, and who is to hear of it.
pub(super) struct Report<'a> {
    pub(super) done: &'a BackupReport,
    pub(super) progress: &'a Progress<'a>,
    pub(super) took: Duration,
    pub(super) context: &'a Context,
}

#[derive(Serialize)]
struct Summary {
    snapshot: SnapshotBody,
    dry_run: bool,
    damage_total: usize,
    elapsed_ms: u64,
    exit_code: u8,
}

impl Report<'_> {
    /// Says everything; returns how it went.
    pub(super) fn say(&self) -> Result<Exit> {
        self.notices();
        self.findings();
        self.storage();
        let spoken = match self.context.console.form() {
            Form::Text if self.context.console.is_quiet() => self.id(),
            Form::Text => self.page(),
            Form::Document | Form::Lines => self.summary(),
        };
        if !self.done.damage.is_empty() {
            self.context.console.hint(&self.context.command("check --read-data"));
        }
        Failure::after(self.exit(), spoken)
    }

    fn record(&self) -> &SnapshotRecord {
        &self.done.record
    }

    fn exit(&self) -> Exit {
        let clean = self.record().findings_total == 0 && self.done.damage.is_empty();
        if clean { Exit::Ok } else { Exit::Incomplete }
    }

    /// The same notice about many things is said once, with their number.
    fn notices(&self) {
        if self.context.console.is_quiet() {
            return;
        }
        let mut alike: BTreeMap<&str, Vec<&Warning>> = BTreeMap::new();
        for notice in &self.done.notices {
            alike.entry(&notice.message).or_default().push(notice);
        }
        for (message, notices) in alike {
            let Some(first) = notices.first() else { continue };
            let said = match notices.len() - 1 {
                0 => message.to_owned(),
                more => format!("{message} (so are {} more)", count(more as u64)),
            };
            let all = self.context.console.is_verbose();
            let first = Warning::about(first.subject.clone(), said);
            let shown = if all { notices } else { vec![&first] };
            for notice in shown {
                self.context.console.warning(WarningKind::Note, notice);
            }
        }
    }

    fn findings(&self) {
        let record = self.record();
        let shown = match self.context.console.form() {
            Form::Text if !self.context.console.is_verbose() => NAMED_FINDINGS,
            _ => usize::MAX,
        };
        for finding in record.findings.iter().take(shown) {
            let warning = Warning::about(finding.subject.to_vec(), finding.message.clone());
            self.context.console.warning(WarningKind::Finding, &warning);
        }
        let named = record.findings.len().min(shown) as u64;
        let more = record.findings_total.saturating_sub(named);
        if more > 0 {
            let text =
                format!("{} more; `larder snapshots --json` lists them", many(more, "finding"));
            let warning = Warning::about(Vec::new(), text);
            self.context.console.warning(WarningKind::Finding, &warning);
        }
        for damage in &self.done.damage {
            let damage = self.context.console.brief(&damage.to_string());
            self.context.console.damage(&format!("{damage}; worked around"));
        }
    }

    fn storage(&self) {
        for refusal in &self.done.refusals {
            self.context.console.storage(wording::refusal(*refusal));
        }
    }

    fn id(&self) -> Result<()> {
        match &self.done.id {
            Some(id) => self.context.console.line(&id.to_string()),
            None => Ok(()),
        }
    }

    fn summary(&self) -> Result<()> {
        let id = self.done.id.map(|id| id.to_string());
        let body = Summary {
            snapshot: SnapshotBody::of_record(id, self.record(), self.context.clock()),
            dry_run: self.done.id.is_none(),
            damage_total: self.done.damage.len(),
            elapsed_ms: millis(self.took),
            exit_code: self.exit().code(),
        };
        self.context.console.json_line("summary", &body)
    }

    fn page(&self) -> Result<()> {
        let lines =
            self.database_lines().into_iter().chain([self.files_line(), self.stored_line()]);
        for line in lines {
            self.context.console.line(line.trim_end())?;
        }
        self.context.console.line(&self.last_line())
    }

    fn database_lines(&self) -> Vec<String> {
        let databases = &self.record().databases;
        let shown = databases.iter().take(NAMED_DATABASES);
        let name = |it: &DatabaseRecord| {
            printable(&wording::path_of(self.record(), it.root, &it.path)).into_owned()
        };
        let width = shown.clone().map(|it| name(it).chars().count()).max().unwrap_or(0).max(12);
        let mut lines: Vec<String> = shown
            .zip(0..)
            .map(|(database, n)| {
                let label = if n == 0 { "databases" } else { "" };
                let spent = if n == 0 { self.spent(Phase::Databases) } else { String::new() };
                let (path, size) = (name(database), bytes(database.len));
                let zone = &self.context.settings.zone.rules;
                let state = wording::state(database, self.record(), zone);
                format!("  {label:<11} {path:<width$} {size:>8}   {state:<37} {spent:>8}")
            })
            .collect();
        let more = databases.len().saturating_sub(NAMED_DATABASES);
        if more > 0 {
            lines.push(format!("  {:<11} and {more} more", ""));
        }
        lines
    }

    fn files_line(&self) -> String {
        let counts = self.record().counts;
        let files = count(counts.files);
        let spent = self.spent(Phase::Files);
        format!(
            "  {:<11} {files:<12} {:>8}   {:<37} {spent:>8}",
            "files",
            bytes(counts.bytes),
            changes(counts)
        )
    }

    fn stored_line(&self) -> String {
        let how = self.how_stored();
        let label = if how == Stored::DryRun { "to store" } else { "stored" };
        format!("  {label:<11} {}", stored(self.record().counts, how))
    }

    fn how_stored(&self) -> Stored {
        match (self.done.id, self.record().parent) {
            (None, _) => Stored::DryRun,
            (_, None) => Stored::First,
            (_, Some(_)) => Stored::Later,
        }
    }

    fn last_line(&self) -> String {
        let record = self.record();
        let time = times::long(record.time_ns, &self.context.settings.zone.rules);
        let took = duration(self.took);
        let source = printable(record.source.as_bytes());
        let Some(id) = &self.done.id else {
            return format!("dry run: nothing was stored    {source}    {time}    {took}");
        };
        let saved = match self.exit() {
            Exit::Ok => "saved",
            _ => "saved, not clean",
        };
        format!("snapshot {} {saved}    {source}    {time}    {took}", id.short())
    }

    fn spent(&self, phase: Phase) -> String {
        self.progress.spent(phase).map(duration).unwrap_or_default()
    }
}

fn changes(counts: Counts) -> String {
    let parts = [
        (counts.new_files, "new"),
        (counts.changed_files, "changed"),
        (counts.removed_files, "removed"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number)))
        .collect();
    match (said.is_empty(), counts.files) {
        (true, 0) => "there are none".to_owned(),
        (true, _) => "unchanged".to_owned(),
        (false, _) => said.join(", "),
    }
}

/// How much of what a snapshot holds was stored for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// There was nothing to compare with. What is less then is holes, equal files and compression, or a run that was cut off.
    First,
    /// There is an earlier snapshot.
    Later,
    /// Nothing was; this is what would be.
    DryRun,
}

fn stored(counts: Counts, how: Stored) -> String {
    let (new, all) = (bytes(counts.new_stored_bytes), bytes(counts.bytes));
    match how {
        Stored::DryRun if counts.new_stored_bytes == 0 => format!("nothing new for {all}"),
        Stored::DryRun => format!("{new} for {all}"),
        _ if counts.new_stored_bytes == 0 => {
            format!("nothing new; all {all} were already here")
        }
        Stored::First => format!("{new} for {all}"),
        Stored::Later if counts.new_plain_bytes >= counts.bytes => format!("{new} for {all}"),
        Stored::Later => format!("{new} new of {all}; the rest was already here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_said_without_zeros() {
        let counts = Counts { new_files: 3, removed_files: 1_000, ..Counts::default() };
        assert_eq!(changes(counts), "3 new, 1,000 removed");
        assert_eq!(changes(Counts { files: 1, ..Counts::default() }), "unchanged");
        assert_eq!(changes(Counts::default()), "there are none");
    }

    #[test]
    fn what_was_stored_is_compared_with_what_is_there() {
        let counts = |new_plain_bytes, new_stored_bytes| Counts {
            bytes: 998_000_000,
            new_plain_bytes,
            new_stored_bytes,
            ..Counts::default()
        };
        let later = |plain, stored_bytes| stored(counts(plain, stored_bytes), Stored::Later);
        assert_eq!(later(0, 0), "nothing new; all 998 MB were already here");
        assert_eq!(later(4_000_000, 1_900_000), "1.9 MB new of 998 MB; the rest was already here");
        let first = |plain, stored_bytes| stored(counts(plain, stored_bytes), Stored::First);
        assert_eq!(first(800_000_000, 612_000_000), "612 MB for 998 MB");
        assert_eq!(first(4_000_000, 1_900_000), "1.9 MB for 998 MB");
        let dry = |plain, stored_bytes| stored(counts(plain, stored_bytes), Stored::DryRun);
        assert_eq!(dry(4_000_000, 1_900_000), "1.9 MB for 998 MB");
        assert_eq!(dry(0, 0), "nothing new for 998 MB");
    }
}
