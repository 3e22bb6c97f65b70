//! How a counting rule sees the snapshots of a source: periods, and who stands for each.

use std::collections::HashMap;

use jiff::civil::DateTime;

use crate::snapshot::retention::Point;
use crate::snapshot::retention::forecast::Forecast;
use crate::snapshot::retention::period::Period;
use crate::snapshot::retention::policy::{Keep, Rule};

/// A snapshot, and what a clock showed at its time.
pub(super) type Clocked<'p> = (&'p Point, DateTime);

/// A period that has a snapshot.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// Index of the snapshot that stands for it: its newest clean one, else its newest.
    pub(super) holder: usize,
    /// Its place among all periods, from 1.
    position: u32,
    /// Its place among the periods that have a clean snapshot.
    among_clean: Option<u32>,
}

impl Slot {
    /// The place that counts for a snapshot. A clean one takes no notice of what is not clean.
    pub(super) fn position_of(&self, point: &Point) -> u32 {
        if point.is_clean() { self.among_clean.unwrap_or(self.position) } else { self.position }
    }

    fn has_clean(&self) -> bool {
        self.among_clean.is_some()
    }
}

/// The periods of one rule.
pub(super) struct Ranking {
    pub(super) rule: Rule,
    pub(super) keep: Keep,
    slots: HashMap<i64, Slot>,
}

impl Ranking {
    /// The points go from the newest to the oldest; those before `past` are dated in the future and have no slot.
    pub(super) fn new(rule: Rule, keep: Keep, points: &[Clocked<'_>], past: usize) -> Self {
        let mut slots: HashMap<i64, Slot> = HashMap::new();
        let (mut all, mut clean) = (0, 0);
        for (index, (point, clock)) in points.iter().enumerate().skip(past) {
            let slot = slots.entry(number(rule, index, *clock)).or_insert_with(|| {
                all += 1;
                Slot { holder: index, position: all, among_clean: None }
            });
            if point.is_clean() && !slot.has_clean() {
                clean += 1;
                (slot.holder, slot.among_clean) = (index, Some(clean));
            }
        }
        Self { rule, keep, slots }
    }

    /// The slot of the period of a point.
    pub(super) fn slot(&self, index: usize, clock: DateTime) -> Option<Slot> {
        self.slots.get(&number(self.rule, index, clock)).copied()
    }

    /// When a point that is kept at this position will be kept no longer; `None` = never. Positions only grow: a point that
    /// stands for its period is replaced by the next snapshot if that falls into it, and else pushed back by every new period.
    pub(super) fn end(
        &self,
        (point, clock): Clocked<'_>,
        position: u32,
        forecast: &Forecast,
    ) -> Option<i64> {
        let first = forecast.first()?;
        let left = match self.keep {
            Keep::Count(count) => Some(count.saturating_sub(position)),
            _ => None,
        };
        let Rule::Each(period) = self.rule else { return forecast.nth(left?) };
        let next = period.number(forecast.clock(first));
        if next == period.number(clock) {
            return Some(first);
        }
        if period == Period::Hour {
            return forecast.nth(left?);
        }
        let counts_already =
            self.slots.get(&next).is_some_and(|slot| slot.has_clean() || !point.is_clean());
        let last = next.checked_add(i64::from(left?))?.checked_add(i64::from(counts_already))?;
        forecast.on_or_after(period.first_day(last)?)
    }
}

/// The number of the period of a point. Among the last snapshots each is a period of its own.
fn number(rule: Rule, index: usize, clock: DateTime) -> i64 {
    match rule {
        Rule::Each(period) => period.number(clock),
        Rule::Last => i64::try_from(index).unwrap_or(i64::MAX),
    }
}
