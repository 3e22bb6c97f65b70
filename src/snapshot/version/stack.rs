//! How many layers of the version before a new one leaves on the stack. Pure.
//!
//! A patch is worth keeping as long as snapshots that will be kept rest on it. Which
//! those are is guessed from the calendar: the last snapshot of an hour, a day, a
//! week, a month outlives the others of that time, so it takes their layers off and
//! lays one down for all of them. A wrong guess costs bytes, never correctness.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::codec::version::{Layer, MAX_LAYERS, SPARE_PAGES};

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
    let Some(own) = label(period, moment.time_ns, moment.zone) else { return layers.len() };
    let popped = |layer: &&Layer| label(period, layer.time_ns, &layer.zone) == Some(own);
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
    let most = 2 * u64::from(page_count) + SPARE_PAGES;
    let mut kept = wanted.min(layers.len());
    while kept > 0 {
        let below = layers.iter().take(kept).map(Layer::changed_pages);
        let below = below.fold(0, u64::saturating_add);
        if kept < MAX_LAYERS && below.saturating_add(most_changed(kept)) <= most {
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
