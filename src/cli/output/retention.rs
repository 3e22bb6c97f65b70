//! Why snapshots stay and go, as people and programs read it.

use jiff::tz::TimeZone;
use larder::snapshot::retention::Pin;
use larder::snapshot::retention::brake::Brake;
use larder::snapshot::retention::cause::Cause;
use larder::snapshot::retention::policy::{Keep, Policy};
use larder::snapshot::retention::reason::{Expiry, Reason, Why};
use serde::Serialize;

use crate::cli::output::escape::printable;
use crate::cli::output::json::snapshot::Clock;
use crate::cli::output::times;
use crate::cli::output::units::many;

/// What keeps a snapshot, in a few words.
pub(crate) fn reasons(reasons: &[Reason]) -> String {
    join(reasons.iter().filter(|it| reasons.len() == 1 || !is_guard(it)))
}

/// It stays whatever the rules say; worth a word only where they say nothing.
fn is_guard(reason: &Reason) -> bool {
    matches!(reason, Reason::Latest | Reason::LatestClean)
}

/// Why a snapshot goes, in a few words: `beyond 7 daily; d183bf03 stands for its week, 246a79a5 for its month`.
pub(crate) fn whys(whys: &[Why]) -> String {
    let (surpassed, others): (Vec<&Why>, Vec<&Why>) =
        whys.iter().partition(|why| matches!(why, Why::Surpassed { .. }));
    let surpassed = join(surpassed.into_iter()).replace(" stands for its ", " for its ");
    let surpassed = surpassed.replacen(" for its ", " stands for its ", 1);
    let parts = [join(others.into_iter()), surpassed];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

fn join(parts: impl Iterator<Item = impl std::fmt::Display>) -> String {
    let parts: Vec<String> =
        parts.map(|part| printable(part.to_string().as_bytes()).into_owned()).collect();
    parts.join(", ")
}

/// Until when a snapshot stays, for a column: a day, or in words.
pub(crate) fn until(expiry: Expiry, zone: &TimeZone, this_year: i16) -> String {
    match expiry {
        Expiry::At(time_ns) => {
            let time = times::civil(time_ns, zone);
            let format = if time.year() == this_year { "%a %e %b" } else { "%a %e %b %Y" };
            time.strftime(format).to_string()
        }
        Expiry::Open => "open".to_owned(),
        Expiry::Never => "for ever".to_owned(),
    }
}

/// The same in a sentence.
pub(crate) fn until_in_words(expiry: Expiry, zone: &TimeZone, this_year: i16) -> String {
    let how_long = match expiry {
        Expiry::At(_) => "until ",
        Expiry::Open => "until further notice",
        Expiry::Never => "for ever",
    };
    match expiry {
        Expiry::At(time_ns) => format!("{how_long}{}", day(time_ns, zone, this_year)),
        _ => how_long.to_owned(),
    }
}

/// A day in a sentence, with its year where that is another one.
fn day(time_ns: i64, zone: &TimeZone, this_year: i16) -> String {
    let time = times::civil(time_ns, zone);
    let format = if time.year() == this_year { "%a %-d %b" } else { "%a %-d %b %Y" };
    time.strftime(format).to_string()
}

/// A pin in a list: `pin:upgrade`, with its end if it has one.
pub(crate) fn pin(pin: &Pin, zone: &TimeZone, this_year: i16) -> String {
    let name = printable(pin.name.as_bytes()).into_owned();
    match pin.until_ns {
        Some(until) => format!("pin:{name} until {}", day(until, zone, this_year)),
        None => format!("pin:{name}"),
    }
}

/// Why the brake is on.
pub(crate) fn brake(source: &str, brake: &Brake, held: usize) -> String {
    let source = printable(source.as_bytes());
    let newest = brake.snapshot.short();
    let against = brake.against.filter(|_| brake.causes.iter().any(Cause::is_shrink));
    let against = against.map(|id| format!(", compared with {}", id.short())).unwrap_or_default();
    let held = match held {
        0 => String::new(),
        held => format!("; {} would have gone", many(held as u64, "snapshot")),
    };
    let causes = causes(brake);
    format!(
        "{source}: nothing expires, because of its newest snapshot {newest}{against}: {causes}{held}"
    )
}

/// What is the matter, cause by cause.
pub(crate) fn causes(brake: &Brake) -> String {
    brake.causes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// A reason in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ReasonBody {
    reason: &'static str,
    position: Option<u32>,
    of: Option<u32>,
    name: Option<String>,
    text: String,
}

impl ReasonBody {
    /// This one.
    pub(crate) fn of(reason: &Reason) -> Self {
        let (mut position, mut of, mut name) = (None, None, None);
        let kind = match reason {
            Reason::Counted { rule, position: at, of: keep } => {
                position = Some(*at);
                of = if let Keep::Count(count) = keep { Some(*count) } else { None };
                rule.name()
            }
            Reason::Within(_) => "within",
            Reason::Tag(tag) => {
                name = Some(tag.clone());
                "tag"
            }
            Reason::Pin(pin) => {
                name = Some(pin.name.clone());
                "pin"
            }
            Reason::Latest => "latest",
            Reason::LatestClean => "latest_clean",
            Reason::Future => "future",
            Reason::Brake => "brake",
            Reason::NoRules => "no_rules",
        };
        Self { reason: kind, position, of, name, text: reason.to_string() }
    }
}

/// Until when a snapshot stays, in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct ExpiryBody {
    until: &'static str,
    time: Option<String>,
}

