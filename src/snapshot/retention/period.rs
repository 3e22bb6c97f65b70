//! Periods of the calendar, numbered without gaps.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

/// A kind of period. Its numbers count from 1970 on and leave none out, over the ends of years as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Period {
    /// An hour as clocks show it: the hour that comes twice in autumn is one.
    Hour,
    /// A day.
    Day,
    /// An ISO week, Monday to Sunday, whichever years they lie in.
    Week,
    /// A month.
    Month,
    /// A year.
    Year,
}

/// 1 January 1970 was a Thursday; its week began three days before.
const DAYS_SINCE_MONDAY: i64 = 3;

impl Period {
    /// `day`.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
            Self::Year => "year",
        }
    }

    /// The number of the period in which this moment lies.
    pub fn number(self, civil: DateTime) -> i64 {
        let day = day_number(civil.date());
        match self {
            Self::Hour => day * 24 + i64::from(civil.hour()),
            Self::Day => day,
            Self::Week => (day + DAYS_SINCE_MONDAY).div_euclid(7),
            Self::Month => i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1,
            Self::Year => i64::from(civil.year()),
        }
    }

    /// The first day of the period, or the day of the hour; `None` where the calendar ends.
    pub fn first_day(self, number: i64) -> Option<Date> {
        match self {
            Self::Hour => day_of(number.div_euclid(24)),
            Self::Day => day_of(number),
            Self::Week => day_of(number.checked_mul(7)?.checked_sub(DAYS_SINCE_MONDAY)?),
            Self::Month => {
                let month = i8::try_from(number.rem_euclid(12) + 1).ok()?;
                Date::new(i16::try_from(number.div_euclid(12)).ok()?, month, 1).ok()
            }
            Self::Year => Date::new(i16::try_from(number).ok()?, 1, 1).ok(),
        }
    }
}

const EPOCH: Date = Date::constant(1970, 1, 1);

fn day_number(date: Date) -> i64 {
    // Civil days have 24 hours.
    date.duration_since(EPOCH).as_hours() / 24
}

fn day_of(number: i64) -> Option<Date> {
    EPOCH.checked_add(Span::new().try_days(number).ok()?).ok()
}

/// What a clock in the zone showed; what jiff cannot count is its first or last moment.
pub fn civil(time_ns: i64, zone: &TimeZone) -> DateTime {
    let out_of_reach = if time_ns < 0 { Timestamp::MIN } else { Timestamp::MAX };
    let moment = Timestamp::from_nanosecond(i128::from(time_ns)).unwrap_or(out_of_reach);
    zone.to_datetime(moment)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Period; 5] = [Period::Hour, Period::Day, Period::Week, Period::Month, Period::Year];

    fn number(period: Period, text: &str) -> i64 {
        period.number(text.parse().unwrap())
    }

    #[test]
    fn numbers_leave_none_out_and_begin_on_their_first_day() {
        let mut day: Date = "1968-02-27".parse().unwrap();
        let mut before = ALL.map(|period| period.number(day.at(23, 0, 0, 0)));
        while day.year() < 2033 {
            day = day.tomorrow().unwrap();
            let now = ALL.map(|period| period.number(day.at(0, 0, 0, 0)));
            for ((period, now), before) in ALL.into_iter().zip(now).zip(before) {
                assert!(now == before || now == before + 1, "{period:?} of {day}");
                let first = period.first_day(now).unwrap();
                assert!(first <= day && (now == before) == (first < day), "{period:?} of {day}");
            }
            before = ALL.map(|period| period.number(day.at(23, 0, 0, 0)));
        }
    }

    #[test]
    fn a_week_is_the_iso_week_over_the_end_of_a_year_too() {
        let mut day: Date = "2019-12-20".parse().unwrap();
        while day.year() < 2033 {
            let next = day.tomorrow().unwrap();
            let same = number(Period::Week, &day.at(9, 0, 0, 0).to_string())
                == number(Period::Week, &next.at(9, 0, 0, 0).to_string());
            assert_eq!(same, day.iso_week_date().week() == next.iso_week_date().week(), "{day}");
            day = next;
        }
    }

    #[test]
    fn where_the_calendar_ends_there_are_no_periods() {
        for period in ALL {
            assert_eq!(period.first_day(i64::MAX), None);
            assert_eq!(period.first_day(i64::MIN), None);
        }
        assert_eq!(civil(i64::MIN, &TimeZone::UTC).year(), 1677);
    }
}
