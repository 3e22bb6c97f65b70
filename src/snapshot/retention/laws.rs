//! Laws that hold for every policy and every history.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use jiff::civil::date;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::period::civil;
use super::plain::{label, plainly};
use super::policy::{Keep, Policy};
use super::preview::preview;
use super::reason::Expiry;
use super::standing::Standing;
use super::{Pin, Point, Setting, Verdict, by_source, decide, emptied};
use crate::id::SnapshotId;

const HOUR: i64 = 3_600_000_000_000;
const DAY: i64 = 24 * HOUR;
/// 1 March 2026, 00:00 UTC: a change of the clock and one of the year lie near.
const NOW: i64 = 1_772_323_200_000_000_000;
const ZONES: [&str; 3] = ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe"];

fn keep() -> impl Strategy<Value = Keep> {
    prop_oneof![
        3 => Just(Keep::Off),
        4 => (0_u32..6).prop_map(Keep::Count),
        1 => Just(Keep::ForEver),
    ]
}

prop_compose! {
    fn policy()(
        keeps in prop::array::uniform6(keep()),
        within in prop::option::weighted(0.3, 0_u64..40),
        tagged in prop::bool::weighted(0.3),
    ) -> Policy {
        let [last, hourly, daily, weekly, monthly, yearly] = keeps;
        let within = within.map(|days| Duration::from_secs(days * 86_400));
        let tags = tagged.then(|| "gold".to_owned()).into_iter().collect();
        Policy { last, hourly, daily, weekly, monthly, yearly, within, tags }
    }
}

fn more(a: Keep, b: Keep) -> Keep {
    match (a, b) {
        (Keep::ForEver, _) | (_, Keep::ForEver) => Keep::ForEver,
        (Keep::Count(a), Keep::Count(b)) => Keep::Count(a.max(b)),
        (Keep::Off, other) | (other, Keep::Off) => other,
    }
}

/// The rules of both.
fn joined(a: &Policy, b: &Policy) -> Policy {
    Policy {
        last: more(a.last, b.last),
        hourly: more(a.hourly, b.hourly),
        daily: more(a.daily, b.daily),
        weekly: more(a.weekly, b.weekly),
        monthly: more(a.monthly, b.monthly),
        yearly: more(a.yearly, b.yearly),
        within: a.within.max(b.within),
        tags: a.tags.union(&b.tags).cloned().collect(),
    }
}

#[derive(Debug, Clone)]
struct Rough {
    time_ns: i64,
    sequence: u64,
    other_source: bool,
    standing: Standing,
    tagged: bool,
    pin: Option<Pin>,
}

/// Hours, days or months before now, sometimes after it; often at the very same time as another.
fn age() -> impl Strategy<Value = i64> {
    prop_oneof![
        (0_i64..48).prop_map(|hours| hours * HOUR),
        (0_i64..40).prop_map(|days| days * DAY),
        (0_i64..900 * 24).prop_map(|hours| hours * HOUR + 1),
    ]
}

prop_compose! {
    fn rough(future: f64)(
        age in age(),
        sequence in 0_u64..60,
        after_now in prop::bool::weighted(future),
        other_source in prop::bool::weighted(0.1),
        unclean in prop::bool::weighted(0.3),
        tagged in prop::bool::weighted(0.1),
        pin in prop::option::weighted(0.1, prop::option::of(-50_i64..50)),
    ) -> Rough {
        let time_ns = if after_now { NOW + 1 + age } else { NOW - age };
        let standing = if unclean { Standing::Labelled } else { Standing::Clean };
        let until = |days: Option<i64>| days.map(|days| NOW + days * DAY);
        let pin = pin.map(|days| Pin { name: "mine".to_owned(), until_ns: until(days) });
        Rough { time_ns, sequence, other_source, standing, tagged, pin }
    }
}

fn points_of(rough: &[Rough]) -> Vec<Point> {
    let point = |(n, it): (usize, &Rough)| {
        let mut id = [0; 32];
        id[..8].copy_from_slice(&n.to_le_bytes());
        Point {
            id: SnapshotId::from_bytes(id),
            source: if it.other_source { "mail" } else { "app" }.to_owned(),
            sequence: it.sequence,
            time_ns: it.time_ns,
            tags: it.tagged.then(|| "gold".to_owned()).into_iter().collect(),
            pins: it.pin.clone().into_iter().collect(),
            standing: it.standing,
        }
    };
    rough.iter().enumerate().map(point).collect()
}

