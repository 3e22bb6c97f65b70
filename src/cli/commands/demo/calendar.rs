//! The week of the demo: the last whole one, Monday to Sunday.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use larder::host::Host;

use crate::cli::failure::{Failure, Result};

/// Backups run at this hour.
const HOUR: i8 = 3;

const NIGHTS: u32 = 7;

/// Seven nights in a row.
#[derive(Debug)]
pub(super) struct Week {
    monday: Date,
    zone: TimeZone,
}

impl Week {
    /// The last week that is over by the host's clock, in this zone.
    pub(super) fn before(host: &dyn Host, zone: &TimeZone) -> Result<Self> {
        let today = Timestamp::from_nanosecond(i128::from(host.now_ns()))
            .map(|now| now.to_zoned_datetime(zone.clone()).date())
            .map_err(|error| no_calendar(&error))?;
        let days = i64::from(today.weekday().to_monday_zero_offset()) + 7;
        let monday = today.checked_sub(days.days()).map_err(|error| no_calendar(&error))?;
        let week = Self { monday, zone: zone.clone() };
        // A week at the edge of the calendar is refused here, so that the nights below always exist.
        for day in 0..NIGHTS {
            week.time_ns(day)?;
        }
        Ok(week)
    }

    /// Each night's number and time, nanoseconds since 1970.
    pub(super) fn nights(&self) -> impl Iterator<Item = (u32, i64)> {
        (0..NIGHTS).filter_map(|day| Some((day, self.time_ns(day).ok()?)))
    }

    /// Where the application's own calendar begins: Monday, 00:00 UTC.
    pub(super) fn start_unix_s(&self) -> i64 {
        let start = self.monday.at(0, 0, 0, 0).to_zoned_datetime(TimeZone::UTC);
        start.map_or(0, |start| start.timestamp().as_second())
    }

    /// The day of Saturday's night, as one writes it on the command line.
    pub(super) fn saturday(&self) -> Result<String> {
        Ok(self.date(5)?.to_string())
    }

    fn date(&self, day: u32) -> Result<Date> {
        self.monday.checked_add(i64::from(day).days()).map_err(|error| no_calendar(&error))
    }

    fn time_ns(&self, day: u32) -> Result<i64> {
        let civil = self.date(day)?.at(HOUR, 0, 0, 0);
        let time =
            civil.to_zoned_datetime(self.zone.clone()).map_err(|error| no_calendar(&error))?;
        i64::try_from(time.timestamp().as_nanosecond()).map_err(|error| no_calendar(&error))
    }
}

fn no_calendar(error: &dyn std::error::Error) -> Failure {
    Failure::failed(format!("the machine's clock is out of the calendar: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sunday, 22 November 2026, 02:00 UTC.
    const SUNDAY_NS: i64 = 1_795_312_800_000_000_000;
    const DAY_NS: i64 = 86_400_000_000_000;

    #[derive(Debug)]
    struct At(i64);

    impl Host for At {
        fn now_ns(&self) -> i64 {
            self.0
        }

        fn pause(&self, _: std::time::Duration) {}

        fn fill_random(&self, _: &mut [u8]) {}

        fn name(&self) -> String {
            String::new()
        }

        fn user(&self) -> String {
            String::new()
        }

        fn pid(&self) -> u32 {
            1
        }

        fn command(&self) -> String {
            String::new()
        }
    }

    #[test]
    fn the_week_is_the_last_that_is_over() {
        for (day, saturday) in
            [(0, "2026-11-14"), (1, "2026-11-21"), (7, "2026-11-21"), (8, "2026-11-28")]
        {
            let week = Week::before(&At(SUNDAY_NS + day * DAY_NS), &TimeZone::UTC).unwrap();
            assert_eq!(week.saturday().unwrap(), saturday);
            assert_eq!(week.nights().count(), 7);
        }
    }

    #[test]
    fn nights_keep_their_hour_when_the_clocks_change() {
        // In Zurich, clocks went back on Sunday, 25 October 2026.
        let zone = TimeZone::get("Europe/Zurich").unwrap();
        let week = Week::before(&At(SUNDAY_NS - 22 * DAY_NS), &zone).unwrap();
        let hours: Vec<_> = week
            .nights()
            .map(|(_, ns)| Timestamp::from_nanosecond(i128::from(ns)).unwrap())
            .map(|time| time.to_zoned_datetime(zone.clone()).strftime("%a %H").to_string())
            .collect();
        assert_eq!(hours, ["Mon 03", "Tue 03", "Wed 03", "Thu 03", "Fri 03", "Sat 03", "Sun 03"]);
    }

    #[test]
    fn a_clock_out_of_the_calendar_is_said() {
        assert!(Week::before(&At(i64::MIN), &TimeZone::UTC).is_err());
    }
}
