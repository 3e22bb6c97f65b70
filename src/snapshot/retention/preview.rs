//! Which snapshots will exist on which day.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;

use crate::id::SnapshotId;
use crate::snapshot::retention::forecast::Forecast;
use crate::snapshot::retention::period::civil;
use crate::snapshot::retention::standing::Standing;
use crate::snapshot::retention::{Point, Setting, by_source, decide};

/// A snapshot on a calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sight {
    /// Its time, nanoseconds since 1970.
    pub time_ns: i64,
    /// Its id, if it is there already.
    pub id: Option<SnapshotId>,
}

/// One day, after its snapshot was taken and what had to go is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Day {
    /// The day.
    pub date: Date,
    /// What was taken on it; on the first day, which is today, nothing.
    pub taken: Option<Sight>,
    /// What went, newest first.
    pub removed: Vec<Sight>,
    /// What there is, newest first.
    pub present: Vec<Sight>,
}

/// Plays the policy over the next days, for each source: a clean snapshot is taken every day at the usual time, then
/// what is to be removed goes. The first day of each list is today, with nothing taken.
pub fn preview(points: &[Point], setting: &Setting<'_>, days: u32) -> BTreeMap<String, Vec<Day>> {
    let play = |(source, points): (&str, Vec<&Point>)| {
        (source.to_owned(), Play::new(&points, setting).run(days))
    };
    by_source(points).into_iter().map(play).collect()
}

struct Play<'s> {
    setting: Setting<'s>,
    forecast: Option<Forecast>,
    points: Vec<Point>,
    /// Snapshots up to this sequence are there already.
    known: u64,
}

impl<'s> Play<'s> {
    fn new(points: &[&Point], setting: &Setting<'s>) -> Self {
        Self {
            setting: setting.clone(),
            forecast: Forecast::of(points, setting.zone, setting.now_ns),
            points: points.iter().map(|point| (*point).clone()).collect(),
            known: points.iter().map(|point| point.sequence).max().unwrap_or(0),
        }
    }

    fn run(mut self, days: u32) -> Vec<Day> {
        let mut calendar = vec![self.settle(None)];
        for n in 0..days {
            let Some(time_ns) = self.forecast.as_ref().and_then(|it| it.nth(n)) else { break };
            self.setting.now_ns = time_ns;
            let taken = self.take(time_ns);
            calendar.push(self.settle(taken));
        }
        calendar
    }

    /// Takes a clean snapshot.
    fn take(&mut self, time_ns: i64) -> Option<Sight> {
        let sequence = self.points.iter().map(|point| point.sequence).max()?.checked_add(1)?;
        let point = Point {
            id: foreseen(sequence),
            source: self.points.first()?.source.clone(),
            sequence,
            time_ns,
            tags: BTreeSet::new(),
            pins: Vec::new(),
            standing: Standing::Clean,
        };
        let taken = self.sight(&point);
        self.points.push(point);
        Some(taken)
    }

    /// Removes what is to be removed.
    fn settle(&mut self, taken: Option<Sight>) -> Day {
        let decisions = decide(&self.points, &self.setting);
        let kept = decisions.iter().filter(|it| it.verdict.is_kept()).map(|it| it.id);
        let kept: BTreeSet<SnapshotId> = kept.collect();
        self.points.sort_by_key(|point| std::cmp::Reverse(point.in_time()));
        let (stay, go) = std::mem::take(&mut self.points)
            .into_iter()
            .partition(|point| kept.contains(&point.id));
        self.points = stay;
        let sights = |points: &[Point]| points.iter().map(|point| self.sight(point)).collect();
        Day {
            date: civil(self.setting.now_ns, self.setting.zone).date(),
            taken,
            removed: sights(&go),
            present: sights(&self.points),
        }
    }

    fn sight(&self, point: &Point) -> Sight {
        let id = (point.sequence <= self.known).then_some(point.id);
        Sight { time_ns: point.time_ns, id }
    }
}

/// An id that no snapshot has: it only tells those that are foreseen apart.
fn foreseen(sequence: u64) -> SnapshotId {
    let mut id = [0; SnapshotId::LEN];
    id[..8].copy_from_slice(&sequence.to_be_bytes());
    SnapshotId::from_bytes(id)
}
