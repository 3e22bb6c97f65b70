//! How long a helper may take for the step that it is at, whatever signs of life it gives.
//!
//! The real helper ends each of its steps by itself, well before these limits; they are for one that a hostile database has taken
//! over, or that is none of ours. Copying is measured by what comes, the rest by the time that a slow disk would take.
//!
//! Invariant: every conversation ends. Each step has a limit that only grows with the bytes of the database, and steps do not return.

use std::time::Duration;

/// The most that one look at the clock counts. A parent that was itself stopped (Ctrl-Z), or whose clock was set, holds nothing
/// against the helper; while it listens it looks ten times a second.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// So many bytes a second are copied at the least: a helper's sign of life comes after 8 MiB at the usual page size, so a slower one is silent
/// for too long anyway.
const COPIED_BYTES_PER_SECOND: u64 = 64 * 1024;

/// A crafted database can keep a check busy for ever: it gets a minute, and a second for each 2 MiB, which a slow disk
/// does ten times over.
const CHECKED_BYTES_PER_SECOND: u64 = 2 * 1024 * 1024;

/// What is told needs a fraction of the check; six budgets of the helper's come to a second for each 10 MiB.
const TOLD_BYTES_PER_SECOND: u64 = 8 * 1024 * 1024;

/// What the helper gives a check of so many bytes.
pub(super) fn check_budget(bytes: u64) -> Duration {
    Duration::from_secs(60 + bytes / CHECKED_BYTES_PER_SECOND)
}

/// What the limits are made from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    /// How long the helper waits for a writer's lock.
    pub(super) wait: Duration,
    /// How long it may be silent.
    pub(super) silence: Duration,
    /// The most that the database comes to.
    pub(super) bytes: u64,
}

/// The steps of a conversation, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// For the lock, until the transaction begins.
    Waiting,
    Copying,
    Checking,
    Telling,
}

impl Work {
    fn limit(&self, step: Step) -> Duration {
        let at = |rate: u64| Duration::from_secs(self.bytes / rate);
        match step {
            Step::Waiting => self.wait.saturating_add(self.silence),
            Step::Copying => self.silence * 2 + at(COPIED_BYTES_PER_SECOND),
            Step::Checking => check_budget(self.bytes) * 2 + self.silence,
            Step::Telling => self.silence * 5 + at(TOLD_BYTES_PER_SECOND),
        }
    }
}

/// The time that a helper has taken.
#[derive(Debug)]
pub(super) struct Pace {
    work: Work,
    step: Step,
    /// When it was looked at last, by the clock.
    looked: Duration,
    /// In this step.
    spent: Duration,
    /// Since the last page.
    idle: Duration,
    pages: u64,
}

impl Pace {
    pub(super) fn new(work: Work, now: Duration) -> Self {
        let (spent, idle) = (Duration::ZERO, Duration::ZERO);
        Self { work, step: Step::Waiting, looked: now, spent, idle, pages: 0 }
    }

    /// The helper is at this step now. One that it has passed does not come again.
    pub(super) fn reach(&mut self, step: Step) {
        if step > self.step {
            (self.step, self.spent, self.idle) = (step, Duration::ZERO, Duration::ZERO);
        }
    }

    /// It says that it has copied so many pages in all.
    pub(super) fn copied(&mut self, pages: u64) {
        self.reach(Step::Copying);
        if pages > self.pages {
            (self.pages, self.idle) = (pages, Duration::ZERO);
        }
    }

    /// Counts the time since the last look, of which `waited` passed in any case. Says what takes too long.
    pub(super) fn look(&mut self, now: Duration, waited: Duration) -> Option<String> {
        let passed = now.saturating_sub(self.looked).min(LONGEST_LOOK).max(waited);
        self.looked = now;
        self.spent = self.spent.saturating_add(passed);
        self.idle = self.idle.saturating_add(passed);
        let (spent, idle) = (self.spent.as_secs_f32(), self.idle.as_secs_f32());
        let is_over = self.spent >= self.work.limit(self.step);
        match self.step {
            Step::Waiting if is_over => Some(format!("it waits for a lock for {spent} s already")),
            Step::Copying if self.idle >= self.work.silence => {
                Some(format!("it copied no page for {idle} s"))
            }
            Step::Copying if is_over => Some(format!("it copies for {spent} s already")),
            Step::Checking if is_over => Some(format!("it checks for {spent} s already")),
            Step::Telling if is_over => Some(format!("it tells for {spent} s already")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(bytes: u64) -> Pace {
        let (wait, silence) = (Duration::from_mins(1), Duration::from_mins(2));
        Pace::new(Work { wait, silence, bytes }, Duration::ZERO)
    }

    /// Seconds, each looked at, until it takes too long.
    fn seconds(pace: &mut Pace, mut between: impl FnMut(&mut Pace, i64)) -> (i64, String) {
        for second in 1..100_000 {
            between(pace, second);
            if let Some(why) = pace.look(pace.looked + Duration::from_secs(1), Duration::ZERO) {
                return (second, why);
            }
        }
        panic!("no end: {pace:?}");
    }

    #[test]
    fn every_step_has_its_limit() {
        let mut it = pace(64 * 1024 * 1024);
        let (waited, why) = seconds(&mut it, |_, _| {});
        assert!(waited == 180 && why.contains("lock"), "{waited} {why}");
        it.reach(Step::Copying);
        let (idle, why) = seconds(&mut it, |_, _| {});
        assert!(idle == 120 && why.contains("no page"), "{idle} {why}");
        it.reach(Step::Checking);
        let (checked, why) = seconds(&mut it, |_, _| {});
        assert!(checked == 2 * (60 + 32) + 120 && why.contains("checks"), "{checked} {why}");
        it.reach(Step::Telling);
        let (told, why) = seconds(&mut it, |_, _| {});
        assert!(told == 608 && why.contains("tells"), "{told} {why}");
    }

    #[test]
    fn pages_buy_time_and_only_as_much_as_the_database_is_large() {
        let mut it = pace(64 * 1024 * 1024);
        let (copied, why) = seconds(&mut it, |it, second| it.copied(second.unsigned_abs()));
        assert!(copied == 240 + 1024 && why.contains("copies"), "{copied} {why}");
        let mut it = pace(u64::MAX);
        let mut same = |it: &mut Pace, second: i64| it.copied(if second < 500 { 7 } else { 3 });
        let (copied, why) = seconds(&mut it, &mut same);
        assert!(copied == 120 && why.contains("no page"), "{copied} {why}");
    }

    #[test]
    fn a_step_does_not_come_again() {
        let mut it = pace(0);
        it.reach(Step::Telling);
        let back = |it: &mut Pace, second: i64| {
            it.reach(Step::Checking);
            it.copied(second.unsigned_abs());
        };
        let (told, why) = seconds(&mut it, back);
        assert!(told == 600 && why.contains("tells"), "{told} {why}");
    }

    #[test]
    fn a_clock_that_was_set_and_a_parent_that_was_stopped_count_little() {
        let mut it = pace(0);
        assert_eq!(it.look(Duration::MAX, Duration::ZERO), None);
        assert_eq!(it.look(Duration::ZERO, Duration::ZERO), None);
        assert!(it.spent <= LONGEST_LOOK * 2, "{:?}", it.spent);
        // A clock that stands still is not believed either.
        let slice = Duration::from_millis(100);
        let looks = (1..10_000).find(|_| it.look(Duration::ZERO, slice).is_some()).unwrap();
        assert!((1780..=1800).contains(&looks), "{looks}");
    }
}
