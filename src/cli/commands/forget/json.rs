//! What forgetting came to, in JSON.

use larder::ops::forget::{OfSource, PolicyReport, Target};
use larder::ops::retention::rules::Origin;
use larder::snapshot::retention::{Decision, Verdict};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::Result;
use crate::cli::output::json::Document;
use crate::cli::output::retention::{BrakeBody, ExpiryBody, PolicyBody, ReasonBody};
use crate::cli::output::times;

#[derive(Serialize)]
struct Body {
    dry_run: bool,
    policy: PolicyBody,
    policy_origin: &'static str,
    policy_stored: bool,
    zone: String,
    sources: Vec<SourceBody>,
    forgotten_total: u64,
    held_total: u64,
    missing: Vec<MissingBody>,
    damage: Vec<String>,
    exit_code: u8,
}

#[derive(Serialize)]
struct SourceBody {
    source: String,
    brake: Option<BrakeBody>,
    held_total: u64,
    keep: Vec<KeptBody>,
    remove: Vec<RemovedBody>,
}

#[derive(Serialize)]
struct KeptBody {
    id: String,
    time: String,
    reasons: Vec<ReasonBody>,
    expires: ExpiryBody,
}

#[derive(Serialize)]
struct RemovedBody {
    id: String,
    time: String,
    reasons: Vec<String>,
}

#[derive(Serialize)]
struct MissingBody {
    id: String,
    source: String,
}

/// The document of forgetting by a policy.
pub(super) fn document(
    context: &Context,
    report: &PolicyReport,
    (dry_run, exit): (bool, Exit),
) -> Result<()> {
    let rules = &report.rules;
    let doubt = report.doubt.as_ref();
    let missing = doubt.map(|doubt| doubt.missing.as_slice()).unwrap_or_default().iter();
    let damage = doubt.map(|doubt| doubt.damage.as_slice()).unwrap_or_default().iter();
    context.console.document(&Document::new(Body {
        dry_run,
        policy: PolicyBody::of(&rules.policy),
        policy_origin: match rules.origin {
            Origin::ThisRun => "command_line",
            Origin::Configuration => "configuration",
            Origin::Repository => "repository",
        },
        policy_stored: rules.change.is_some() && !dry_run,
        zone: rules.zone_name.clone(),
        sources: report.sources.iter().map(|source| SourceBody::of(source, report)).collect(),
        forgotten_total: report.forgotten.len() as u64,
        held_total: doubt.map_or(0, |doubt| doubt.held as u64),
        missing: missing
            .map(|it| MissingBody { id: it.id.to_string(), source: it.source.clone() })
            .collect(),
        damage: damage.map(ToString::to_string).collect(),
        exit_code: exit.code(),
    }))
}

impl SourceBody {
    fn of(source: &OfSource, report: &PolicyReport) -> Self {
        let zone = &report.rules.zone;
        let (mut keep, mut remove) = (Vec::new(), Vec::new());
        for Decision { id, time_ns, verdict, .. } in &source.decisions {
            let (id, time) = (id.to_string(), times::rfc3339(*time_ns, zone));
            match verdict {
                Verdict::Kept { reasons, expiry } => keep.push(KeptBody {
                    id,
                    time,
                    reasons: reasons.iter().map(ReasonBody::of).collect(),
                    expires: ExpiryBody::of(*expiry, zone),
                }),
                Verdict::Removed { whys } => {
                    let reasons = whys.iter().map(ToString::to_string).collect();
                    remove.push(RemovedBody { id, time, reasons });
                }
            }
        }
        Self {
            source: source.source.clone(),
            brake: source.brake.as_ref().map(BrakeBody::of),
            held_total: source.held as u64,
            keep,
            remove,
        }
    }
}

#[derive(Serialize)]
struct NamedBody {
    dry_run: bool,
    forgotten: Vec<TargetBody>,
    forgotten_total: u64,
    exit_code: u8,
}

#[derive(Serialize)]
struct TargetBody {
    id: String,
    was: &'static str,
    source: Option<String>,
    time: Option<String>,
}

/// The document of forgetting by name.
pub(super) fn named(context: &Context, targets: &[Target], dry_run: bool) -> Result<()> {
    let body = |target: &Target| {
        let (was, source, time_ns) = match target {
            Target::Snapshot(snapshot) => {
                let record = &snapshot.record;
                ("snapshot", Some(record.source.clone()), Some(record.time_ns))
            }
            Target::Unreadable(_) => ("unreadable", None, None),
            Target::Missing { source, .. } => ("missing", Some(source.clone()), None),
            Target::Fact(_) => ("fact", None, None),
        };
        let id = match target {
            Target::Fact(id) => id.to_string(),
            other => other.snapshot().map(|id| id.to_string()).unwrap_or_default(),
        };
        let time = time_ns.map(|time_ns| times::rfc3339(time_ns, context.clock().zone));
        TargetBody { id, was, source, time }
    };
    context.console.document(&Document::new(NamedBody {
        dry_run,
        forgotten: targets.iter().map(body).collect(),
        forgotten_total: targets.len() as u64,
        exit_code: Exit::Ok.code(),
    }))
}
