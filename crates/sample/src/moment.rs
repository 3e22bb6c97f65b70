//! Points in simulated time and the texts that the application stores for them.

use std::time::{Duration, SystemTime};

use crate::rng::Rng;

pub(crate) const DAY_S: i64 = 86_400;

/// Seconds since 1970-01-01 00:00 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(pub(crate) i64);

impl Moment {
    pub(crate) fn plus(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds))
    }

    /// `2026-01-05 08:00:00`, as `SQLite`'s `CURRENT_TIMESTAMP` writes it.
    pub(crate) fn text(self) -> String {
        let (year, month, day) = self.date();
        let second = self.0.rem_euclid(DAY_S);
        let (h, m, s) = (second / 3600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02} {h:02}:{m:02}:{s:02}")
    }

    /// The same with microseconds, as `SQLAlchemy` writes a Python datetime.
    pub(crate) fn text_us(self, rng: &mut Rng) -> String {
        format!("{}.{:06}", self.text(), rng.below(1_000_000))
    }

    /// The moment as a file's modification time; before 1970 it is 1970.
    pub(crate) fn system_time(self) -> SystemTime {
        let seconds = u64::try_from(self.0).unwrap_or(0);
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Year, month and day in the proleptic Gregorian calendar. Years are counted
    /// from 1 March of year 0, so that the leap day is the last of its year.
    pub(crate) fn date(self) -> (i64, i64, i64) {
        let days = self.0.div_euclid(DAY_S) + 719_468;
        let (era, in_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        let march_month = (5 * in_year + 2) / 153;
        let day = in_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
        (year + era * 400 + i64::from(month <= 2), month, day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_dates() {
        for (seconds, text) in [
            (0, "1970-01-01 00:00:00"),
            (-1, "1969-12-31 23:59:59"),
            (951_782_399, "2000-02-28 23:59:59"),
            (951_782_400, "2000-02-29 00:00:00"),
            (1_767_571_200, "2026-01-05 00:00:00"),
            (4_107_542_400, "2100-03-01 00:00:00"),
        ] {
            assert_eq!(Moment(seconds).text(), text);
        }
    }
}
