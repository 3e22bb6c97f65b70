//! Golden tables: snapshots on the left, what becomes of them on the right.
//!
//! A line is a civil time, or one with its offset where that matters, then marks: `!` unverified, `#tag`, `@pin`,
//! `@pin=until`, `s7` taken as the seventh. Without that mark, sequences rise from the last line up. An id begins with
//! the month, day, hour and minute of its snapshot. After `->` stand the reasons and when it expires, after `x` why it goes.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::period::{self, Period};
use super::policy::{Keep, Policy, Rule};
use super::reason::Expiry;
use super::standing::Standing;
use super::{Decision, Pin, Point, Setting, Verdict, decide};
use crate::id::SnapshotId;

pub(super) fn time_ns(text: &str, zone: &TimeZone) -> i64 {
    let moment = match text.parse::<DateTime>() {
        Ok(civil) if !text.contains('+') => zone.to_timestamp(civil).unwrap(),
        _ => text.parse::<Timestamp>().unwrap(),
    };
    i64::try_from(moment.as_nanosecond()).unwrap()
}

fn shown(time_ns: i64, zone: &TimeZone) -> String {
    period::civil(time_ns, zone).strftime("%Y-%m-%dT%H:%M").to_string()
}

fn id_of(time_ns: i64, sequence: u64, zone: &TimeZone) -> SnapshotId {
    let digits = period::civil(time_ns, zone).strftime("%m%d%H%M").to_string();
    let mut id = [0; 32];
    id[..4].copy_from_slice(&u32::from_str_radix(&digits, 16).unwrap().to_be_bytes());
    id[24..].copy_from_slice(&sequence.to_be_bytes());
    SnapshotId::from_bytes(id)
}

fn point(line: &str, sequence: u64, zone: &TimeZone) -> Point {
    let mut words = line.split_whitespace();
    let time = time_ns(words.next().unwrap(), zone);
    let id = id_of(time, sequence, zone);
    let mut point = Point {
        id,
        source: "app".to_owned(),
        sequence,
        time_ns: time,
        tags: BTreeSet::new(),
        pins: Vec::new(),
        standing: Standing::Clean,
    };
    for word in words {
        match word.split_at(1) {
            ("!", "") => point.standing = Standing::Unverified,
            ("#", tag) => drop(point.tags.insert(tag.to_owned())),
            ("@", pin) => {
                let (name, until) = pin.split_once('=').unwrap_or((pin, ""));
                let until_ns = (!until.is_empty()).then(|| time_ns(until, zone));
                point.pins.push(Pin { name: name.to_owned(), until_ns });
            }
            ("s", number) => point.sequence = number.parse().unwrap(),
            _ => panic!("not a mark: {word}"),
        }
    }
    point
}

struct Case {
    policy: Policy,
    zone: &'static str,
    now: &'static str,
    braked: bool,
    allow_last: bool,
}

fn case(policy: Policy, now: &'static str) -> Case {
    Case { policy, zone: "Europe/Zurich", now, braked: false, allow_last: false }
}

impl Case {
    fn decide(&self, points: &[Point]) -> Vec<Decision> {
        let zone = &TimeZone::get(self.zone).unwrap();
        let braked = &self.braked.then(|| "app".to_owned()).into_iter().collect();
        let now_ns = time_ns(self.now, zone);
        let allow_last = self.allow_last;
        decide(points, &Setting { policy: &self.policy, zone, now_ns, allow_last, braked })
    }

    /// Decides about the left side of the table; the result must be the right side.
    #[track_caller]
    fn is(&self, table: &str) {
        let zone = TimeZone::get(self.zone).unwrap();
        let lines: Vec<String> = table.lines().map(squeeze).filter(|it| !it.is_empty()).collect();
        let left: Vec<&str> = lines.iter().map(|line| given(line)).collect();
        let count = u64::try_from(left.len()).unwrap();
        let points: Vec<Point> =
            (1..=count).rev().zip(&left).map(|(n, line)| point(line, n, &zone)).collect();
        let decisions = self.decide(&points);
        let result = left.iter().zip(&points).map(|(line, point)| {
            let decision = decisions.iter().find(|it| it.id == point.id).unwrap();
            format!("{line} {}", told(&decision.verdict, &zone))
        });
        let result: Vec<String> = result.collect();
        assert_eq!(result, lines, "\n{}\n", result.join("\n"));
    }

