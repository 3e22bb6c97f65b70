//! Breadth-first search through every interleaving, kill and power loss of a scenario.

use std::collections::{HashSet, VecDeque};

use crate::guard::Guards;
use crate::invariant::broken;
use crate::object::Entries;
use crate::process::{Scene, decide};
use crate::scenario::Scenario;
use crate::state::{Call, Life, Process, State};
use crate::view::View;

/// A way into a state that must not be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What is broken there.
    pub what: String,
    /// The steps, first to last.
    pub steps: Vec<String>,
}

/// What a search has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Different states that were seen.
    pub states: usize,
    /// The first violation, if there is one.
    pub violation: Option<Violation>,
    /// Whether every state was seen; without that, no violation proves nothing.
    pub is_complete: bool,
}

/// What leads from one state to the next.
#[derive(Debug, Clone, Copy)]
enum Event {
    Called(usize, Call),
    Decided(usize, &'static str),
    Killed(usize),
    /// The kept changes, of so many.
    PowerLost(u32, usize),
}

struct Search<'s> {
    scenario: &'s Scenario,
    guards: Guards,
    entries: Entries,
    seen: HashSet<State>,
    /// For each state in the order of its discovery, the one before it and the step between.
    ways: Vec<(usize, Event)>,
    open: VecDeque<(usize, State)>,
}

/// Searches a scenario; gives up beyond `limit` states.
pub fn search(scenario: &Scenario, guards: Guards, limit: usize) -> Found {
    let mut entries = Entries::default();
    let start = scenario.start(&mut entries);
    let (seen, ways) = (HashSet::from([start.clone()]), vec![(0, Event::Decided(0, "start"))]);
    let open = VecDeque::from([(0, start)]);
    Search { scenario, guards, entries, seen, ways, open }.run(limit)
}

impl Search<'_> {
    fn run(mut self, limit: usize) -> Found {
        while let Some((at, state)) = self.open.pop_front() {
            let view = View::new(&self.entries, state.disk.visible());
            if let Some(what) = broken(&state, &view, self.scenario.rotten) {
                let violation = Some(Violation { what, steps: self.steps_to(at) });
                return Found { states: self.seen.len(), violation, is_complete: false };
            }
            if self.seen.len() > limit {
                return Found { states: self.seen.len(), violation: None, is_complete: false };
            }
            self.expand(at, &state);
        }
        Found { states: self.seen.len(), violation: None, is_complete: true }
    }

    fn reach(&mut self, from: usize, event: Event, state: State) {
        if self.seen.insert(state.clone()) {
            self.ways.push((from, event));
            self.open.push_back((self.ways.len() - 1, state));
        }
    }

    fn expand(&mut self, at: usize, state: &State) {
        for me in 0..state.processes.len() {
            if matches!(state.processes[me].life, Life::Waiting | Life::Running) {
                self.advance(at, state, me);
            }
            if state.processes[me].is_running() && state.kills < self.scenario.kills {
                let mut next = state.clone();
                next.processes[me].kill();
                next.kills += 1;
                self.reach(at, Event::Killed(me), next);
            }
        }
        if state.losses < self.scenario.losses && !state.disk.pending().is_empty() {
            self.lose_power(at, state);
        }
    }

    /// Lets a process make its next call, or decide.
    fn advance(&mut self, at: usize, state: &State, me: usize) {
        let mut next = state.clone();
        if let Some(call) = next.call(me, &self.entries) {
            return self.reach(at, Event::Called(me, call), next);
        }
        let view = View::new(&self.entries, state.disk.visible());
        let (guards, rotten) = (self.guards, self.scenario.rotten);
        let Some(turn) = decide(&Scene { me, guards, state, view, rotten }) else { return };
        let (note, phase, locks) = (turn.note, turn.phase, turn.locks);
        let (calls, memo) = turn.settle(&mut self.entries);
        let process = &mut next.processes[me];
        (process.life, process.phase, process.locks) = (Life::Running, phase, locks);
        (process.calls, process.memo) = (calls, memo);
        next.say(me, &self.entries);
        self.reach(at, Event::Decided(me, note), next);
    }

    /// Everything that runs is gone, and any of the changes that were not synced.
    fn lose_power(&mut self, at: usize, state: &State) {
        let count = state.disk.pending().len();
        for kept in 0..1_u32 << count {
            let mut next = state.clone();
            next.disk = state.disk.after_loss(kept);
            next.processes.iter_mut().filter(|it| it.is_running()).for_each(Process::kill);
            next.losses += 1;
            self.reach(at, Event::PowerLost(kept, count), next);
        }
    }

    fn steps_to(&self, mut at: usize) -> Vec<String> {
        let mut steps = Vec::new();
        while at != 0 {
            let (from, event) = self.ways[at];
            steps.push(self.told(event));
            at = from;
        }
        steps.reverse();
        steps
    }

    fn told(&self, event: Event) -> String {
        let who = |me: usize| format!("{:?}", self.scenario.commands[me]).to_lowercase();
        let entry = |id| self.entries.get(id).to_string();
        match event {
            Event::Decided(me, note) => format!("{}: {note}", who(me)),
            Event::Called(me, Call::Publish(id)) => format!("{}: publishes {}", who(me), entry(id)),
            Event::Called(me, Call::Move(from, to)) => {
                let dir = format!("{:?}", self.entries.get(to).dir).to_lowercase();
                format!("{}: moves {} to {dir}/", who(me), entry(from))
            }
            Event::Called(me, Call::Unlink(id)) => format!("{}: unlinks {}", who(me), entry(id)),
            Event::Called(me, Call::Sync(dir)) => {
                format!("{}: syncs {}/", who(me), format!("{dir:?}").to_lowercase())
            }
            Event::Called(me, call) => format!("{}: {call:?}", who(me)),
            Event::Killed(me) => format!("{} is killed", who(me)),
            Event::PowerLost(kept, of) => {
                format!("power is lost, {} of {of} unsynced changes stay", kept.count_ones())
            }
        }
    }
}
