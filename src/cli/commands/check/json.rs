//! What a check says to programs.

use std::time::Duration;

use larder::codec::manifest::EntryKey;
use larder::ops::check::{Affected, CheckFinding};
use serde::Serialize;

use super::Said;
use crate::cli::failure::Result;
use crate::cli::output::json::Path;
use crate::cli::output::progress::millis;
use crate::cli::output::wording::{self, absolute_or_relative};

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

impl Said<'_> {
    /// Everything found, a line each, then the summary.
    pub(super) fn lines(&self, took: Duration) -> Result<()> {
        let say = |body: &DamageBody| self.context.console.json_line("warning", body);
        for finding in &self.report.findings {
            say(&self.damage(finding))?;
        }
        let plain = |kind, message| DamageBody { kind, message, affected: Vec::new() };
        for missing in &self.report.missing {
            say(&plain("missing", wording::missing(missing.id, &missing.source)))?;
        }
        for note in self.notes() {
            say(&plain("note", note))?;
        }
        self.context.console.json_line("summary", &self.summary(took))
    }

    fn damage(&self, finding: &CheckFinding) -> DamageBody {
        let affected = finding.affected.iter().map(|it| AffectedBody {
            snapshot: it.snapshot.to_string(),
            paths: it.paths.iter().map(|key| self.path(it, key)).collect(),
            paths_total: it.total,
        });
        DamageBody {
            kind: "damage",
            message: finding.damage.to_string(),
            affected: affected.collect(),
        }
    }

    fn path(&self, affected: &Affected, key: &EntryKey) -> Path {
        match self.snapshot(affected.snapshot) {
            Some(snapshot) => Path::of(&absolute_or_relative(snapshot, key)),
            None => Path::of(&key.path),
        }
    }

    fn summary(&self, took: Duration) -> SummaryBody {
        let report = self.report;
        SummaryBody {
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
            exit_code: self.exit().code(),
        }
    }
}
