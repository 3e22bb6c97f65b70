//! Sizes, counts and durations as people read them.

use std::time::Duration;

const UNITS: [&str; 6] = ["kB", "MB", "GB", "TB", "PB", "EB"];

/// A number of bytes in decimal units: `512 B`, `1.9 MB`, `148 MB`.
pub(crate) fn bytes(count: u64) -> String {
    if count < 1000 {
        return format!("{count} B");
    }
    let mut unit_bytes = 1000_u64;
    let mut units = UNITS.iter();
    let mut unit = units.next().unwrap_or(&"kB");
    // Rounded in whole numbers, so that 999,950 bytes are 1.0 MB and not 1000 kB.
    while count >= unit_bytes.saturating_mul(1000) - unit_bytes / 2 {
        let Some(next) = units.next() else { break };
        unit = next;
        unit_bytes = unit_bytes.saturating_mul(1000);
    }
    let tenths = (u128::from(count) * 10 + u128::from(unit_bytes) / 2) / u128::from(unit_bytes);
    if tenths < 1000 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        let whole = (u128::from(count) + u128::from(unit_bytes) / 2) / u128::from(unit_bytes);
        format!("{whole} {unit}")
    }
}

/// A number with separators of thousands.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of something: `1 file`, `2,000 files`.
pub(crate) fn many(number: u64, one: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {one}{plural}", count(number))
}

/// A duration: `6 ms`, `0.4 s`, `12 s`, `3 min 4 s`, `1 h 12 min`.
pub(crate) fn duration(time: Duration) -> String {
    if time < Duration::from_millis(100) {
        return format!("{} ms", time.as_millis());
    }
    if time < Duration::from_millis(9_950) {
        let tenths = (time.as_millis() + 50) / 100;
        return format!("{}.{} s", tenths / 10, tenths % 10);
    }
    seconds(time)
}

/// A duration in whole seconds: `7 s`, `3 min 4 s`, `1 h 12 min`.
pub(crate) fn seconds(time: Duration) -> String {
    let secs = time.as_secs();
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} min {} s", secs / 60, secs % 60),
        _ => format!("{} h {} min", secs / 3600, secs % 3600 / 60),
    }
}

/// A size as it is given on the command line: `500MB`, `1GiB`, `4096`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1000_u64.pow(2),
        "g" | "gb" => 1000_u64.pow(3),
        "t" | "tb" => 1000_u64.pow(4),
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        _ => return Err("write a size like 500MB, 1GiB or 4096".to_owned()),
    };
    let number: u64 = number.parse().map_err(|_| "a size begins with a number".to_owned())?;
    number.checked_mul(factor).ok_or_else(|| "that is more than 2^64 bytes".to_owned())
}

/// A duration as it is given on the command line: `60s`, `2m`, `1h 30m`.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let signed: jiff::SignedDuration =
        text.parse().map_err(|_| "write a duration like 60s, 2m or 1h 30m".to_owned())?;
    Duration::try_from(signed).map_err(|_| "a duration cannot be negative".to_owned())
}

/// A time to keep something, as it is given on the command line: `24h`, `14d`, `2 weeks`, `0`. A day has 24 hours. Nanoseconds.
pub(crate) fn parse_period(text: &str) -> Result<i64, String> {
    if text == "0" {
        return Ok(0);
    }
    let wrong = |_| "write a time like 24h, 14d or 0".to_owned();
    let span: jiff::Span = text.parse().map_err(wrong)?;
    let time = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).map_err(wrong)?;
    match i64::try_from(time.as_nanos()) {
        Ok(ns) if ns >= 0 => Ok(ns),
        Ok(_) => Err("a time cannot be negative".to_owned()),
        Err(_) => Err("that is more than 292 years".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_two_or_three_digits() {
        for (size, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (1_949, "1.9 kB"),
            (12_130_000, "12.1 MB"),
            (99_949_999, "99.9 MB"),
            (99_950_000, "100 MB"),
            (148_000_000, "148 MB"),
            (999_499, "999 kB"),
            (999_500, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn thousands_are_separated() {
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1,000"), (12_418, "12,418"), (1_234_567, "1,234,567")]
        {
            assert_eq!(count(number), text);
        }
        assert_eq!((many(1, "file"), many(2_000, "file")), ("1 file".into(), "2,000 files".into()));
    }

    #[test]
    fn durations_grow_coarser() {
        for (ms, text) in [
            (0, "0 ms"),
            (99, "99 ms"),
            (100, "0.1 s"),
            (449, "0.4 s"),
            (9_949, "9.9 s"),
            (9_950, "9 s"),
            (59_999, "59 s"),
            (184_000, "3 min 4 s"),
            (4_320_000, "1 h 12 min"),
        ] {
            assert_eq!(duration(Duration::from_millis(ms)), text);
        }
    }

    #[test]
    fn sizes_and_durations_are_read() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("500MB"), Ok(500_000_000));
        assert_eq!(parse_bytes("1 GiB"), Ok(1 << 30));
        for bad in ["", "MB", "1 parsec", "-1", "99999999999TB"] {
            assert!(parse_bytes(bad).is_err(), "{bad}");
        }
        assert_eq!(parse_duration("60s"), Ok(Duration::from_mins(1)));
        assert_eq!(parse_duration("1h 30m"), Ok(Duration::from_mins(90)));
        let hour_ns = 3_600_000_000_000;
        for (text, hours) in [("0", 0), ("0d", 0), ("24h", 24), ("14d", 336), ("2 weeks", 336)] {
            assert_eq!(parse_period(text), Ok(hours * hour_ns), "{text}");
        }
        for bad in ["", "7", "-1d", "1 month", "999999d"] {
            assert!(parse_period(bad).is_err(), "{bad}");
        }
        for bad in ["", "60", "-1s", "soon"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}
