//! 7 daily, 4 weekly, 12 monthly: which of these snapshots stay.

use std::collections::BTreeSet;

const DAY_NS: i64 = 86_400_000_000_000;

/// The places of those that stay, ascending; `times` ascend.
pub(crate) fn kept(times: &[i64]) -> Vec<usize> {
    let day = |time: i64| time.div_euclid(DAY_NS);
    // 1 January 1970 was a Thursday; weeks begin on Mondays.
    let week = |time: i64| (day(time) + 3).div_euclid(7);
    let mut kept = BTreeSet::new();
    keep(times, 7, day, &mut kept);
    keep(times, 4, week, &mut kept);
    keep(times, 12, |time| month(day(time)), &mut kept);
    kept.into_iter().collect()
}

/// The last of each of the newest `count` periods.
fn keep(times: &[i64], count: usize, period: impl Fn(i64) -> i64, kept: &mut BTreeSet<usize>) {
    let mut seen = BTreeSet::new();
    for (at, time) in times.iter().enumerate().rev() {
        if seen.len() < count && seen.insert(period(*time)) {
            kept.insert(at);
        }
    }
}

/// Months since the year 0, of a day since 1970 (the usual reckoning with years that begin in March).
fn month(day: i64) -> i64 {
    let day = day + 719_468;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    (era * 400 + year) * 12 + (5 * of_year + 2) / 153
}
