//! Why a snapshot stays, until when, and why another goes.

use std::fmt;
use std::time::Duration;

use crate::id::SnapshotId;
use crate::snapshot::retention::Pin;
use crate::snapshot::retention::period::Period;
use crate::snapshot::retention::policy::{Keep, Length, Rule};

/// What keeps a snapshot. As text: `daily 3/7`, `monthly 14`, `tag gold`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A rule that counts.
    Counted {
        /// Which.
        rule: Rule,
        /// The place of its period from the newest on, from 1. A clean snapshot counts clean ones only.
        position: u32,
        /// How far the rule reaches.
        of: Keep,
    },
    /// It is so near to the newest one.
    Within(Duration),
    /// A tag that the policy keeps.
    Tag(String),
    /// A pin.
    Pin(Pin),
    /// It is the one that was taken last.
    Latest,
    /// Of the clean ones, it was taken last.
    LatestClean,
    /// It is dated in the future, where it counts for nothing.
    Future,
    /// The brake is on for its source.
    Brake,
    /// The policy says nothing.
    NoRules,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted { rule, position, of: Keep::Count(count) } => {
                write!(f, "{rule} {position}/{count}")
            }
            Self::Counted { rule, position, .. } => write!(f, "{rule} {position}"),
            Self::Within(length) => write!(f, "within {}", Length(*length)),
            Self::Tag(tag) => write!(f, "tag {tag}"),
            Self::Pin(pin) => write!(f, "pin {}", pin.name),
            Self::Latest => f.write_str("latest"),
            Self::LatestClean => f.write_str("latest clean"),
            Self::Future => f.write_str("future"),
            Self::Brake => f.write_str("brake"),
            Self::NoRules => f.write_str("no rules"),
        }
    }
}

/// Until when a snapshot is kept, if a clean one is taken every day at the usual time and rules and facts stay as they are.
/// Later is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiry {
    /// It goes once the snapshot of this time is there, nanoseconds since 1970.
    At(i64),
    /// That depends on more than time: on a brake, or on a date that lies in the future.
    Open,
    /// Not as long as the calendar reaches.
    Never,
}

/// What a rule says about a snapshot that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// Its period has a better one: newer, or clean where this one is not.
    Surpassed {
        /// The period.
        period: Period,
        /// The snapshot that stands for it.
        by: SnapshotId,
    },
    /// The rule does not reach back so far.
    Beyond {
        /// The rule.
        rule: Rule,
        /// How far it reaches.
        count: u32,
    },
    /// It is too far from the newest one.
    NotWithin(Duration),
    /// The policy has only tags, and it carries none of them.
    NotTagged,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Surpassed { period, by } => {
                write!(f, "{} stands for its {}", by.short(), period.noun())
            }
            Self::Beyond { rule: Rule::Last, count } => write!(f, "not among the last {count}"),
            Self::Beyond { rule, count } => write!(f, "beyond {count} {rule}"),
            Self::NotWithin(length) => write!(f, "not within {}", Length(*length)),
            Self::NotTagged => f.write_str("carries no kept tag"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_short() {
        let counted = |rule, position, of| Reason::Counted { rule, position, of }.to_string();
        assert_eq!(counted(Rule::Each(Period::Day), 3, Keep::Count(7)), "daily 3/7");
        assert_eq!(counted(Rule::Each(Period::Month), 14, Keep::ForEver), "monthly 14");
        assert_eq!(counted(Rule::Last, 1, Keep::Count(2)), "last 1/2");
        let by = SnapshotId::from_bytes([0xab; 32]);
        let why = Why::Surpassed { period: Period::Week, by };
        assert_eq!(why.to_string(), "abababab stands for its week");
        let why = Why::Beyond { rule: Rule::Each(Period::Day), count: 7 };
        assert_eq!(why.to_string(), "beyond 7 daily");
    }

    #[test]
    fn the_last_reason_to_end_counts() {
        assert_eq!([Expiry::At(9), Expiry::At(3)].iter().max(), Some(&Expiry::At(9)));
        assert_eq!([Expiry::Never, Expiry::Open, Expiry::At(3)].iter().max(), Some(&Expiry::Never));
    }
}
