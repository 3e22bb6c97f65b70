//! Moments as people and programs read them.

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// A moment in a zone. What a calendar cannot hold is its first or last moment.
pub(crate) fn civil(time_ns: i64, zone: &TimeZone) -> ZonedDateTime {
    timestamp(i128::from(time_ns)).to_zoned_datetime(zone.clone())
}

fn timestamp(time_ns: i128) -> Timestamp {
    let out_of_reach = if time_ns < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_nanosecond(time_ns).unwrap_or(out_of_reach)
}

/// `Sun 22 Nov 2026 03:00 +01:00`
pub(crate) fn long(time_ns: i64, zone: &TimeZone) -> String {
    civil(time_ns, zone).strftime("%a %-d %b %Y %H:%M %:z").to_string()
}

/// `Sun 22 Nov 03:00`, with the year where one asks for it.
pub(crate) fn short(time_ns: i64, zone: &TimeZone, with_year: bool) -> String {
    let format = if with_year { "%a %e %b %Y %H:%M" } else { "%a %e %b %H:%M" };
    civil(time_ns, zone).strftime(format).to_string()
}

/// `2026-11-22 03:00`, of seconds since 1970.
pub(crate) fn of_file(secs: i64, zone: &TimeZone) -> String {
    let time = timestamp(i128::from(secs) * 1_000_000_000).to_zoned_datetime(zone.clone());
    time.strftime("%Y-%m-%d %H:%M").to_string()
}

/// RFC 3339 with the offset of the zone: `2026-11-22T03:00:00+01:00`.
pub(crate) fn rfc3339(time_ns: i64, zone: &TimeZone) -> String {
    rfc3339_of(i128::from(time_ns), zone)
}

/// The same of seconds and nanoseconds.
pub(crate) fn rfc3339_of_file((secs, nanos): (i64, u32), zone: &TimeZone) -> String {
    rfc3339_of(i128::from(secs) * 1_000_000_000 + i128::from(nanos), zone)
}

fn rfc3339_of(time_ns: i128, zone: &TimeZone) -> String {
    civil_of(time_ns, zone).strftime("%Y-%m-%dT%H:%M:%S%.f%:z").to_string()
}

fn civil_of(time_ns: i128, zone: &TimeZone) -> ZonedDateTime {
    timestamp(time_ns).to_zoned_datetime(zone.clone())
}

/// A moment as it is given on the command line: with an offset, or as a clock in the zone shows it.
pub(crate) fn parse(text: &str, zone: &TimeZone) -> Result<i64, String> {
    let wrong =
        || "write a time like \"2026-11-22 03:00\", or 2026-11-22T03:00:00+01:00".to_owned();
    let timestamp = if let Ok(timestamp) = text.parse::<Timestamp>() {
        timestamp
    } else {
        let clock: jiff::civil::DateTime = text.parse().map_err(|_| wrong())?;
        let ambiguous = zone.to_ambiguous_zoned_datetime(clock);
        ambiguous.compatible().map_err(|_| wrong())?.timestamp()
    };
    i64::try_from(timestamp.as_nanosecond())
        .map_err(|_| "the time is not between 1677 and 2262".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIGHT_NS: i64 = 1_795_312_800_000_000_000;

    fn zurich() -> TimeZone {
        TimeZone::get("Europe/Zurich").unwrap()
    }

    #[test]
    fn moments_are_shown_in_the_zone() {
        assert_eq!(long(NIGHT_NS, &zurich()), "Sun 22 Nov 2026 03:00 +01:00");
        assert_eq!(short(NIGHT_NS, &zurich(), false), "Sun 22 Nov 03:00");
        assert_eq!(short(NIGHT_NS, &zurich(), true), "Sun 22 Nov 2026 03:00");
        assert_eq!(rfc3339(NIGHT_NS, &zurich()), "2026-11-22T03:00:00+01:00");
        assert_eq!(rfc3339(NIGHT_NS + 5, &zurich()), "2026-11-22T03:00:00.000000005+01:00");
        assert_eq!(rfc3339(NIGHT_NS, &TimeZone::UTC), "2026-11-22T02:00:00+00:00");
    }

    #[test]
    fn what_no_calendar_holds_is_shown_at_its_edge() {
        assert!(of_file(i64::MAX, &zurich()).starts_with("9999-12-3"));
        assert!(rfc3339_of_file((i64::MIN, 0), &zurich()).starts_with('-'));
    }

    #[test]
    fn times_are_read_with_offset_or_by_the_clock() {
        for text in [
            "2026-11-22 03:00",
            "2026-11-22T03:00:00",
            "2026-11-22T02:00:00Z",
            "2026-11-22T03:00:00+01:00",
        ] {
            assert_eq!(parse(text, &zurich()), Ok(NIGHT_NS), "{text}");
        }
        assert_eq!(parse("2026-11-22", &TimeZone::UTC), Ok(NIGHT_NS - 7_200_000_000_000));
        for bad in ["", "yesterday", "2026-13-01", "9999-01-01"] {
            assert!(parse(bad, &zurich()).is_err(), "{bad}");
        }
    }
}