impl ExpiryBody {
    /// This one.
    pub(crate) fn of(expiry: Expiry, zone: &TimeZone) -> Self {
        let (until, time_ns) = match expiry {
            Expiry::At(time_ns) => ("time", Some(time_ns)),
            Expiry::Open => ("open", None),
            Expiry::Never => ("never", None),
        };
        Self { until, time: time_ns.map(|time_ns| times::rfc3339(time_ns, zone)) }
    }
}

/// A pin in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct PinBody {
    name: String,
    until: Option<String>,
}

impl PinBody {
    /// This one.
    pub(crate) fn of(pin: &Pin, clock: Clock<'_>) -> Self {
        let until = pin.until_ns.map(|until| times::rfc3339(until, clock.zone));
        Self { name: pin.name.clone(), until }
    }
}

/// A brake in JSON.
#[derive(Debug, Serialize)]
pub(crate) struct BrakeBody {
    snapshot: String,
    against: Option<String>,
    causes: Vec<String>,
}

impl BrakeBody {
    /// This one.
    pub(crate) fn of(brake: &Brake) -> Self {
        Self {
            snapshot: brake.snapshot.to_string(),
            against: brake.against.map(|id| id.to_string()),
            causes: brake.causes.iter().map(ToString::to_string).collect(),
        }
    }
}

/// A policy in JSON. A count of `null` is for ever, 0 is no rule.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyBody {
    text: String,
    last: Option<u32>,
    hourly: Option<u32>,
    daily: Option<u32>,
    weekly: Option<u32>,
    monthly: Option<u32>,
    yearly: Option<u32>,
    within_s: Option<u64>,
    tags: Vec<String>,
}

impl PolicyBody {
    /// This one.
    pub(crate) fn of(policy: &Policy) -> Self {
        let number = |keep| match keep {
            Keep::Off => Some(0),
            Keep::Count(count) => Some(count),
            Keep::ForEver => None,
        };
        Self {
            text: policy.to_string(),
            last: number(policy.last),
            hourly: number(policy.hourly),
            daily: number(policy.daily),
            weekly: number(policy.weekly),
            monthly: number(policy.monthly),
            yearly: number(policy.yearly),
            within_s: policy.within.map(|within| within.as_secs()),
            tags: policy.tags.iter().cloned().collect(),
        }
    }
}
