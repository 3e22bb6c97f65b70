//! `larder pin`: a snapshot stays, whatever the policy says.

use clap::Args;
use jiff::Span;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use larder::host::Host;
use larder::ops::pin::{PinChange, PinOptions, pin};
use larder::snapshot::retention::Pin;
use serde::Serialize;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::json::Document;
use crate::cli::output::json::snapshot::SnapshotRef;
use crate::cli::output::retention::{self, PinBody};
use crate::cli::output::times;
use crate::cli::retention::parse_length;

/// What a pin is called that nobody names.
const NAME: &str = "manual";

/// Pin a snapshot: `larder forget` does not take it as long as the pin holds, whatever the policy says. A pin of the same name is set
/// anew.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// The snapshot: latest, latest~2, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "SNAP")]
    snapshot: String,
    /// What the pin is called, as a snapshot may have several [default: manual]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// It holds until the end of this day, until this moment, or for this long: 2026-12-24, "2026-12-24 14:00", 30d
    #[arg(long, value_name = "WHEN", conflicts_with = "remove")]
    until: Option<String>,
    /// Take the pin away; without NAME, every pin
    #[arg(long)]
    remove: bool,
    #[command(flatten)]
    of: OfSource,
}

#[derive(Serialize)]
struct Body {
    snapshot: SnapshotRef,
    pins: Vec<PinBody>,
}

/// Runs the command.
pub(crate) fn run(args: &PinArgs, context: &Context) -> Result<Exit> {
    let zone = &context.settings.zone.rules;
    let now_ns = context.host.now_ns();
    let change = match (&args.name, args.remove) {
        (Some(name), true) => PinChange::Remove(name.clone()),
        (None, true) => PinChange::RemoveAll,
        (name, false) => {
            let name = name.clone().unwrap_or_else(|| NAME.to_owned());
            let until_ns = args.until.as_deref().map(|text| parse_until(text, zone, now_ns));
            PinChange::Set(Pin { name, until_ns: until_ns.transpose()? })
        }
    };
    let repository = context.open()?;
    let options = PinOptions {
        name: args.snapshot.clone(),
        source: args.of.source.clone(),
        zone: zone.clone(),
        wait: context.lock_wait(),
    };
    let (snapshot, pins) = pin(&repository, &options, change, &context.host)?;
    if context.console.form() == Form::Document {
        let clock = context.clock();
        let pins = pins.iter().map(|pin| PinBody::of(pin, clock)).collect();
        let snapshot = SnapshotRef::of(&snapshot, clock);
        context.console.document(&Document::new(Body { snapshot, pins }))?;
    } else {
        let year = times::civil(now_ns, zone).year();
        let shown: Vec<String> = pins.iter().map(|it| retention::pin(it, zone, year)).collect();
        let shown = if shown.is_empty() { "no pins".to_owned() } else { shown.join(", ") };
        context.console.detail(&format!("snapshot {}  {shown}", context.describe(&snapshot)))?;
    }
    Ok(Exit::Ok)
}

/// The last moment of what the text says; it must lie ahead.
fn parse_until(text: &str, zone: &TimeZone, now_ns: i64) -> Result<i64> {
    let wrong = || {
        Failure::usage(format!("--until {text:?}: write 2026-12-24, \"2026-12-24 14:00\" or 30d"))
    };
    let until_ns = if let Ok(length) = parse_length(text) {
        let length = i64::try_from(length.as_nanos()).map_err(|_| wrong())?;
        now_ns.checked_add(length).ok_or_else(wrong)?
    } else if let Ok(day) = Date::strptime("%Y-%m-%d", text) {
        end_of(day, zone).ok_or_else(wrong)?
    } else {
        times::parse(text, zone).map_err(|_| wrong())?
    };
    if until_ns <= now_ns {
        return Err(Failure::usage(format!("--until {text}: that is over")));
    }
    Ok(until_ns)
}

/// The last nanosecond of a day.
fn end_of(day: Date, zone: &TimeZone) -> Option<i64> {
    let next = day.checked_add(Span::new().days(1)).ok()?;
    let next = zone.to_timestamp(next.at(0, 0, 0, 0)).ok()?;
    i64::try_from(next.as_nanosecond()).ok()?.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_ends_with_a_day_at_a_moment_or_after_a_while() {
        let zone = TimeZone::get("Europe/Zurich").unwrap();
        let now = times::parse("2026-11-22 03:00", &zone).unwrap();
        let shown = |text| {
            let until = parse_until(text, &zone, now).unwrap();
            times::rfc3339(until, &zone)
        };
        assert_eq!(shown("2026-11-22"), "2026-11-22T23:59:59.999999999+01:00");
        assert_eq!(shown("2026-12-24 14:00"), "2026-12-24T14:00:00+01:00");
        assert_eq!(shown("2d"), "2026-11-24T03:00:00+01:00");
        for bad in ["2026-11-21", "0d", "soon", "", "2026-11-31", "9999999w"] {
            assert!(parse_until(bad, &zone, now).is_err(), "{bad}");
        }
    }
}
