//! What a backup says when it is done.

use std::collections::BTreeMap;
use std::time::Duration;

use larder::codec::snapshot::{DatabaseRecord, Outcome, SnapshotRecord};
use larder::observe::{Phase, Warning};
use larder::ops::backup::BackupReport;

use super::json::{Ended, Summary};
use super::stored::{Stored, changes, stored};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;
use crate::cli::output::json::WarningKind;
use crate::cli::output::progress::Progress;
use crate::cli::output::units::{bytes, count, duration, many};
use crate::cli::output::{known, times, wording};

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
        } else if let (Some(id), true) = (&self.done.id, self.done.repeated > 0) {
            // Nothing is accepted without having been seen twice: the first time somebody should look.
            let command = self.context.command(&format!("accept {}", id.short()));
            let these = if self.done.repeated == 1 { "it is" } else { "they are" };
            self.context.console.hint(&format!(
                "{command}   # if {} from before, and {these} known",
                many(self.done.repeated, "finding")
            ));
        }
        Failure::after(self.exit(), spoken)
    }

    fn record(&self) -> &SnapshotRecord {
        &self.done.record
    }

    fn exit(&self) -> Exit {
        let clean = self.record().outcome == Outcome::Clean && self.done.damage.is_empty();
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
        let open: Vec<_> = record.findings.iter().filter(|it| !it.accepted).collect();
        for finding in open.iter().take(shown) {
            let warning = Warning::about(finding.subject.to_vec(), finding.message.clone());
            self.context.console.warning(WarningKind::Finding, &warning);
        }
        let accepted = record.findings.len().saturating_sub(open.len());
        let settled = accepted.saturating_add(open.len().min(shown)) as u64;
        let more = record.findings_total.saturating_sub(settled);
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
        let ended = Ended { took: self.took, exit: self.exit() };
        let body = Summary::of(self.done, &ended, self.context.clock());
        self.context.console.json_line("summary", &body)
    }

    fn page(&self) -> Result<()> {
        let mut lines = self.database_lines();
        lines.push(self.files_line());
        lines.extend(self.reference_lines());
        lines.extend(self.row_lines());
        lines.extend(self.accepted_line());
        lines.push(self.stored_line());
        for line in lines {
            self.context.console.line(line.trim_end())?;
        }
        self.context.console.line(&self.last_line())
    }

    fn database_lines(&self) -> Vec<String> {
        let databases = &self.record().databases;
        let shown = databases.iter().take(NAMED_DATABASES);
        let name = |it: &DatabaseRecord| known::name(self.record(), it);
        let width = shown.clone().map(|it| name(it).chars().count()).max().unwrap_or(0).max(12);
        let mut lines: Vec<String> = shown
            .zip(0..)
            .map(|(database, n)| {
                let label = if n == 0 { "databases" } else { "" };
                let spent = if n == 0 { self.spent(Phase::Databases) } else { String::new() };
                let (path, size) = (name(database), bytes(database.len));
                let zone = &self.context.settings.zone.rules;
                let state = known::state_now(database, self.record(), zone);
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

    /// A set of references each; whose it is, is said where there are several.
    fn reference_lines(&self) -> Vec<String> {
        let record = self.record();
        let sets: Vec<_> = record
            .databases
            .iter()
            .flat_map(|database| database.references.iter().map(move |set| (database, set)))
            .collect();
        let mut texts = Vec::new();
        for (database, set) in &sets {
            let whose = match sets.len() {
                1 => String::new(),
                _ => format!(
                    "{} ({}): ",
                    known::name(record, database),
                    printable(set.name.as_bytes())
                ),
            };
            let (said, beside) = known::references(set, &whose);
            texts.push(said);
            texts.extend(beside);
        }
        labelled("references", &texts)
    }

    fn row_lines(&self) -> Vec<String> {
        let several = self.record().databases.len() > 1;
        let said = self.done.row_changes.iter().map(|it| {
            let path = wording::path_of(self.record(), it.root, &it.path);
            let whose = if several { format!("{}: ", printable(&path)) } else { String::new() };
            format!("{whose}{}", known::row_changes(&it.tables))
        });
        labelled("rows", &said.collect::<Vec<_>>())
    }

    fn accepted_line(&self) -> Option<String> {
        let accepted = self.record().findings.iter().filter(|it| it.accepted).count() as u64;
        (accepted > 0).then(|| {
            let again = if accepted == 1 { "comes again and does" } else { "come again and do" };
            let what = many(accepted, "accepted finding");
            format!("  {:<11} {what} {again} not count", "known")
        })
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

/// Lines of which the first has the label.
fn labelled(label: &str, texts: &[String]) -> Vec<String> {
    let labels = std::iter::once(label).chain(std::iter::repeat(""));
    labels.zip(texts).map(|(label, text)| format!("  {label:<11} {text}")).collect()
}
