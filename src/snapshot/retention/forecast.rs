//! The snapshots to come, if one is taken every day at the usual time.

use jiff::Span;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use crate::snapshot::retention::Point;
use crate::snapshot::retention::period::civil;

/// So many of the newest snapshots say what the usual time is.
const NIGHTS: usize = 7;

/// When snapshots of one source will be taken.
#[derive(Debug, Clone)]
pub struct Forecast {
    zone: TimeZone,
    first: Date,
    time: Time,
}

impl Forecast {
    /// Snapshots daily at this time of the clock, from the first such day on.
    pub fn new(zone: TimeZone, first: Date, time: Time) -> Self {
        Self { zone, first, time }
    }

    /// From what was done until now. The points are one source's, newest first; `None` when there is none, or the calendar ends.
    pub(crate) fn of(points: &[&Point], zone: &TimeZone, now_ns: i64) -> Option<Self> {
        let past = points.iter().position(|point| point.time_ns <= now_ns).unwrap_or(0);
        let points = points.get(past..)?;
        let newest = civil(points.first()?.time_ns, zone).date();
        let time = usual_time(points, zone)?;
        let today = civil(now_ns, zone).date();
        let mut forecast = Self::new(zone.clone(), today, time);
        // One a day: not again today, and not at a time that is over.
        let is_over = newest >= today || forecast.on(today).is_none_or(|ns| ns <= now_ns);
        if is_over {
            forecast.first = today.tomorrow().ok()?;
        }
        Some(forecast)
    }

    /// The day of the first snapshot to come.
    pub fn first_day(&self) -> Date {
        self.first
    }

    /// What a clock shows at this moment.
    pub(crate) fn clock(&self, time_ns: i64) -> DateTime {
        civil(time_ns, &self.zone)
    }

    /// The time of the snapshot of a day, nanoseconds since 1970. A time that the clock skips is as much later.
    pub fn on(&self, day: Date) -> Option<i64> {
        let moment = self.zone.to_timestamp(day.to_datetime(self.time)).ok()?;
        i64::try_from(moment.as_nanosecond()).ok()
    }

    /// The time of the first snapshot.
    pub(crate) fn first(&self) -> Option<i64> {
        self.on(self.first)
    }

    /// The time of the n-th snapshot, counted from 0.
    pub(crate) fn nth(&self, n: u32) -> Option<i64> {
        let days = Span::new().try_days(n).ok()?;
        self.on(self.first.checked_add(days).ok()?)
    }

    /// The time of the first snapshot on a day or later.
    pub(crate) fn on_or_after(&self, day: Date) -> Option<i64> {
        self.on(day.max(self.first))
    }

    /// The time of the first snapshot after a moment.
    pub(crate) fn after(&self, time_ns: i64) -> Option<i64> {
        let day = civil(time_ns, &self.zone).date().max(self.first);
        let that_day = self.on(day)?;
        if that_day > time_ns { Some(that_day) } else { self.on(day.tomorrow().ok()?) }
    }
}

/// The median of the newest times of day: one snapshot by hand does not move it.
fn usual_time(points: &[&Point], zone: &TimeZone) -> Option<Time> {
    let newest = points.iter().take(NIGHTS);
    let mut times: Vec<Time> = newest.map(|point| civil(point.time_ns, zone).time()).collect();
    times.sort();
    times.get(times.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::civil::DateTime;

    use super::*;
    use crate::id::SnapshotId;
    use crate::snapshot::retention::standing::Standing;

    fn zone() -> TimeZone {
        TimeZone::get("Europe/Zurich").unwrap()
    }

    fn ns(text: &str) -> i64 {
        let moment = zone().to_timestamp(text.parse::<DateTime>().unwrap()).unwrap();
        i64::try_from(moment.as_nanosecond()).unwrap()
    }

    /// The first snapshots that are foreseen at a time after snapshots at others, newest first.
    fn foreseen(times: &[&str], now: &str) -> Option<Vec<String>> {
        let point = |time: &&str| Point {
            id: SnapshotId::from_bytes([0; 32]),
            source: "app".to_owned(),
            sequence: 0,
            time_ns: ns(time),
            tags: BTreeSet::new(),
            pins: Vec::new(),
            standing: Standing::Clean,
        };
        let points: Vec<Point> = times.iter().map(point).collect();
        let points: Vec<&Point> = points.iter().collect();
        let forecast = Forecast::of(&points, &zone(), ns(now))?;
        let shown = |n| forecast.nth(n).map(|ns| forecast.clock(ns).to_string());
        (0..2).map(shown).collect()
    }

    #[test]
    fn the_usual_time_is_the_median() {
        let nights = ["2026-11-22T15:00", "2026-11-21T03:00", "2026-11-20T03:00"];
        assert_eq!(
            foreseen(&nights, "2026-11-22T16:00").unwrap(),
            ["2026-11-23T03:00:00", "2026-11-24T03:00:00"]
        );
    }

    #[test]
    fn there_is_one_a_day_and_none_in_the_past() {
        let night = ["2026-11-21T03:00"];
        assert_eq!(foreseen(&night, "2026-11-22T02:00").unwrap()[0], "2026-11-22T03:00:00");
        assert_eq!(foreseen(&night, "2026-11-22T04:00").unwrap()[0], "2026-11-23T03:00:00");
        assert_eq!(foreseen(&night, "2026-11-21T02:00").unwrap()[0], "2026-11-22T03:00:00");
        assert_eq!(foreseen(&[], "2026-11-21T02:00"), None);
    }

    #[test]
    fn a_skipped_time_is_later_that_day() {
        let night = ["2026-03-27T02:30"];
        assert_eq!(
            foreseen(&night, "2026-03-28T12:00").unwrap(),
            ["2026-03-29T03:30:00", "2026-03-30T02:30:00"]
        );
    }
}
