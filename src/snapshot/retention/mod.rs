//! Which snapshots a policy keeps, why, until when, and when it must not be obeyed at all.
//!
//! Pure: snapshots, policy, zone and time are given, decisions with their reasons come back. Not here: removing anything,
//! reading records and facts, and how a policy is written in a configuration or stored.
//!
//! The rules are joined by OR and count periods in which there is a snapshot; the newest of a period is kept. Sources are
//! decided one by one, by name. A period is a civil one in a single zone; a week is the ISO week.
//!
//! Invariant: no decision about a clean snapshot depends on one that is not clean, nor on one that is dated in the future;
//! adding a rule never removes more; removing what is to be removed and deciding again removes nothing further.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;

use crate::id::SnapshotId;
use crate::snapshot::retention::forecast::Forecast;
use crate::snapshot::retention::policy::Policy;
use crate::snapshot::retention::reason::{Expiry, Reason, Why};
use crate::snapshot::retention::source::Source;
use crate::snapshot::retention::standing::Standing;

pub mod brake;
pub mod cause;
pub mod forecast;
pub mod period;
pub mod policy;
pub mod preview;
pub mod reason;
pub mod standing;

mod slots;
mod source;
mod stored;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod laws;
#[cfg(test)]
mod plain;
#[cfg(test)]
mod records;

/// Somebody's word that a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// What it is called, for people.
    pub name: String,
    /// The last moment at which it holds, nanoseconds since 1970; `None` = until it is taken away.
    pub until_ns: Option<i64>,
}

/// A snapshot as retention sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its id.
    pub id: SnapshotId,
    /// The source that it belongs to.
    pub source: String,
    /// Its place in the order in which snapshots of the source were taken.
    pub sequence: u64,
    /// The time that it stands for, nanoseconds since 1970.
    pub time_ns: i64,
    /// The tags that it carries now.
    pub tags: BTreeSet<String>,
    /// The pins on it.
    pub pins: Vec<Pin>,
    /// How far it can be trusted.
    pub standing: Standing,
}

impl Point {
    pub(crate) fn is_clean(&self) -> bool {
        self.standing == Standing::Clean
    }

    /// The order of time. Equal times go by the order of taking.
    fn in_time(&self) -> (i64, u64, SnapshotId) {
        (self.time_ns, self.sequence, self.id)
    }
}

/// Under which circumstances is decided.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// What is to be kept.
    pub policy: &'a Policy,
    /// Where days begin.
    pub zone: &'a TimeZone,
    /// Now, nanoseconds since 1970.
    pub now_ns: i64,
    /// Whether the newest snapshot, or newest clean one, of a source may go when no rule keeps it.
    pub allow_last: bool,
    /// Sources from which nothing may go.
    pub braked: &'a BTreeSet<String>,
}

/// What becomes of one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The snapshot.
    pub id: SnapshotId,
    /// Its source.
    pub source: String,
    /// Its time, nanoseconds since 1970.
    pub time_ns: i64,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// Whether a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stays.
    Kept {
        /// Everything that keeps it; never empty.
        reasons: Vec<Reason>,
        /// Until when, if a clean snapshot is taken every day from now on.
        expiry: Expiry,
    },
    /// It goes.
    Removed {
        /// What each rule says about it; never empty.
        whys: Vec<Why>,
    },
}

impl Verdict {
    /// Whether it stays.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Kept { .. })
    }
}

/// Decides about every snapshot. The result goes by source, newest first.
pub fn decide(points: &[Point], setting: &Setting<'_>) -> Vec<Decision> {
    let mut decisions = Vec::with_capacity(points.len());
    for points in by_source(points).into_values() {
        let forecast = Forecast::of(&points, setting.zone, setting.now_ns);
        Source::new(&points, setting).decide(forecast.as_ref(), &mut decisions);
    }
    decisions
}

/// Which of the sources would have no snapshot left without these. A command that was given ids removes them whatever the
/// rules say, but not those: that takes a permission of its own.
pub fn emptied<'p>(points: &'p [Point], removed: &BTreeSet<SnapshotId>) -> BTreeSet<&'p str> {
    let named = points.iter().filter(|point| removed.contains(&point.id));
    let left = points.iter().filter(|point| !removed.contains(&point.id));
    let left: BTreeSet<&str> = left.map(|point| point.source.as_str()).collect();
    named.map(|point| point.source.as_str()).filter(|source| !left.contains(source)).collect()
}

/// The snapshots of each source, newest first.
fn by_source(points: &[Point]) -> BTreeMap<&str, Vec<&Point>> {
    let mut sources: BTreeMap<&str, Vec<&Point>> = BTreeMap::new();
    for point in points {
        sources.entry(&point.source).or_default().push(point);
    }
    for points in sources.values_mut() {
        points.sort_by_key(|point| std::cmp::Reverse(point.in_time()));
    }
    sources
}
