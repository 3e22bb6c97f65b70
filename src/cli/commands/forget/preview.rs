//! The calendar: which snapshots there will be on each of the next days.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use larder::ops::forget::{ByPolicy, Calendar, calendar};
use larder::repo::repository::Repository;
use larder::snapshot::retention::preview::{Day, Sight};
use serde::Serialize;

use super::{no_policy, origin};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;
use crate::cli::output::json::Document;
use crate::cli::output::retention::PolicyBody;
use crate::cli::output::table::{self, Column};
use crate::cli::output::times;
use crate::cli::output::units::count;

/// Ten years.
const MAX_DAYS: u64 = 3_660;

/// So many dates fit on a line; older ones are counted.
const DATES: usize = 24;

/// Runs it.
pub(super) fn run(
    context: &Context,
    repository: &Repository,
    options: &ByPolicy,
    length: Duration,
) -> Result<Exit> {
    let days = length.as_secs().div_ceil(86_400);
    if !(1..=MAX_DAYS).contains(&days) {
        let what = format!("a preview shows 1 to {} days", count(MAX_DAYS));
        return Err(Failure::usage(what));
    }
    let days = u32::try_from(days).unwrap_or(u32::MAX);
    let made = calendar(repository, options, days, &context.host)?;
    let made = made.ok_or_else(|| no_policy(context))?;
    let said = match context.console.form() {
        Form::Text => page(context, &made),
        _ => document(context, &made),
    };
    Failure::after(Exit::Ok, said)
}

const COLUMNS: [Column; 4] =
    [Column::left("AFTER"), Column::right("THERE"), Column::left("GOES"), Column::left("OF")];

fn page(context: &Context, Calendar { rules, days: calendars }: &Calendar) -> Result<()> {
    let console = &context.console;
    console.detail(&format!("policy  {}   ({})", rules.policy, origin(context, rules)))?;
    console.detail("        if a clean snapshot is taken once a day from now on")?;
    for (source, days) in calendars {
        console.detail("")?;
        let name = printable(source.as_bytes());
        console.line(&format!("{name:<58} days in {}", rules.zone_name))?;
        let rows: Vec<Vec<String>> = days.iter().map(|day| row(day, &rules.zone)).collect();
        let lines = table::lines(&COLUMNS, &rows);
        lines.iter().try_for_each(|line| console.line(line))?;
    }
    if calendars.is_empty() {
        console.note("no snapshots yet");
    }
    Ok(())
}

fn row(day: &Day, zone: &TimeZone) -> Vec<String> {
    let this_year = day.date.year();
    vec![
        day.date.strftime("%a %e %b").to_string(),
        count(day.present.len() as u64),
        dates(&day.removed, zone, this_year),
        dates(&day.present, zone, this_year),
    ]
}

/// The days of snapshots, oldest first, runs of them joined: `31 Aug, 30 Sep, 1, 8, 15, 17-22 Nov`.
fn dates(sights: &[Sight], zone: &TimeZone, this_year: i16) -> String {
    let mut days: BTreeMap<Date, usize> = BTreeMap::new();
    for sight in sights {
        *days.entry(times::civil(sight.time_ns, zone).date()).or_default() += 1;
    }
    let mut runs: Vec<Run> = Vec::new();
    for (day, times) in days {
        match runs.last_mut() {
            Some(run) if run.goes_on_with(day, times) => run.last = day,
            _ => runs.push(Run { first: day, last: day, times }),
        }
    }
    let older = runs.len().saturating_sub(DATES);
    let shown = runs.get(older..).unwrap_or_default();
    let mut text = if older > 0 { format!("{older} older, ") } else { String::new() };
    for (n, run) in shown.iter().enumerate() {
        let next = shown.get(n + 1).map(|next| next.first);
        text.push_str(&run.text(next, this_year));
    }
    text
}

/// Days in a row, of one month, with as many snapshots each.
struct Run {
    first: Date,
    last: Date,
    times: usize,
}

