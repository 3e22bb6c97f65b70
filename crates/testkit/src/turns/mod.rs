//! Several pieces of work on one disk, of which one makes one call at a time: who is next is decided by a seed.
//!
//! Each piece runs on a thread of its own. Before every call to the disk it waits
//! until all the others wait too, or are over; then `policy` chooses whose call
//! is made. So the order of the calls is the whole schedule, and equal seeds
//! give equal schedules as long as a piece of work makes its calls in an order
//! of its own. `disk` is what stands between the work and the disk. Not here:
//! what must hold after a schedule.
//!
//! Invariant: at most one call is under way. Nothing waits by the clock: who
//! waits for a lock is left out until one is given back, and when everybody
//! waits for locks that is said, as a schedule that came to nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use larder::repo::disk::{Disk, DiskError, Result};

pub use disk::{LeftOut, Patience, TurnDisk};
use policy::Chooser;
pub use policy::Policy;

mod disk;
mod policy;

/// No work calculates so long between two calls, even where twenty tests share a core: it hangs.
const WATCHDOG: Duration = Duration::from_mins(2);

/// No schedule of the tests has so many calls: somebody tries the same again and again.
const MOST_STEPS: usize = 100_000;

/// A call that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Who made it.
    pub who: &'static str,
    /// What it was.
    pub verb: &'static str,
    /// On which path.
    pub path: String,
}

/// The table at which everybody waits for a turn.
#[derive(Debug, Clone)]
pub struct Turns(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    table: Mutex<Table>,
    /// One for each seat.
    wake: Vec<Condvar>,
}

#[derive(Debug)]
struct Table {
    seats: Vec<Seat>,
    chooser: Chooser,
    /// The call that is being made.
    acting: Option<u64>,
    last_ticket: u64,
    steps: Vec<Step>,
    stuck: Option<String>,
}

#[derive(Debug)]
struct Seat {
    name: &'static str,
    over: bool,
    /// Calls that wait, in the order in which they came.
    waiting: VecDeque<u64>,
    /// Waits for a lock that somebody holds.
    barred: bool,
    calls: u64,
    /// Dies before it makes one call more than this.
    lives_for: Option<u64>,
}

impl Turns {
    /// A table with these seats, every one of which must be taken by [`Turns::play`].
    pub fn new(names: &[&'static str], policy: Policy, seed: u64) -> Self {
        let seat = |name: &&'static str| Seat {
            name,
            over: false,
            waiting: VecDeque::new(),
            barred: false,
            calls: 0,
            lives_for: None,
        };
        let table = Table {
            seats: names.iter().map(seat).collect(),
            chooser: Chooser::new(policy, names.len(), seed),
            acting: None,
            last_ticket: 0,
            steps: Vec::new(),
            stuck: None,
        };
        let wake = names.iter().map(|_| Condvar::new()).collect();
        Self(Arc::new(Inner { table: Mutex::new(table), wake }))
    }

    /// The work of this seat is killed before it makes one call more than `calls`; the machine goes on.
    pub fn kill_after(&self, seat: usize, calls: u64) {
        self.0.table().seats[seat].lives_for = Some(calls);
    }

    /// A disk whose every call is a turn of this seat.
    pub fn disk(&self, seat: usize, disk: Arc<dyn Disk>, patience: Patience) -> TurnDisk {
        TurnDisk::new(Arc::clone(&self.0), seat, disk, patience)
    }

    /// Does the work of a seat; whichever way it ends, the others go on.
    pub fn play<T>(&self, seat: usize, work: impl FnOnce() -> T) -> T {
        let _leaves = Leaves { inner: &self.0, seat };
        work()
    }

    /// Every call so far, in order.
    pub fn steps(&self) -> Vec<Step> {
        self.0.table().steps.clone()
    }

    /// How many calls a seat has made or tried to make.
    pub fn calls(&self, seat: usize) -> u64 {
        self.0.table().seats[seat].calls
    }

