//! How many layers of the version before a new one leaves on the stack. Pure.
//!
//! A patch is worth keeping as long as snapshots that will be kept rest on it. Which
//! those are is guessed from the calendar: the last snapshot of an hour, a day, a
//! week, a month outlives the others of that time, so it takes their layers off and
//! lays one down for all of them. A wrong guess costs bytes, never correctness.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::codec::version::{Layer, MAX_LAYERS, most_pages};

/// When a snapshot is taken.
#[derive(Debug, Clone, Copy)]
pub struct Moment<'a> {
    /// The time that it stands for, nanoseconds since 1970.
    pub time_ns: i64,
    /// The same of the snapshot before it, if there is one.
    pub before_ns: Option<i64>,
    /// The IANA name of the zone in which days begin and end. One that is not known counts as UTC.
    pub zone: &'a str,
}

/// A stretch of the calendar, the largest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Period {
    Month,
    /// As ISO 8601 counts them, from Monday.
    Week,
    Day,
    Hour,
}

const PERIODS: [Period; 4] = [Period::Month, Period::Week, Period::Day, Period::Hour];

/// Which one of its kind.
type Label = (i16, i16, i8, i32);

/// The layers that stay, by the calendar.
pub fn kept_by_calendar(layers: &[Layer], moment: Moment<'_>) -> usize {
    let Some(period) = ends_with(moment) else { return layers.len() };
    // A week that two months share is two: the layer that a month ended with outlives the week.
    let labels = |time_ns: i64, zone: &str| {
        label(Period::Month, time_ns, zone).zip(label(period, time_ns, zone))
    };
    let Some(own) = labels(moment.time_ns, moment.zone) else { return layers.len() };
    let popped = |layer: &&Layer| labels(layer.time_ns, &layer.zone) == Some(own);
    layers.len() - layers.iter().rev().take_while(popped).count()
}

/// The layers that stay so that a version within the bounds of readers comes of it. `most_changed(n)` says how many pages the new
/// layer has at most with `n` layers below it, at most `page_count`; it is asked for ever fewer layers.
pub fn kept_within_bounds(
    layers: &[Layer],
    wanted: usize,
    page_count: u32,
    mut most_changed: impl FnMut(usize) -> u64,
) -> usize {
    let most = most_pages(page_count);
    let mut kept = wanted.min(layers.len());
    while kept > 0 {
        let below = layers.iter().take(kept).map(Layer::changed_pages);
        let below = below.fold(0, u64::saturating_add);
        let high = layers.iter().take(kept).map(|layer| u64::from(layer.page_count)).max();
        if kept < MAX_LAYERS
            && high <= Some(most)
            && below.saturating_add(most_changed(kept)) <= most
        {
            break;
        }
        kept -= 1;
    }
    kept
}

/// The largest period that this snapshot is foreseen to be the last of: the next one comes after as long a time as this one did.
fn ends_with(moment: Moment<'_>) -> Option<Period> {
    let interval = moment.time_ns.checked_sub(moment.before_ns?).filter(|ns| *ns > 0)?;
    let next = moment.time_ns.checked_add(interval)?;
    PERIODS.into_iter().find(|period| {
        let now = label(*period, moment.time_ns, moment.zone);
        now.is_some() && now != label(*period, next, moment.zone)
    })
}