    /// Decides about one snapshot a night at 03:00 and shows what is kept.
    #[track_caller]
    fn keeps(&self, first: &str, nights: i32, expected: &str) {
        let zone = TimeZone::get(self.zone).unwrap();
        let first: DateTime = format!("{first}T03:00").parse().unwrap();
        let nights = (0..nights).map(|n| first.checked_add(jiff::Span::new().days(n)).unwrap());
        let points: Vec<Point> =
            nights.zip(1..).map(|(night, n)| point(&night.to_string(), n, &zone)).collect();
        let decisions = self.decide(&points);
        let kept = decisions.iter().filter(|it| it.verdict.is_kept());
        let kept =
            kept.map(|it| format!("{} {}", shown(it.time_ns, &zone), told(&it.verdict, &zone)));
        let kept: Vec<String> = kept.collect();
        let expected: Vec<String> =
            expected.lines().map(squeeze).filter(|line| !line.is_empty()).collect();
        assert_eq!(kept, expected, "\n{}\n", kept.join("\n"));
    }
}

fn squeeze(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The left side of a line.
fn given(line: &str) -> &str {
    let end = line.find(" -> ").or_else(|| line.find(" x ")).expect("a line has two sides");
    &line[..end]
}

fn told(verdict: &Verdict, zone: &TimeZone) -> String {
    match verdict {
        Verdict::Kept { reasons, expiry } => {
            let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
            let until = match expiry {
                Expiry::At(time_ns) => shown(*time_ns, zone),
                Expiry::Open => "open".to_owned(),
                Expiry::Never => "never".to_owned(),
            };
            format!("-> {}; until {until}", reasons.join(", "))
        }
        Verdict::Removed { whys } => {
            let whys: Vec<String> = whys.iter().map(ToString::to_string).collect();
            format!("x {}", whys.join(", "))
        }
    }
}

fn with(rules: &[(Rule, u32)]) -> Policy {
    let mut policy = Policy::default();
    for (rule, count) in rules {
        let keep = match rule {
            Rule::Last => &mut policy.last,
            Rule::Each(Period::Hour) => &mut policy.hourly,
            Rule::Each(Period::Day) => &mut policy.daily,
            Rule::Each(Period::Week) => &mut policy.weekly,
            Rule::Each(Period::Month) => &mut policy.monthly,
            Rule::Each(Period::Year) => &mut policy.yearly,
        };
        *keep = Keep::Count(*count);
    }
    policy
}

const HOURLY: Rule = Rule::Each(Period::Hour);
const DAILY: Rule = Rule::Each(Period::Day);
const WEEKLY: Rule = Rule::Each(Period::Week);
const MONTHLY: Rule = Rule::Each(Period::Month);
const YEARLY: Rule = Rule::Each(Period::Year);

#[test]
fn the_seed_policy_after_a_hundred_nights() {
    // The newest is of Sunday, 22 November 2026.
    case(Policy::seed(), "2026-11-22T03:10").keeps(
        "2026-08-15",
        100,
        "
         2026-11-22T03:00 -> daily 1/7, weekly 1/4, monthly 1, latest; until 2026-12-14T03:00
         2026-11-21T03:00 -> daily 2/7; until 2026-11-28T03:00
         2026-11-20T03:00 -> daily 3/7; until 2026-11-27T03:00
         2026-11-19T03:00 -> daily 4/7; until 2026-11-26T03:00
         2026-11-18T03:00 -> daily 5/7; until 2026-11-25T03:00
         2026-11-17T03:00 -> daily 6/7; until 2026-11-24T03:00
         2026-11-16T03:00 -> daily 7/7; until 2026-11-23T03:00
         2026-11-15T03:00 -> weekly 2/4; until 2026-12-07T03:00
         2026-11-08T03:00 -> weekly 3/4; until 2026-11-30T03:00
         2026-11-01T03:00 -> weekly 4/4; until 2026-11-23T03:00
         2026-10-31T03:00 -> monthly 2; until never
         2026-09-30T03:00 -> monthly 3; until never
         2026-08-31T03:00 -> monthly 4; until never",
    );
}

#[test]
fn two_weeks_away_cost_nothing() {
    case(Policy::seed(), "2026-11-22T03:10").is("2026-11-22T03:00 -> daily 1/7, weekly 1/4, monthly 1, latest; until 2026-12-14T03:00
         2026-11-07T03:00 -> daily 2/7, weekly 2/4; until 2026-12-07T03:00
         2026-11-06T03:00 -> daily 3/7; until 2026-11-27T03:00
         2026-11-05T03:00 -> daily 4/7; until 2026-11-26T03:00
         2026-11-04T03:00 -> daily 5/7; until 2026-11-25T03:00
         2026-11-03T03:00 -> daily 6/7; until 2026-11-24T03:00
         2026-11-02T03:00 -> daily 7/7; until 2026-11-23T03:00
         2026-11-01T03:00 -> weekly 3/4; until 2026-11-30T03:00
         2026-10-31T03:00 -> monthly 2; until never
         2026-10-30T03:00 x beyond 7 daily, 11010300 stands for its week, 10310300 stands for its month");
}

#[test]
fn several_a_day_the_newest_stands_for_it() {
    case(with(&[(DAILY, 2)]), "2026-11-22T18:00").is("
         2026-11-22T17:00 -> daily 1/2, latest; until 2026-11-24T03:00
         2026-11-22T03:00 x 11221700 stands for its day
         2026-11-21T23:59 -> daily 2/2; until 2026-11-23T03:00
         2026-11-21T03:00 x 11212359 stands for its day
         2026-11-20T03:00 x beyond 2 daily");
}

#[test]
fn gaps_are_not_counted() {
    case(with(&[(DAILY, 3), (MONTHLY, 3)]), "2026-11-22T18:00").is("
         2026-11-22T03:00 -> daily 1/3, monthly 1/3, latest; until 2026-11-25T03:00
         2026-10-03T03:00 -> daily 2/3, monthly 2/3; until 2027-01-01T03:00
         2026-06-30T03:00 -> daily 3/3, monthly 3/3; until 2026-12-01T03:00
         2026-06-01T03:00 x beyond 3 daily, 06300300 stands for its month
         2026-01-05T03:00 x beyond 3 daily, beyond 3 monthly");
}

#[test]
fn a_week_over_the_end_of_the_year_is_one_week() {
    // 28 December 2026 is a Monday: week 53 lasts until Sunday, 3 January.
    case(with(&[(WEEKLY, 2), (YEARLY, 2)]), "2027-01-03T04:00").is("
         2027-01-03T03:00 -> weekly 1/2, yearly 1/2, latest; until 2027-01-11T03:00
         2027-01-01T03:00 x 01030300 stands for its week, 01030300 stands for its year
         2026-12-31T03:00 -> yearly 2/2; until 2028-01-01T03:00
         2026-12-28T03:00 x 01030300 stands for its week, 12310300 stands for its year
         2026-12-27T03:00 -> weekly 2/2; until 2027-01-04T03:00
         2025-12-31T03:00 x beyond 2 weekly, beyond 2 yearly");
}

#[test]
fn the_hour_that_comes_twice_is_one_and_the_skipped_one_is_none() {
    case(with(&[(HOURLY, 3)]), "2026-10-25T12:00").is("
         2026-10-25T03:30+01:00 -> hourly 1/3, latest; until 2026-10-28T02:30
         2026-10-25T02:30+01:00 -> hourly 2/3; until 2026-10-27T02:30
         2026-10-25T02:30+02:00 x 10250230 stands for its hour
         2026-10-25T01:30+02:00 -> hourly 3/3; until 2026-10-26T02:30
         2026-10-25T00:30+02:00 x beyond 3 hourly");
    case(with(&[(HOURLY, 3)]), "2026-03-29T12:00").is("
         2026-03-29T03:10+02:00 -> hourly 1/3, latest; until 2026-04-01T03:10
         2026-03-29T01:50+01:00 -> hourly 2/3; until 2026-03-31T03:10
         2026-03-29T00:50+01:00 -> hourly 3/3; until 2026-03-30T03:10
         2026-03-28T23:50+01:00 x beyond 3 hourly");
}

#[test]
fn days_of_23_and_25_hours_are_days() {
    // Until 24:00 of the long day in October, and from 00:00 of the short one in March.
    case(with(&[(DAILY, 2)]), "2026-10-26T03:00").is("
         2026-10-26T00:00 -> daily 1/2, latest; until 2026-10-28T23:59
         2026-10-25T23:59 -> daily 2/2; until 2026-10-27T23:59
         2026-10-25T00:00 x 10252359 stands for its day
         2026-10-24T23:59 x beyond 2 daily");
    case(with(&[(DAILY, 2)]), "2026-03-30T02:30").is("
         2026-03-29T23:59 -> daily 1/2, latest; until 2026-03-31T23:59
         2026-03-29T00:00 x 03292359 stands for its day
         2026-03-28T23:59 -> daily 2/2; until 2026-03-30T23:59");
}

#[test]
fn the_zone_says_where_a_day_ends() {
    let in_utc = "
         2026-11-22T23:30+00:00 -> daily 1/2, latest; until 2026-11-24T22:30
         2026-11-22T22:30+00:00 x 11222330 stands for its day
         2026-11-21T12:00+00:00 -> daily 2/2; until 2026-11-23T22:30";
    Case { zone: "UTC", ..case(with(&[(DAILY, 2)]), "2026-11-23T12:00") }.is(in_utc);
    let in_zurich = "
         2026-11-22T23:30+00:00 -> daily 1/2, latest; until 2026-11-25T13:00
         2026-11-22T22:30+00:00 -> daily 2/2; until 2026-11-24T13:00
         2026-11-21T12:00+00:00 x beyond 2 daily";
    case(with(&[(DAILY, 2)]), "2026-11-23T12:00").is(in_zurich);
}

#[test]
fn a_snapshot_of_the_future_counts_for_nothing() {
    case(with(&[(DAILY, 2)]), "2026-11-22T12:00").is("
         2031-01-01T03:00 -> future; until open
         2026-11-22T03:00 -> daily 1/2, latest; until 2026-11-24T03:00
         2026-11-21T03:00 -> daily 2/2; until 2026-11-23T03:00
         2026-11-20T03:00 x beyond 2 daily");
    // Nor does it open a window in which nothing else lies.
    let within = Policy { within: Some(Duration::from_hours(48)), ..Policy::default() };
    case(within, "2026-11-22T12:00").is("2031-01-01T03:00 -> future; until open
         2026-11-22T03:00 -> within 2d, latest; until 2026-11-25T03:00
         2026-11-20T03:00 -> within 2d; until 2026-11-23T03:00
         2026-11-20T02:59 x not within 2d");
}

#[test]
fn after_a_jump_back_the_newest_taken_stays() {
    // The clock was set back by a month; the fifth was taken last.
    case(with(&[(DAILY, 2)]), "2026-11-22T12:00").is("
         2026-11-22T03:00 s4 -> daily 1/2; until 2026-11-24T03:00
         2026-11-21T03:00 s3 -> daily 2/2; until 2026-11-23T03:00
         2026-11-20T03:00 s2 x beyond 2 daily
         2026-10-20T03:00 s5 -> latest; until 2026-11-23T03:00
         2026-10-19T03:00 s1 x beyond 2 daily");
    // While the clock is wrong, everything that it takes for the future is left alone.
    case(with(&[(DAILY, 2)]), "2026-10-20T12:00").is("2026-11-22T03:00 s4 -> future; until open
         2026-11-21T03:00 s3 -> future; until open
         2026-11-20T03:00 s2 -> future; until open
         2026-10-20T03:00 s5 -> daily 1/2, latest; until 2026-10-22T03:00
         2026-10-19T03:00 s1 -> daily 2/2; until 2026-10-21T03:00");
}

#[test]
fn what_is_unverified_takes_no_place_of_what_is_clean() {
    case(with(&[(DAILY, 2), (WEEKLY, 2)]), "2026-11-22T12:00").is("
         2026-11-22T09:00 ! -> latest; until 2026-11-23T03:00
         2026-11-22T03:00   -> daily 1/2, weekly 1/2, latest clean; until 2026-11-30T03:00
         2026-11-21T03:00 ! -> daily 2/2; until 2026-11-23T03:00
         2026-11-20T03:00 ! x beyond 2 daily, 11220300 stands for its week
         2026-11-19T03:00   -> daily 2/2; until 2026-11-23T03:00
         2026-11-18T03:00   x beyond 2 daily, 11220300 stands for its week
         2026-11-15T03:00 ! x beyond 2 daily, 11140300 stands for its week
         2026-11-14T03:00   -> weekly 2/2; until 2026-11-23T03:00");
}

#[test]
fn a_source_that_is_never_clean_is_kept_like_any_other() {
    case(with(&[(DAILY, 2)]), "2026-11-22T12:00").is("
         2026-11-22T03:00 ! -> daily 1/2, latest; until 2026-11-24T03:00
         2026-11-21T03:00 ! -> daily 2/2; until 2026-11-23T03:00
         2026-11-20T03:00 ! x beyond 2 daily");
}

#[test]
fn tags_and_pins_keep_what_no_rule_keeps() {
    let policy = Policy { tags: ["gold".to_owned()].into(), ..with(&[(Rule::Last, 1)]) };
    case(policy, "2026-11-22T12:00").is("
         2026-11-22T03:00 -> last 1/1, latest; until 2026-11-23T03:00
         2026-11-21T03:00 #gold -> tag gold; until never
         2026-11-20T03:00 #silver x not among the last 1
         2026-11-19T03:00 @mine -> pin mine; until never
         2026-11-18T03:00 @upgrade=2026-12-24T00:00 -> pin upgrade; until 2026-12-24T03:00
         2026-11-17T03:00 @upgrade=2026-11-20T00:00 x not among the last 1");
}

#[test]
fn within_goes_by_the_newest_not_by_now() {
    let policy = Policy { within: Some(Duration::from_hours(72)), ..Policy::default() };
    case(policy, "2026-12-24T12:00").is("
         2026-11-22T03:00 -> within 3d, latest; until 2026-12-25T03:00
         2026-11-19T03:00 -> within 3d; until 2026-12-25T03:00
         2026-11-19T02:59 x not within 3d");
}

#[test]
fn the_last_goes_only_with_permission() {
    let tags = Policy { tags: ["gold".to_owned()].into(), ..Policy::default() };
    let table = "
         2026-11-22T03:00 ! -> latest; until 2026-11-23T03:00
         2026-11-21T03:00   -> latest clean; until 2026-11-23T03:00
         2026-11-20T03:00   x carries no kept tag";
    case(tags.clone(), "2026-11-22T12:00").is(table);
    Case { allow_last: true, ..case(tags, "2026-11-22T12:00") }.is("
         2026-11-22T03:00 ! x carries no kept tag
         2026-11-21T03:00   x carries no kept tag
         2026-11-20T03:00   x carries no kept tag");
}

#[test]
fn under_the_brake_nothing_goes() {
    Case { braked: true, ..case(with(&[(DAILY, 1)]), "2026-11-22T12:00") }.is("
         2026-11-22T03:00 -> daily 1/1, latest, brake; until open
         2026-11-21T03:00 -> brake; until open");
}

#[test]
fn without_rules_nothing_is_decided() {
    case(Policy::default(), "2026-11-22T12:00").is("
         2026-11-22T03:00 -> no rules, latest; until never
         2026-11-21T03:00 -> no rules; until never");
}
