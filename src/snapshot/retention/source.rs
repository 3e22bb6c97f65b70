//! The decisions about one source.

use std::time::Duration;

use jiff::civil::DateTime;

use crate::snapshot::retention::forecast::Forecast;
use crate::snapshot::retention::period::civil;
use crate::snapshot::retention::policy::{Keep, Rule};
use crate::snapshot::retention::reason::{Expiry, Reason, Why};
use crate::snapshot::retention::slots::{Clocked, Ranking};
use crate::snapshot::retention::{Decision, Pin, Point, Setting, Verdict};

/// One source.
pub(super) struct Source<'p> {
    setting: &'p Setting<'p>,
    /// Newest first.
    points: Vec<Clocked<'p>>,
    /// The points before this index are dated in the future.
    past: usize,
    rankings: Vec<Ranking>,
    latest: Option<&'p Point>,
    latest_clean: Option<&'p Point>,
}

impl<'p> Source<'p> {
    /// Its points are given newest first.
    pub(super) fn new(points: &[&'p Point], setting: &'p Setting<'p>) -> Self {
        let past = points.partition_point(|point| point.time_ns > setting.now_ns);
        let in_sequence = |point: &&Point| (point.sequence, point.id);
        // One that is dated in the future stays anyway; it must not take this protection from another.
        let in_past = || points.iter().copied().skip(past);
        let latest = in_past().max_by_key(in_sequence);
        let latest_clean = in_past().filter(|point| point.is_clean()).max_by_key(in_sequence);
        let clocked = |point: &&'p Point| (*point, civil(point.time_ns, setting.zone));
        let points: Vec<Clocked<'p>> = points.iter().map(clocked).collect();
        let ranking = |(rule, keep)| Ranking::new(rule, keep, &points, past);
        let rankings = setting.policy.rules().map(ranking).collect();
        Self { setting, points, past, rankings, latest, latest_clean }
    }

    pub(super) fn decide(&self, forecast: Option<&Forecast>, decisions: &mut Vec<Decision>) {
        for (index, &(point, clock)) in self.points.iter().enumerate() {
            let reasons = self.reasons(index, point, clock);
            let verdict = if reasons.is_empty() {
                Verdict::Removed { whys: self.whys(index, point, clock) }
            } else {
                let end = |reason| self.expiry((point, clock), reason, forecast);
                let expiry = reasons.iter().map(end).max().unwrap_or(Expiry::Never);
                Verdict::Kept { reasons, expiry }
            };
            let (id, source, time_ns) = (point.id, point.source.clone(), point.time_ns);
            decisions.push(Decision { id, source, time_ns, verdict });
        }
    }

    fn reasons(&self, index: usize, point: &Point, clock: DateTime) -> Vec<Reason> {
        let mut reasons = Vec::new();
        if index < self.past {
            reasons.push(Reason::Future);
        } else {
            self.rules_for(index, point, clock, &mut reasons);
        }
        let policy = self.setting.policy;
        reasons.extend(policy.tags.intersection(&point.tags).cloned().map(Reason::Tag));
        let holds = |pin: &&Pin| pin.until_ns.is_none_or(|until| until >= self.setting.now_ns);
        reasons.extend(point.pins.iter().filter(holds).cloned().map(Reason::Pin));
        reasons.extend(policy.is_empty().then_some(Reason::NoRules));
        reasons.extend(self.guard(point));
        reasons.extend(self.setting.braked.contains(&point.source).then_some(Reason::Brake));
        reasons
    }

    fn rules_for(&self, index: usize, point: &Point, clock: DateTime, reasons: &mut Vec<Reason>) {
        for ranking in &self.rankings {
            let Some(slot) = ranking.slot(index, clock) else { continue };
            let (rule, of, position) = (ranking.rule, ranking.keep, slot.position_of(point));
            if slot.holder == index && of.reaches(position) {
                reasons.push(Reason::Counted { rule, position, of });
            }
        }
        if let Some(within) = self.setting.policy.within
            && self.newest_for(point).is_some_and(|newest| later(point.time_ns, within) >= newest)
        {
            reasons.push(Reason::Within(within));
        }
    }

    /// What keeps a snapshot whatever the policy says.
    fn guard(&self, point: &Point) -> Option<Reason> {
        let is = |other: Option<&Point>| other.is_some_and(|other| other.id == point.id);
        match () {
            () if self.setting.allow_last => None,
            () if is(self.latest) => Some(Reason::Latest),
            () if is(self.latest_clean) => Some(Reason::LatestClean),
            () => None,
        }
    }

    /// The time from which `within` is measured: for a clean point that of the newest clean one.
    fn newest_for(&self, point: &Point) -> Option<i64> {
        let past = self.points.get(self.past..).unwrap_or_default();
        let counts = |other: &&Clocked<'_>| other.0.is_clean() || !point.is_clean();
        past.iter().find(counts).map(|(newest, _)| newest.time_ns)
    }

    fn whys(&self, index: usize, point: &Point, clock: DateTime) -> Vec<Why> {
        let why = |ranking: &Ranking| {
            let slot = ranking.slot(index, clock)?;
            match (ranking.rule, ranking.keep) {
                (Rule::Each(period), keep) if keep.reaches(slot.position_of(point)) => {
                    let by = self.points.get(slot.holder)?.0.id;
                    Some(Why::Surpassed { period, by })
                }
                (rule, Keep::Count(count)) => Some(Why::Beyond { rule, count }),
                _ => None,
            }
        };
        let mut whys: Vec<Why> = self.rankings.iter().filter_map(why).collect();
        whys.extend(self.setting.policy.within.map(Why::NotWithin));
        if whys.is_empty() {
            whys.push(Why::NotTagged);
        }
        whys
    }

    /// When a reason ends.
    fn expiry(&self, it: Clocked<'_>, reason: &Reason, forecast: Option<&Forecast>) -> Expiry {
        let Some(forecast) = forecast else { return Expiry::Open };
        let end = match reason {
            Reason::Future | Reason::Brake => return Expiry::Open,
            Reason::Tag(_) | Reason::NoRules => None,
            Reason::Pin(pin) => pin.until_ns.and_then(|until| forecast.after(until)),
            Reason::Within(within) => forecast.after(later(it.0.time_ns, *within)),
            Reason::Latest | Reason::LatestClean => forecast.first(),
            Reason::Counted { rule, position, .. } => {
                let ranking = self.rankings.iter().find(|ranking| ranking.rule == *rule);
                ranking.and_then(|ranking| ranking.end(it, *position, forecast))
            }
        };
        end.map_or(Expiry::Never, Expiry::At)
    }
}

/// So much later, or the last moment there is.
fn later(time_ns: i64, length: Duration) -> i64 {
    let length = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX);
    time_ns.saturating_add(length)
}
