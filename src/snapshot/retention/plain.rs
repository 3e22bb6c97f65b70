//! A second implementation, plain and slow: every snapshot is compared with every other, and periods are what a calendar
//! prints.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Point;
use super::period::Period::{Day, Hour, Month, Week, Year};
use super::policy::{Keep, Policy, Rule};
use crate::id::SnapshotId;

/// The name of the period, as calendars print it.
pub(super) fn label(rule: Rule, point: &Point, zone: &TimeZone) -> String {
    let pattern = match rule {
        Rule::Last => return point.id.to_string(),
        Rule::Each(Hour) => "%Y-%m-%d %H",
        Rule::Each(Day) => "%Y-%m-%d",
        Rule::Each(Week) => "%G week %V",
        Rule::Each(Month) => "%Y-%m",
        Rule::Each(Year) => "%Y",
    };
    let moment = Timestamp::from_nanosecond(i128::from(point.time_ns)).unwrap();
    zone.to_datetime(moment).strftime(pattern).to_string()
}

/// Whether a rule keeps a point, looked up in the plainest way: count what stands before it.
fn plainly_kept(
    point: &Point,
    rule: Rule,
    keep: Keep,
    (points, zone): (&[&Point], &TimeZone),
) -> bool {
    let of = |other: &Point| label(rule, other, zone);
    let own = of(point);
    let peers: Vec<&&Point> =
        points.iter().filter(|it| it.is_clean() || !point.is_clean()).collect();
    let surpassed = points.iter().any(|it| {
        let newer = it.in_time() > point.in_time();
        let better = it.is_clean() && !point.is_clean();
        of(it) == own && (better || (newer && it.is_clean() == point.is_clean()))
    });
    let newer = peers.iter().filter(|it| it.in_time() > point.in_time()).map(|it| of(it));
    let newer: HashSet<String> = newer.filter(|label| *label != own).collect();
    let limit = match keep {
        Keep::Off => 0,
        Keep::Count(count) => usize::try_from(count).unwrap(),
        Keep::ForEver => usize::MAX,
    };
    !surpassed && newer.len() < limit
}

/// What is kept at a time, found out slowly.
pub(super) fn plainly(
    points: &[Point],
    policy: &Policy,
    (zone, now_ns): (&TimeZone, i64),
) -> HashSet<SnapshotId> {
    let mut kept = HashSet::new();
    for point in points {
        let own: Vec<&Point> = points.iter().filter(|it| it.source == point.source).collect();
        let past: Vec<&Point> = own.iter().copied().filter(|it| it.time_ns <= now_ns).collect();
        let mut later = past.iter().filter(|it| (it.sequence, it.id) > (point.sequence, point.id));
        let is_last =
            later.clone().next().is_none() || (point.is_clean() && !later.any(|it| it.is_clean()));
        let newest =
            past.iter().filter(|it| it.is_clean() || !point.is_clean()).map(|it| it.time_ns).max();
        let is_within = policy.within.zip(newest).is_some_and(|(within, newest)| {
            i128::from(newest - point.time_ns) <= i128::try_from(within.as_nanos()).unwrap()
        });
        let by_rule = || {
            Rule::ALL
                .iter()
                .any(|rule| plainly_kept(point, *rule, policy.keep(*rule), (&past, zone)))
        };
        let is_pinned =
            point.pins.iter().any(|pin| pin.until_ns.is_none_or(|until| until >= now_ns));
        let is_tagged = !policy.tags.is_disjoint(&point.tags);
        if point.time_ns > now_ns
            || is_last
            || is_within
            || is_pinned
            || is_tagged
            || policy.is_empty()
            || by_rule()
        {
            kept.insert(point.id);
        }
    }
    kept
}
