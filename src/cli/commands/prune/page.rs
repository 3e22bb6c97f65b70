//! What a prune says to people.

use larder::observe::Phase;
use larder::repo::prune::{Pending, Unfinished};

use super::Said;
use crate::cli::failure::Result;
use crate::cli::output::times;
use crate::cli::output::units::{bytes, count, duration, many};

impl Said<'_> {
    /// What went, what waits and until when.
    pub(super) fn page(&self) -> Result<()> {
        let lines = [
            Some(self.snapshots_line()),
            self.removed_line(),
            self.rewritten_line(),
            self.rescued_line(),
            self.freed_line(),
            self.trash_line(),
            self.waiting_line(),
            self.hopeless_line(),
        ];
        let console = &self.context.console;
        lines.iter().flatten().try_for_each(|text| console.detail(text))?;
        self.unfinished_lines().iter().try_for_each(|text| console.detail(text))?;
        console.detail(&self.last_line())
    }

    fn snapshots_line(&self) -> String {
        let spent = self.progress.spent(Phase::Mark).map(duration).unwrap_or_default();
        let what = format!("{}: what they need stays", many(self.report.snapshots, "snapshot"));
        line("snapshots", &format!("{what:<62} {spent:>8}"))
    }

    fn removed_line(&self) -> Option<String> {
        let report = self.report;
        let what =
            format!("{}, {}", many(report.removed_packs, "pack"), bytes(report.removed_bytes));
        let to = match (report.disk_was_full, self.dry_run) {
            (true, _) => "deleted at once",
            (false, true) => "to the trash",
            (false, false) => "now in the trash",
        };
        (report.removed_packs > 0).then(|| line("removed", &format!("{what}, {to}")))
    }

    fn rewritten_line(&self) -> Option<String> {
        let report = self.report;
        let packs = report.plan.rewritten.len() as u64;
        (packs > 0).then(|| {
            let live = bytes(report.written_bytes);
            line(
                "rewritten",
                &format!("of these {}: {live} that lives in them", many(packs, "pack")),
            )
        })
    }

    fn rescued_line(&self) -> Option<String> {
        let packs = self.report.rescued_packs;
        (packs > 0).then(|| {
            line("kept", &format!("{} for a snapshot saved meanwhile", many(packs, "pack")))
        })
    }

    fn freed_line(&self) -> Option<String> {
        let emptied = self.report.emptied;
        let what = of_trash(emptied.packs, emptied.snapshots);
        (emptied.bytes > 0)
            .then(|| line("freed", &format!("{} from the trash: {what}", bytes(emptied.bytes))))
    }

    fn trash_line(&self) -> Option<String> {
        self.report.pending.map(|pending| {
            let Pending { packs, snapshots, bytes: size, from_ns, until_ns } = pending;
            let zone = &self.context.settings.zone.rules;
            let (from, until) =
                (times::short(from_ns, zone, false), times::short(until_ns, zone, false));
            let when =
                if from == until { format!("after {until}") } else { format!("{from} to {until}") };
            let what = of_trash(packs, snapshots);
            line("trash", &format!("{}: {what}; freed by a prune {when}", bytes(size)))
        })
    }

    fn waiting_line(&self) -> Option<String> {
        let waiting = self.report.plan.waiting_bytes;
        (waiting > 0)
            .then(|| line("waits", &format!("{} dead in packs that mostly live", bytes(waiting))))
    }

    fn hopeless_line(&self) -> Option<String> {
        let blobs = self.report.hopeless_blobs;
        (blobs > 0).then(|| {
            line(
                "damaged",
                &format!("{} in no sound place; nothing of them was removed", many(blobs, "blob")),
            )
        })
    }

    fn unfinished_lines(&self) -> Vec<String> {
        let zone = &self.context.settings.zone.rules;
        let mut lines: Vec<String> = self
            .report
            .unfinished
            .iter()
            .map(|Unfinished { bytes: size, until_ns, .. }| match until_ns {
                None => format!("{} of a backup that is at work", bytes(*size)),
                Some(until) => format!(
                    "{} of a backup that was cut off, kept until {}",
                    bytes(*size),
                    times::short(*until, zone, false)
                ),
            })
            .enumerate()
            .map(|(n, text)| line(if n == 0 { "unfinished" } else { "" }, &text))
            .collect();
        if self.report.unfinished.iter().any(|it| it.until_ns.is_some()) {
            let command = self.context.command("prune --unfinished 0d");
            lines.push(line("", &format!("the next backup uses it; `{command}` removes it")));
        }
        lines
    }

    fn last_line(&self) -> String {
        let report = self.report;
        let took = duration(self.took);
        let freed = report.emptied.bytes;
        let later = report.pending.map_or(0, |pending| pending.bytes);
        let what = match (self.dry_run, freed, later) {
            (false, 0, 0) => "nothing to free".to_owned(),
            (false, now, 0) => format!("freed {}", bytes(now)),
            (false, now, later) => {
                format!("freed {} now; {} when the trash is emptied", bytes(now), bytes(later))
            }
            (true, now, _) => format!(
                "dry run: nothing was changed; {} would be freed now, {} more when the trash is emptied",
                bytes(now),
                bytes(later.saturating_add(report.removed_bytes))
            ),
        };
        format!("{what}    {took}")
    }
}

/// What lies in the trash, in words.
fn of_trash(packs: u64, snapshots: u64) -> String {
    let parts = [(packs, "pack"), (snapshots, "forgotten snapshot")];
    let parts: Vec<_> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(n, what)| many(*n, what)).collect();
    if parts.is_empty() { format!("{} objects", count(0)) } else { parts.join(", ") }
}

fn line(label: &str, what: &str) -> String {
    format!("  {label:<11} {what}").trim_end().to_owned()
}
