//! What the policy makes of each snapshot.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use larder::host::Host;
use larder::id::SnapshotId;
use larder::ops::catalog::Catalog;
use larder::ops::retention::judge;
use larder::ops::retention::rules::Rules;
use larder::snapshot::retention::brake::Limits;
use larder::snapshot::retention::{Pin, Point, Setting, Verdict, decide};
use serde::Serialize;

use crate::cli::context::Context;
use crate::cli::output::json::snapshot::Clock;
use crate::cli::output::retention::{self, ExpiryBody, PinBody, ReasonBody};
use crate::cli::output::times;
use crate::cli::retention::wish;

/// What becomes of each snapshot, if there is a policy, and its pins.
pub(super) struct Kept {
    verdicts: BTreeMap<SnapshotId, Verdict>,
    pins: BTreeMap<SnapshotId, Vec<Pin>>,
    zone: TimeZone,
    /// Where days begin, if that is not where times are shown.
    other_zone: Option<String>,
    this_year: i16,
}

/// The same of one snapshot in JSON.
#[derive(Serialize)]
pub(super) struct KeptBody {
    kept_as: Option<Vec<ReasonBody>>,
    expires: Option<ExpiryBody>,
    pins: Vec<PinBody>,
}

impl Kept {
    /// As `larder forget` without further words would decide now. A policy that makes no sense is its to report.
    pub(super) fn of(context: &Context, catalog: &Catalog<'_>) -> Self {
        let judged = judge(catalog, &Limits::default());
        let now_ns = context.host.now_ns();
        let braked: BTreeSet<String> = judged.brakes.keys().cloned().collect();
        let rules = wish(&context.settings, None).rules(catalog.facts()).ok().flatten();
        let decide = |rules: &Rules| {
            let (policy, zone) = (&rules.policy, &rules.zone);
            let setting = Setting { policy, zone, now_ns, allow_last: false, braked: &braked };
            decide(&judged.points, &setting)
        };
        let decisions = rules.as_ref().map(decide).unwrap_or_default();
        let holds = |pin: &Pin| pin.until_ns.is_none_or(|until| until >= now_ns);
        let holding = |point: &Point| point.pins.iter().filter(|it| holds(it)).cloned().collect();
        let pins = judged.points.iter().map(|point| (point.id, holding(point)));
        let shown_in = &context.settings.zone.name;
        let counted_in = rules.as_ref().map(|rules| &rules.zone_name);
        let other_zone = counted_in.filter(|it| *it != shown_in).cloned();
        let zone = rules.map_or_else(|| context.settings.zone.rules.clone(), |rules| rules.zone);
        Self {
            verdicts: decisions.into_iter().map(|it| (it.id, it.verdict)).collect(),
            pins: pins.collect(),
            this_year: times::civil(now_ns, &zone).year(),
            zone,
            other_zone,
        }
    }

    /// Says where days begin, if that is not where times are shown.
    pub(super) fn note_zone(&self, context: &Context) {
        if let Some(zone) = &self.other_zone {
            context.console.note(format!("for the policy, days begin in {zone}"));
        }
    }

    /// The first thing that keeps it; `goes` when nothing does; empty without a policy.
    pub(super) fn brief(&self, id: SnapshotId) -> String {
        match self.verdicts.get(&id) {
            None => String::new(),
            Some(Verdict::Kept { reasons, .. }) => {
                retention::reasons(reasons.get(..1).unwrap_or_default())
            }
            Some(Verdict::Removed { .. }) => "goes".to_owned(),
        }
    }

    /// All that is to be said about it; `None` without a policy.
    pub(super) fn in_full(&self, id: SnapshotId) -> Option<String> {
        Some(match self.verdicts.get(&id)? {
            Verdict::Kept { reasons, expiry } => {
                let until = retention::until_in_words(*expiry, &self.zone, self.this_year);
                format!("{}; {until}", retention::reasons(reasons))
            }
            Verdict::Removed { whys } => {
                format!("nothing, it goes with the next forget: {}", retention::whys(whys))
            }
        })
    }

    /// Its pins, for people.
    pub(super) fn pins(&self, id: SnapshotId) -> impl Iterator<Item = String> {
        let pins = self.pins.get(&id).into_iter().flatten();
        pins.map(|pin| retention::pin(pin, &self.zone, self.this_year))
    }

    /// Whether somebody has pinned it.
    pub(super) fn is_pinned(&self, id: SnapshotId) -> bool {
        self.pins.get(&id).is_some_and(|pins| !pins.is_empty())
    }

    /// The same in JSON.
    pub(super) fn body(&self, id: SnapshotId, clock: Clock<'_>) -> KeptBody {
        let (kept_as, expires) = match self.verdicts.get(&id) {
            None => (None, None),
            Some(Verdict::Removed { .. }) => (Some(Vec::new()), None),
            Some(Verdict::Kept { reasons, expiry }) => {
                let reasons = reasons.iter().map(ReasonBody::of).collect();
                (Some(reasons), Some(ExpiryBody::of(*expiry, clock.zone)))
            }
        };
        let pins = self.pins.get(&id).into_iter().flatten();
        KeptBody { kept_as, expires, pins: pins.map(|pin| PinBody::of(pin, clock)).collect() }
    }
}