/// `None` for a time that no calendar has.
fn label(period: Period, time_ns: i64, zone: &str) -> Option<Label> {
    let time = Timestamp::from_nanosecond(i128::from(time_ns)).ok()?;
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let (offset, time) = (zone.to_offset(time), zone.to_datetime(time));
    Some(match period {
        Period::Month => (time.year(), i16::from(time.month()), 0, 0),
        Period::Week => {
            let week = time.date().iso_week_date();
            (week.year(), i16::from(week.week()), 0, 0)
        }
        Period::Day => (time.year(), time.date().day_of_year(), 0, 0),
        // When clocks go back, the hour that comes twice is two.
        Period::Hour => (time.year(), time.date().day_of_year(), time.hour(), offset.seconds()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::version::SegmentRef;
    use crate::id::BlobId;

    const ZURICH: &str = "Europe/Zurich";
    const MINUTE_NS: i64 = 60_000_000_000;
    const DAY_NS: i64 = 1440 * MINUTE_NS;

    fn ns(text: &str) -> i64 {
        let time: Timestamp = text.parse().unwrap();
        i64::try_from(time.as_nanosecond()).unwrap()
    }

    fn layer(time_ns: i64, pages: u32) -> Layer {
        let segments = vec![SegmentRef { id: BlobId::from_bytes([0; 32]), pages }];
        Layer { page_count: 1000, segments, time_ns, zone: ZURICH.into() }
    }

    /// The layers that stay below a snapshot at `time`, `interval_ns` after the one before it.
    fn kept(times: &[&str], time: &str, interval_ns: i64) -> usize {
        let layers: Vec<_> = times.iter().map(|time| layer(ns(time), 1)).collect();
        let before_ns = Some(ns(time) - interval_ns);
        kept_by_calendar(&layers, Moment { time_ns: ns(time), before_ns, zone: ZURICH })
    }

    /// A night for each day from `first` on, and the depth of the stack after each.
    fn depths(first: &str, days: i64) -> Vec<usize> {
        let (mut layers, mut depths) = (Vec::new(), Vec::new());
        for day in 0..days {
            let time_ns = ns(first) + day * DAY_NS;
            let moment = Moment { time_ns, before_ns: Some(time_ns - DAY_NS), zone: ZURICH };
            layers.truncate(kept_by_calendar(&layers, moment));
            layers.push(layer(time_ns, 1));
            depths.push(layers.len());
        }
        depths
    }

    #[test]
    fn a_sunday_takes_the_week_off_and_the_end_of_a_month_the_month() {
        let nights = ["2026-11-16T02:00:00Z", "2026-11-17T02:00:00Z", "2026-11-18T02:00:00Z"];
        for (time, left) in [
            ("2026-11-19T02:00:00Z", 3),
            ("2026-11-21T02:00:00Z", 3),
            ("2026-11-22T02:00:00Z", 0),
            // The week after: those of the week before stay.
            ("2026-11-29T02:00:00Z", 3),
            ("2026-11-30T02:00:00Z", 0),
            ("2026-12-31T02:00:00Z", 3),
        ] {
            assert_eq!(kept(&nights, time, DAY_NS), left, "{time}");
        }
    }

    #[test]
    fn nights_make_a_stack_of_months_weeks_and_days() {
        // From Monday, 2 November 2026: Sundays on 8, 15, 22, 29; the 30th is the last.
        let november = [1, 2, 3, 4, 5, 6, 1, 2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6, 7, 8, 3];
        assert_eq!(depths("2026-11-02T02:00:00Z", 21), november);
        assert_eq!(depths("2026-11-02T02:00:00Z", 29).last(), Some(&1), "the month is one layer");
        // December: its 5 days of that week, and Sunday the 6th takes them off, not November.
        let december = depths("2026-11-02T02:00:00Z", 35);
        assert_eq!(december[29..], [2, 3, 4, 5, 6, 2]);
    }

    #[test]
    fn a_week_that_two_months_share_is_two() {
        // Saturday, 31 January 2026 ends the month; Sunday, 1 February ends the week.
        let january = ["2026-01-31T02:00:00Z"];
        assert_eq!(kept(&january, "2026-02-01T02:00:00Z", DAY_NS), 1);
        // And so the year, though week 53 of 2026 goes on until 3 January.
        let years = ["2026-12-30T02:00:00Z", "2026-12-31T02:00:00Z", "2027-01-02T02:00:00Z"];
        assert_eq!(kept(&years, "2027-01-03T02:00:00Z", DAY_NS), 2);
        assert_eq!(kept(&years[..1], "2026-12-31T02:00:00Z", DAY_NS), 0);
    }

    #[test]
    fn hours_and_minutes_have_their_ends_too() {
        let five = 5 * MINUTE_NS;
        let hour = ["2026-11-18T09:50:00Z", "2026-11-18T10:00:00Z", "2026-11-18T10:05:00Z"];
        assert_eq!(kept(&hour, "2026-11-18T10:10:00Z", five), 3);
        assert_eq!(kept(&hour, "2026-11-18T10:55:00Z", five), 1, "the hour's own go");
        // 22:55 UTC is 23:55 in Zurich: the day ends, and with it the layers of all its hours.
        assert_eq!(kept(&hour, "2026-11-18T22:55:00Z", five), 0);
        assert_eq!(kept(&hour, "2026-11-18T21:55:00Z", five), 3, "only an hour ends");
        assert_eq!(kept(&hour, "2026-11-18T22:00:00Z", 60 * MINUTE_NS), 0, "hourly");
    }

    #[test]
    fn the_zone_says_when_days_end_and_clocks_are_put_back() {
        // 23:30 in Zurich on Sunday, 22:30 UTC; half an hour later it is Monday there.
        let week = ["2026-11-18T02:00:00Z"];
        let half = 30 * MINUTE_NS;
        assert_eq!(kept(&week, "2026-11-22T22:30:00Z", half), 0);
        assert_eq!(kept(&week, "2026-11-22T23:30:00Z", half), 1);
        // On 25 October 2026 the hour from 2 to 3 comes twice: they are two hours.
        let first = ["2026-10-25T00:10:00Z", "2026-10-25T00:40:00Z"];
        let ten = 10 * MINUTE_NS;
        assert_eq!(kept(&first, "2026-10-25T00:50:00Z", ten), 0, "the first ends");
        assert_eq!(kept(&first, "2026-10-25T01:50:00Z", ten), 2, "the second is another");
    }

    #[test]
    fn gaps_and_odd_clocks_only_cost_bytes() {
        let nights = ["2026-11-16T02:00:00Z", "2026-11-17T02:00:00Z"];
        // After a week's gap the next is foreseen a week on: this Wednesday ends its week.
        assert_eq!(kept(&nights, "2026-11-18T02:00:00Z", 7 * DAY_NS), 0);
        assert_eq!(kept(&nights, "2026-11-18T02:00:00Z", 0), 2, "nothing is foreseen");
        assert_eq!(kept(&nights, "2026-11-18T02:00:00Z", -DAY_NS), 2);
        // Layers of a clock that was ahead lie in no period of today's.
        assert_eq!(kept(&["2031-01-01T02:00:00Z"], "2026-11-22T02:00:00Z", DAY_NS), 1);
        let layers = [layer(ns(nights[0]), 1)];
        let extreme = Moment { time_ns: i64::MAX, before_ns: Some(0), zone: "Not/AZone" };
        assert_eq!(kept_by_calendar(&layers, extreme), 1);
        let alone = Moment { time_ns: 0, before_ns: None, zone: ZURICH };
        assert_eq!(kept_by_calendar(&layers, alone), 1, "the first of a source");
    }

    #[test]
    fn an_unknown_zone_counts_as_utc() {
        let layers = [layer(ns("2026-11-18T02:00:00Z"), 1)];
        let moment = |zone, text| {
            let time_ns = ns(text);
            Moment { time_ns, before_ns: Some(time_ns - 30 * MINUTE_NS), zone }
        };
        let utc = kept_by_calendar(&layers, moment("UTC", "2026-11-22T23:30:00Z"));
        let unknown = kept_by_calendar(&layers, moment("Nowhere/Land", "2026-11-22T23:30:00Z"));
        assert_eq!((utc, unknown), (0, 0));
    }

    #[test]
    fn bounds_take_off_what_the_calendar_left() {
        let layers: Vec<_> = (0..80).map(|number| layer(number, 10)).collect();
        assert_eq!(kept_within_bounds(&layers, 80, 1000, |_| 1), MAX_LAYERS - 1);
        assert_eq!(kept_within_bounds(&layers, 7, 1000, |_| 1), 7, "never more than wanted");
        let large: Vec<_> = (0..5).map(|number| layer(number, 2000)).collect();
        // 2 x 1000 + 4096: three of them and this one.
        assert_eq!(kept_within_bounds(&large, 5, 1000, |_| 90), 3);
        assert_eq!(kept_within_bounds(&large, 5, 1000, |_| 97), 2);
        // A layer that leaves more pages than 2 x 100 + 4096 comes off, with all on top of it.
        let tall = |page_count| Layer { page_count, ..layer(0, 10) };
        let heights = [tall(900), tall(4296), tall(4297), tall(100)];
        assert_eq!(kept_within_bounds(&heights, 4, 100, |_| 1), 2);
        assert_eq!(kept_within_bounds(&heights, 4, 101, |_| 1), 4);
        let mut asked = Vec::new();
        kept_within_bounds(&large, 5, 1000, |kept| {
            asked.push(kept);
            u64::MAX
        });
        assert_eq!(asked, [5, 4, 3, 2, 1]);
    }
}