    /// True when the work of this seat was killed.
    pub fn was_killed(&self, seat: usize) -> bool {
        let table = self.0.table();
        let seat = &table.seats[seat];
        seat.lives_for.is_some_and(|calls| seat.calls > calls)
    }

    /// Why nothing went on, if that has happened. Every call since has failed.
    pub fn stuck(&self) -> Option<String> {
        self.0.table().stuck.clone()
    }
}

struct Leaves<'a> {
    inner: &'a Inner,
    seat: usize,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        let mut table = self.inner.table();
        table.seats[self.seat].over = true;
        // What it held is free now.
        table.unbar();
        self.inner.choose(&mut table);
    }
}

impl Table {
    fn unbar(&mut self) {
        self.seats.iter_mut().for_each(|seat| seat.barred = false);
    }

    fn describe(&self) -> String {
        let seat = |seat: &Seat| {
            let state = match (seat.over, seat.barred, seat.waiting.len()) {
                (true, ..) => "is over".to_owned(),
                (_, true, _) => "waits for a lock".to_owned(),
                (.., 0) => "calculates".to_owned(),
                (.., calls) => format!("waits with {calls} calls"),
            };
            format!("{} {state}", seat.name)
        };
        self.seats.iter().map(seat).collect::<Vec<_>>().join(", ")
    }
}

impl Inner {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a turn of this seat.
    fn turn(&self, seat: usize, verb: &'static str, path: &str) -> Result<Turn<'_>> {
        let failed = |why: &str| DiskError::new(verb, path, std::io::Error::other(why.to_owned()));
        let mut table = self.table();
        let player = &mut table.seats[seat];
        player.calls += 1;
        if player.lives_for.is_some_and(|calls| player.calls > calls) {
            return Err(failed("killed as planned"));
        }
        table.last_ticket += 1;
        let ticket = table.last_ticket;
        table.seats[seat].waiting.push_back(ticket);
        self.choose(&mut table);
        while table.acting != Some(ticket) {
            if let Some(why) = &table.stuck {
                return Err(failed(why));
            }
            let before = table.steps.len();
            let (after, waited) = self.wake[seat]
                .wait_timeout(table, WATCHDOG)
                .unwrap_or_else(PoisonError::into_inner);
            table = after;
            if waited.timed_out() && table.steps.len() == before {
                self.give_up(&mut table, "nothing happens");
            }
        }
        let who = table.seats[seat].name;
        table.steps.push(Step { who, verb, path: path.to_owned() });
        if table.steps.len() > MOST_STEPS {
            self.give_up(&mut table, "there is no end");
        }
        Ok(Turn { inner: self })
    }

    /// Lets the next call pass, when everybody waits for a turn.
    fn choose(&self, table: &mut Table) {
        let calculates = |seat: &Seat| !seat.over && seat.waiting.is_empty();
        if table.acting.is_some() || table.stuck.is_some() || table.seats.iter().any(calculates) {
            return;
        }
        let ready = |seat: &&Seat| !seat.over && !seat.barred;
        let seats = table.seats.iter().enumerate();
        let ready: Vec<usize> = seats.filter(|(_, seat)| ready(seat)).map(|(at, _)| at).collect();
        if ready.is_empty() {
            if table.seats.iter().any(|seat| !seat.over) {
                self.give_up(table, "everybody waits for somebody");
            }
            return;
        }
        let chosen = table.chooser.choose(&ready);
        table.acting = table.seats[chosen].waiting.pop_front();
        self.wake[chosen].notify_all();
    }

    fn give_up(&self, table: &mut Table, why: &str) {
        table.stuck = Some(format!("{why}: {}", table.describe()));
        self.wake.iter().for_each(Condvar::notify_all);
    }

    /// The seat has to wait until a lock is given back.
    fn bar(&self, seat: usize) {
        self.table().seats[seat].barred = true;
    }

    fn released(&self) {
        self.table().unbar();
    }
}

/// The one call that is made now.
struct Turn<'a> {
    inner: &'a Inner,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let mut table = self.inner.table();
        table.acting = None;
        self.inner.choose(&mut table);
    }
}
