//! The policy that the command line and the configuration ask for.

use std::time::Duration;

use clap::Args;
use larder::codec::names::tag_fault;
use larder::ops::retention::rules::Wish;
use larder::snapshot::retention::policy::{Keep, Policy};

use crate::cli::settings::Settings;

/// A policy for one run.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Rules, for this run only")]
pub(crate) struct KeepArgs {
    /// Keep the last N snapshots
    #[arg(long = "keep-last", value_name = "N", value_parser = parse_keep, allow_negative_numbers = true)]
    last: Option<Keep>,
    /// Keep the newest snapshot of each of the last N hours that have one
    #[arg(long = "keep-hourly", value_name = "N", value_parser = parse_keep, allow_negative_numbers = true)]
    hourly: Option<Keep>,
    /// The same of days
    #[arg(long = "keep-daily", value_name = "N", value_parser = parse_keep, allow_negative_numbers = true)]
    daily: Option<Keep>,
    /// The same of weeks, Monday to Sunday
    #[arg(long = "keep-weekly", value_name = "N", value_parser = parse_keep, allow_negative_numbers = true)]
    weekly: Option<Keep>,
    /// The same of months; N may be `forever`, as for every rule
    #[arg(long = "keep-monthly", value_name = "N", value_parser = parse_keep, allow_negative_numbers = true)]
    monthly: Option<Keep>,
    /// The same of years
    #[arg(long = "keep-yearly", value_name = "N", value_parser = parse_keep, allow_negative_numbers = true)]
    yearly: Option<Keep>,
    /// Keep everything within this time before the newest snapshot of its source: 12h, 30d, 8w
    #[arg(long = "keep-within", value_name = "TIME", value_parser = parse_length, allow_negative_numbers = true)]
    within: Option<Duration>,
    /// Keep everything with this tag; may be repeated
    #[arg(long = "keep-tag", value_name = "T", value_parser = parse_tag)]
    kept_tags: Vec<String>,
}

impl KeepArgs {
    /// The policy of this run; `None` when no rule was given.
    pub(crate) fn policy(&self) -> Option<Policy> {
        let counts = [self.last, self.hourly, self.daily, self.weekly, self.monthly, self.yearly];
        let is_given = counts.iter().any(Option::is_some)
            || self.within.is_some()
            || !self.kept_tags.is_empty();
        let [last, hourly, daily, weekly, monthly, yearly] = counts.map(Option::unwrap_or_default);
        let (within, tags) = (self.within, self.kept_tags.iter().cloned().collect());
        is_given.then_some(Policy { last, hourly, daily, weekly, monthly, yearly, within, tags })
    }
}

/// What command line and configuration say about policy and zone.
pub(crate) fn wish(settings: &Settings, this_run: Option<Policy>) -> Wish {
    let config = settings.config.as_ref().map(|(_, config)| config);
    Wish {
        this_run,
        configured: config.and_then(|it| it.retention.as_ref()).map(|it| it.value.clone()),
        zone: config.and_then(|it| it.zone.as_ref()).map(|_| settings.zone.name.clone()),
        default_zone: settings.zone.name.clone(),
    }
}

/// How much a rule keeps: a number, or `forever`.
pub(crate) fn parse_keep(text: &str) -> Result<Keep, String> {
    match text.trim() {
        "forever" | "for ever" => Ok(Keep::ForEver),
        text => match text.parse::<u32>() {
            Ok(0) => Ok(Keep::Off),
            Ok(u32::MAX) => Ok(Keep::ForEver),
            Ok(count) => Ok(Keep::Count(count)),
            Err(_) => Err("write a whole number from 0, or forever to keep all".to_owned()),
        },
    }
}

/// A length of time in hours, days and weeks: `12h`, `30d`, `8w`, `1d 12h`.
pub(crate) fn parse_length(text: &str) -> Result<Duration, String> {
    let wrong = || "write a length of time like 12h, 30d or 8w".to_owned();
    let mut seconds = 0_u64;
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let mut letters = unit.chars();
        let unit_seconds = match letters.next() {
            Some('h') => 3_600,
            Some('d') => 86_400,
            Some('w') => 7 * 86_400,
            _ => return Err(wrong()),
        };
        let more = number.checked_mul(unit_seconds).and_then(|more| seconds.checked_add(more));
        seconds = more.ok_or_else(wrong)?;
        rest = letters.as_str().trim_start();
    }
    Ok(Duration::from_secs(seconds))
}

fn parse_tag(text: &str) -> Result<String, String> {
    tag_fault(text).map_or_else(|| Ok(text.to_owned()), |rule| Err(rule.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_numbers_or_for_ever() {
        assert_eq!(parse_keep("7"), Ok(Keep::Count(7)));
        assert_eq!(parse_keep("0"), Ok(Keep::Off));
        assert_eq!(parse_keep("forever"), Ok(Keep::ForEver));
        for bad in ["", "-1", "7.5", "all", "4294967296"] {
            assert!(parse_keep(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn lengths_have_units() {
        let hours = |text: &str| parse_length(text).map(|it| it.as_secs() / 3600);
        assert_eq!((hours("12h"), hours("30d"), hours("8w")), (Ok(12), Ok(720), Ok(1344)));
        assert_eq!((hours("1d 12h"), hours("1d12h"), hours("0d")), (Ok(36), Ok(36), Ok(0)));
        for bad in
            ["", "30", "d", "1m", "-1d", "1d x", "99999999999999999999d", "9999999999999999w"]
        {
            assert!(parse_length(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rules_that_are_off_are_given_all_the_same() {
        let none = KeepArgs::default();
        assert_eq!(none.policy(), None);
        let off = KeepArgs { daily: Some(Keep::Off), ..KeepArgs::default() };
        assert!(off.policy().unwrap().is_empty());
    }
}