fn history(future: f64) -> impl Strategy<Value = Vec<Point>> {
    prop::collection::vec(rough(future), 0..60).prop_map(|rough| points_of(&rough))
}

fn zone() -> impl Strategy<Value = TimeZone> {
    prop::sample::select(&ZONES[..]).prop_map(|name| TimeZone::get(name).unwrap())
}

/// Decides at a time and returns what is kept.
fn kept(points: &[Point], policy: &Policy, zone: &TimeZone, now_ns: i64) -> HashSet<SnapshotId> {
    let braked = &BTreeSet::new();
    let decisions = decide(points, &Setting { policy, zone, now_ns, allow_last: false, braked });
    assert_eq!(decisions.len(), points.len());
    decisions.iter().filter(|it| it.verdict.is_kept()).map(|it| it.id).collect()
}

fn only(points: &[Point], ids: &HashSet<SnapshotId>) -> Vec<Point> {
    points.iter().filter(|point| ids.contains(&point.id)).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn it_keeps_what_the_plain_implementation_keeps(points in history(0.1), policy in policy(), zone in zone()) {
        prop_assert_eq!(kept(&points, &policy, &zone, NOW), plainly(&points, &policy, (&zone, NOW)));
    }

    #[test]
    fn more_rules_never_remove_more(points in history(0.1), a in policy(), b in policy(), zone in zone()) {
        prop_assume!(!a.is_empty());
        let few = kept(&points, &a, &zone, NOW);
        prop_assert!(few.is_subset(&kept(&points, &joined(&a, &b), &zone, NOW)));
    }

    #[test]
    fn a_second_run_removes_nothing_further(points in history(0.1), policy in policy(), zone in zone()) {
        let first = kept(&points, &policy, &zone, NOW);
        prop_assert_eq!(&kept(&only(&points, &first), &policy, &zone, NOW), &first);
    }

    #[test]
    fn the_order_of_the_list_does_not_matter(
        (points, shuffled) in history(0.1).prop_flat_map(|it| (Just(it.clone()), Just(it).prop_shuffle())),
        policy in policy(),
        zone in zone(),
    ) {
        prop_assert_eq!(kept(&points, &policy, &zone, NOW), kept(&shuffled, &policy, &zone, NOW));
    }

    #[test]
    fn every_period_within_reach_keeps_one(points in history(0.0), policy in policy(), zone in zone()) {
        let kept = kept(&points, &policy, &zone, NOW);
        for points in by_source(&points).into_values() {
            for (rule, keep) in policy.rules() {
                let mut periods: Vec<String> = points.iter().map(|it| label(rule, it, &zone)).collect();
                periods.dedup();
                let reach = match keep { Keep::Count(count) => usize::try_from(count).unwrap(), _ => usize::MAX };
                for period in periods.iter().take(reach) {
                    let stays = |it: &&&Point| label(rule, it, &zone) == *period && kept.contains(&it.id);
                    prop_assert!(points.iter().find(stays).is_some(), "{} of {}", rule, period);
                }
            }
        }
    }

    #[test]
    fn clean_ones_are_decided_as_if_nothing_else_were_there(points in history(0.2), policy in policy(), zone in zone()) {
        let is_sound = |it: &&Point| it.is_clean() && it.time_ns <= NOW;
        let alone: Vec<Point> = points.iter().filter(is_sound).cloned().collect();
        let left = kept(&alone, &policy, &zone, NOW);
        let among_all = kept(&points, &policy, &zone, NOW);
        for point in &alone {
            prop_assert_eq!(among_all.contains(&point.id), left.contains(&point.id), "{:?}", point);
        }
    }

    #[test]
    fn every_source_keeps_its_newest_and_its_newest_clean_one(points in history(0.2), policy in policy(), zone in zone()) {
        let kept = kept(&points, &policy, &zone, NOW);
        for points in by_source(&points).into_values() {
            let newest = points.iter().max_by_key(|it| (it.sequence, it.id)).unwrap();
            prop_assert!(kept.contains(&newest.id));
            let clean = points.iter().filter(|it| it.is_clean()).max_by_key(|it| (it.sequence, it.id));
            prop_assert!(clean.is_none_or(|it| kept.contains(&it.id)));
        }
    }

    #[test]
    fn nothing_goes_under_the_brake(points in history(0.1), policy in policy(), zone in zone()) {
        let (policy, zone, braked) = (&policy, &zone, &BTreeSet::from(["app".to_owned()]));
        let setting = Setting { policy, zone, now_ns: NOW, allow_last: true, braked };
        let decisions = decide(&points, &setting);
        prop_assert!(decisions.iter().all(|it| it.verdict.is_kept() || it.source != "app"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    /// What is foretold is what comes when the days are played one by one.
    #[test]
    fn expiry_is_what_happens(points in history(0.0), policy in policy(), zone in zone()) {
        const DAYS: u32 = 120;
        let braked = &BTreeSet::new();
        let setting = Setting { policy: &policy, zone: &zone, now_ns: NOW, allow_last: false, braked };
        let calendars = preview(&points, &setting, DAYS);
        for decision in decide(&points, &setting) {
            let Verdict::Kept { expiry, .. } = decision.verdict else { continue };
            let days = &calendars[&decision.source];
            let gone = days.iter().find(|day| day.removed.iter().any(|it| it.id == Some(decision.id)));
            let gone = gone.map(|day| day.taken.unwrap().time_ns);
            let horizon = days.last().unwrap().taken.unwrap().time_ns;
            let foretold = match expiry {
                Expiry::At(time_ns) if time_ns <= horizon => Some(time_ns),
                _ => None,
            };
            prop_assert_eq!(gone, foretold, "{:?}", decision);
        }
    }
}

#[test]
fn the_seed_policy_grows_by_one_a_month() {
    let zone = TimeZone::get("Europe/Zurich").unwrap();
    let (policy, braked) = (&Policy::seed(), &BTreeSet::new());
    let setting = Setting { policy, zone: &zone, now_ns: NOW, allow_last: false, braked };
    let start = [Rough {
        time_ns: NOW,
        sequence: 1,
        other_source: false,
        standing: Standing::Clean,
        tagged: false,
        pin: None,
    }];
    let days = &preview(&points_of(&start), &setting, 730)["app"];
    assert_eq!(days.len(), 731);
    let (first, last) = (&days[0], &days[730]);
    assert_eq!((first.date, first.present.len()), (date(2026, 3, 1), 1));
    assert_eq!(last.date, date(2028, 2, 29));
    // 24 months, the last of which is today's; 6 more days; 3 more Sundays, less those that are among the days.
    let shown: Vec<String> =
        last.present.iter().map(|it| civil(it.time_ns, &zone).date().to_string()).collect();
    assert_eq!(
        shown[..11].join(" "),
        "2028-02-29 2028-02-28 2028-02-27 2028-02-26 2028-02-25 2028-02-24 2028-02-23 2028-02-20 2028-02-13 \
         2028-01-31 2027-12-31"
    );
    assert_eq!(shown.len(), 9 + 23);
    assert!(days.iter().all(|day| day.present.len() <= 7 + 4 + 24));
}

#[test]
fn a_thousand_snapshots_of_ten_sources_keep_apart() {
    let zone = TimeZone::UTC;
    let rough = |n: i64| Rough {
        time_ns: NOW - n * DAY,
        sequence: u64::try_from(2000 - n).unwrap(),
        other_source: false,
        standing: Standing::Clean,
        tagged: false,
        pin: None,
    };
    let mut points = points_of(&(0..1000).map(rough).collect::<Vec<_>>());
    for (n, point) in points.iter_mut().enumerate() {
        point.source = format!("app{}", n % 10);
    }
    let policy = Policy { last: Keep::Count(3), ..Policy::default() };
    assert_eq!(kept(&points, &policy, &zone, NOW).len(), 30);
    let all: BTreeSet<SnapshotId> =
        points.iter().filter(|it| it.source == "app4").map(|it| it.id).collect();
    assert_eq!(emptied(&points, &all), BTreeSet::from(["app4"]));
    assert!(emptied(&points, &all.iter().skip(1).copied().collect()).is_empty());
}
