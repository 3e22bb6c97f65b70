//! What a prune says to programs.

use larder::repo::prune::{Pending, Unfinished};
use serde::Serialize;

use super::Said;
use crate::cli::failure::Result;
use crate::cli::output::progress::millis;
use crate::cli::output::times;

#[derive(Serialize)]
struct SummaryBody {
    dry_run: bool,
    snapshots: u64,
    removed_packs: u64,
    removed_bytes: u64,
    rewritten_packs: usize,
    written_bytes: u64,
    rescued_packs: u64,
    freed_bytes: u64,
    freed_packs: u64,
    freed_snapshots: u64,
    trash: Option<TrashBody>,
    waiting_bytes: u64,
    unfinished: Vec<UnfinishedBody>,
    disk_was_full: bool,
    damaged_total: u64,
    zone: String,
    elapsed_ms: u64,
    exit_code: u8,
}

#[derive(Serialize)]
struct TrashBody {
    packs: u64,
    snapshots: u64,
    size_bytes: u64,
    /// When the first of it may be freed.
    from: String,
    /// When the last of it may be freed.
    until: String,
}

#[derive(Serialize)]
struct UnfinishedBody {
    session: String,
    size_bytes: u64,
    /// `null` while it is at work.
    until: Option<String>,
}

impl Said<'_> {
    /// The summary.
    pub(super) fn summary(&self) -> Result<()> {
        let report = self.report;
        self.context.console.json_line(
            "summary",
            &SummaryBody {
                dry_run: self.dry_run,
                snapshots: report.snapshots,
                removed_packs: report.removed_packs,
                removed_bytes: report.removed_bytes,
                rewritten_packs: report.plan.rewritten.len(),
                written_bytes: report.written_bytes,
                rescued_packs: report.rescued_packs,
                freed_bytes: report.emptied.bytes,
                freed_packs: report.emptied.packs,
                freed_snapshots: report.emptied.snapshots,
                trash: report.pending.map(|pending| self.trash(pending)),
                waiting_bytes: report.plan.waiting_bytes,
                unfinished: report.unfinished.iter().map(|it| self.unfinished(it)).collect(),
                disk_was_full: report.disk_was_full,
                damaged_total: report.damage.len() as u64 + report.hopeless_blobs,
                zone: self.context.settings.zone.name.clone(),
                elapsed_ms: millis(self.took),
                exit_code: self.exit().code(),
            },
        )
    }

    fn trash(&self, pending: Pending) -> TrashBody {
        let zone = &self.context.settings.zone.rules;
        TrashBody {
            packs: pending.packs,
            snapshots: pending.snapshots,
            size_bytes: pending.bytes,
            from: times::rfc3339(pending.from_ns, zone),
            until: times::rfc3339(pending.until_ns, zone),
        }
    }

    fn unfinished(&self, it: &Unfinished) -> UnfinishedBody {
        let zone = &self.context.settings.zone.rules;
        UnfinishedBody {
            session: it.session.to_string(),
            size_bytes: it.bytes,
            until: it.until_ns.map(|until| times::rfc3339(until, zone)),
        }
    }
}