impl Run {
    fn goes_on_with(&self, day: Date, times: usize) -> bool {
        self.last.tomorrow().is_ok_and(|next| next == day)
            && self.last.month() == day.month()
            && self.times == times
    }

    /// The month is said once, after its last day.
    fn text(&self, next: Option<Date>, this_year: i16) -> String {
        let month = |date: Date| (date.year(), date.month());
        let mut text = self.first.day().to_string();
        if self.last != self.first {
            text = format!("{text}-{}", self.last.day());
        }
        if self.times > 1 {
            text = format!("{text} (x{})", self.times);
        }
        if next.is_none_or(|next| month(next) != month(self.last)) {
            let year_ends = next.is_none_or(|next| next.year() != self.last.year());
            let with_year = self.last.year() != this_year && year_ends;
            let format = if with_year { " %b %Y" } else { " %b" };
            text.push_str(&self.last.strftime(format).to_string());
        }
        if next.is_some() { text + ", " } else { text }
    }
}

#[derive(Serialize)]
struct Body {
    policy: PolicyBody,
    zone: String,
    sources: Vec<SourceBody>,
}

#[derive(Serialize)]
struct SourceBody {
    source: String,
    days: Vec<DayBody>,
}

#[derive(Serialize)]
struct DayBody {
    date: String,
    taken: Option<String>,
    removed: Vec<SightBody>,
    present: Vec<SightBody>,
}

#[derive(Serialize)]
struct SightBody {
    id: Option<String>,
    time: String,
}

fn document(context: &Context, Calendar { rules, days: calendars }: &Calendar) -> Result<()> {
    let time = |sight: &Sight| times::rfc3339(sight.time_ns, &rules.zone);
    let sight = |it: &Sight| SightBody { id: it.id.map(|id| id.to_string()), time: time(it) };
    let day = |day: &Day| DayBody {
        date: day.date.to_string(),
        taken: day.taken.as_ref().map(time),
        removed: day.removed.iter().map(sight).collect(),
        present: day.present.iter().map(sight).collect(),
    };
    let source = |(source, days): (&String, &Vec<Day>)| SourceBody {
        source: source.clone(),
        days: days.iter().map(day).collect(),
    };
    context.console.document(&Document::new(Body {
        policy: PolicyBody::of(&rules.policy),
        zone: rules.zone_name.clone(),
        sources: calendars.iter().map(source).collect(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(days: &[&str]) -> String {
        let sight = |day: &&str| {
            let noon = format!("{day}T12:00:00Z").parse::<jiff::Timestamp>().unwrap();
            Sight { time_ns: i64::try_from(noon.as_nanosecond()).unwrap(), id: None }
        };
        let sights: Vec<Sight> = days.iter().map(sight).collect();
        dates(&sights, &TimeZone::UTC, 2026)
    }

    #[test]
    fn days_in_a_row_are_joined_and_months_said_once() {
        let days = ["2026-11-18", "2026-11-17", "2026-11-19", "2026-11-15", "2026-10-31"];
        assert_eq!(shown(&days), "31 Oct, 15, 17-19 Nov");
        assert_eq!(shown(&["2026-09-30", "2026-10-01"]), "30 Sep, 1 Oct");
        assert_eq!(shown(&[]), "");
    }

    #[test]
    fn several_a_day_and_other_years_are_said() {
        assert_eq!(shown(&["2026-11-18", "2026-11-18", "2026-11-19"]), "18 (x2), 19 Nov");
        let years = ["2024-12-31", "2025-11-30", "2025-12-31", "2026-01-31"];
        assert_eq!(shown(&years), "31 Dec 2024, 30 Nov, 31 Dec 2025, 31 Jan");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let days: Vec<String> = (1..=30).map(|n| format!("20{n:02}-01-31")).collect();
        let days: Vec<&str> = days.iter().map(String::as_str).collect();
        assert!(shown(&days).starts_with("6 older, 31 Jan 2007, "), "{}", shown(&days));
    }
}
