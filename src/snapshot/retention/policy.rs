//! What is to be kept.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use crate::snapshot::retention::period::Period;

/// How much a rule keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Keep {
    /// Nothing: there is no such rule.
    #[default]
    Off,
    /// So many.
    Count(u32),
    /// All of them, for ever.
    ForEver,
}

impl Keep {
    /// Whether the rule says anything.
    pub fn is_on(self) -> bool {
        !matches!(self, Self::Off | Self::Count(0))
    }

    /// Whether it reaches as far as this position, counted from 1.
    pub(crate) fn reaches(self, position: u32) -> bool {
        match self {
            Self::Off => false,
            Self::Count(count) => position <= count,
            Self::ForEver => true,
        }
    }
}

/// A rule that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// The last snapshots, whenever they were taken.
    Last,
    /// The newest snapshot of each of the last periods that have one.
    Each(Period),
}

impl Rule {
    /// All of them, finest first.
    pub const ALL: [Self; 6] = [
        Self::Last,
        Self::Each(Period::Hour),
        Self::Each(Period::Day),
        Self::Each(Period::Week),
        Self::Each(Period::Month),
        Self::Each(Period::Year),
    ];

    /// `daily`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Each(Period::Hour) => "hourly",
            Self::Each(Period::Day) => "daily",
            Self::Each(Period::Week) => "weekly",
            Self::Each(Period::Month) => "monthly",
            Self::Each(Period::Year) => "yearly",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is to be kept: a snapshot stays when one of the rules keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    /// The last snapshots.
    pub last: Keep,
    /// Hours.
    pub hourly: Keep,
    /// Days.
    pub daily: Keep,
    /// ISO weeks: the newest of one is Sunday's, where Sunday has one.
    pub weekly: Keep,
    /// Months.
    pub monthly: Keep,
    /// Years.
    pub yearly: Keep,
    /// Everything so near to the newest snapshot, which is not the same as near to now: nothing goes merely because no
    /// snapshot has been taken for a while.
    pub within: Option<Duration>,
    /// Everything that carries one of these tags.
    pub tags: BTreeSet<String>,
}

impl Policy {
    /// What larder proposes: 7 daily, 4 weekly, monthly for ever.
    pub fn seed() -> Self {
        Self {
            daily: Keep::Count(7),
            weekly: Keep::Count(4),
            monthly: Keep::ForEver,
            ..Self::default()
        }
    }

    /// How much a counting rule keeps.
    pub fn keep(&self, rule: Rule) -> Keep {
        match rule {
            Rule::Last => self.last,
            Rule::Each(Period::Hour) => self.hourly,
            Rule::Each(Period::Day) => self.daily,
            Rule::Each(Period::Week) => self.weekly,
            Rule::Each(Period::Month) => self.monthly,
            Rule::Each(Period::Year) => self.yearly,
        }
    }

    /// The counting rules that say anything, finest first.
    pub fn rules(&self) -> impl Iterator<Item = (Rule, Keep)> {
        Rule::ALL.into_iter().map(|rule| (rule, self.keep(rule))).filter(|(_, keep)| keep.is_on())
    }

    /// Whether it says nothing at all. Then nothing is decided, and everything stays.
    pub fn is_empty(&self) -> bool {
        self.rules().next().is_none() && self.within.is_none() && self.tags.is_empty()
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = self.rules().map(|(rule, keep)| part(rule, keep)).collect();
        parts.extend(self.within.map(|within| format!("all within {}", Length(within))));
        parts.extend(self.tags.iter().map(|tag| format!("tag {tag}")));
        if parts.is_empty() {
            parts.push("no rules: everything is kept".to_owned());
        }
        f.write_str(&parts.join(", "))
    }
}

fn part(rule: Rule, keep: Keep) -> String {
    match (rule, keep) {
        (Rule::Last, Keep::Count(count)) => format!("the last {count}"),
        (Rule::Last, _) => "every snapshot for ever".to_owned(),
        (_, Keep::Count(count)) => format!("{count} {rule}"),
        (_, _) => format!("{rule} for ever"),
    }
}

/// A length of time as `30d` or `1d 12h`; less than a second is left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Length(pub(crate) Duration);

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let units = [
            (seconds / 86_400, "d"),
            (seconds / 3_600 % 24, "h"),
            (seconds / 60 % 60, "m"),
            (seconds % 60, "s"),
        ];
        let parts: Vec<String> = units
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, unit)| format!("{count}{unit}"))
            .collect();
        if parts.is_empty() { f.write_str("0s") } else { f.write_str(&parts.join(" ")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_like_a_sentence() {
        assert_eq!(Policy::seed().to_string(), "7 daily, 4 weekly, monthly for ever");
        let policy = Policy {
            last: Keep::Count(3),
            yearly: Keep::Count(10),
            within: Some(Duration::from_hours(36)),
            tags: ["gold".to_owned()].into(),
            ..Policy::default()
        };
        assert_eq!(policy.to_string(), "the last 3, 10 yearly, all within 1d 12h, tag gold");
        assert_eq!(Policy::default().to_string(), "no rules: everything is kept");
    }

    #[test]
    fn none_is_not_a_rule() {
        let none = Policy { daily: Keep::Count(0), ..Policy::default() };
        assert!(none.is_empty() && !Policy::seed().is_empty());
        assert!(!Policy { within: Some(Duration::ZERO), ..Policy::default() }.is_empty());
        assert!(
            !Keep::Count(0).reaches(1) && Keep::Count(1).reaches(1) && !Keep::Count(1).reaches(2)
        );
    }

    #[test]
    fn lengths_are_short() {
        for (seconds, text) in [(30 * 86_400, "30d"), (3_600, "1h"), (90, "1m 30s"), (0, "0s")] {
            assert_eq!(Length(Duration::from_secs(seconds)).to_string(), text);
        }
    }
}
