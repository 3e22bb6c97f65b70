//! How far the work is: a bar on a terminal, a line at the beginning of a phase and each second in JSON, nothing elsewhere.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use jiff::tz::TimeZone;
use larder::observe::{Observer, Occupied, Phase, Total, Warning};
use serde::Serialize;

use crate::cli::output::console::{Console, Shown};
use crate::cli::output::json::WarningKind;
use crate::cli::output::units::{bytes, many, seconds};
use crate::cli::output::wording;
use crate::cli::signals::Signals;

/// Between two lines of JSON.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

/// Shows progress and warnings of one use case, measures its phases, and says when to stop.
pub(crate) struct Progress<'c> {
    console: &'c Console,
    signals: Signals,
    items: Arc<AtomicU64>,
    bytes: AtomicU64,
    state: Mutex<State>,
    zone: TimeZone,
}

#[derive(Default)]
struct State {
    phase: Option<Current>,
    spent: BTreeMap<&'static str, Duration>,
}

struct Current {
    phase: Phase,
    total: Option<Total>,
    began: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
}

/// A line of progress in JSON.
#[derive(Serialize)]
struct Status {
    phase: &'static str,
    items_done: u64,
    bytes_done: u64,
    items_total: Option<u64>,
    bytes_total: Option<u64>,
    /// The totals are those of the previous snapshot.
    total_estimated: bool,
    elapsed_ms: u64,
}

impl<'c> Progress<'c> {
    /// Nothing is shown until a phase begins.
    pub(crate) fn new(console: &'c Console, signals: &Signals) -> Self {
        Self {
            console,
            signals: signals.clone(),
            items: Arc::default(),
            bytes: AtomicU64::new(0),
            state: Mutex::default(),
            zone: TimeZone::UTC,
        }
    }

    /// In which zone times are said.
    pub(crate) fn in_zone(mut self, zone: &TimeZone) -> Self {
        self.zone = zone.clone();
        self
    }

    /// Takes the bar away; call it before writing anything.
    pub(crate) fn finish(&self) {
        let mut state = self.state();
        end_phase(&mut state);
    }

    /// How long a phase took; `None` when it was not begun.
    pub(crate) fn spent(&self, phase: Phase) -> Option<Duration> {
        self.state().spent.get(name(phase)).copied()
    }

    /// Says it above the bar.
    fn say(&self, kind: WarningKind, warning: &Warning) {
        let bar = self.state().phase.as_ref().and_then(|current| current.bar.clone());
        let say = || self.console.warning(kind, warning);
        match bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bar(&self, phase: Phase, total: Option<Total>) -> Option<ProgressBar> {
        if self.console.progress() != Shown::Bars {
            return None;
        }
        let len = total.map(|total| length(phase, total)).filter(|len| *len > 0);
        let bar = ProgressBar::with_draw_target(len, ProgressDrawTarget::stderr_with_hz(10));
        bar.set_style(self.style(phase, total.filter(|_| len.is_some())));
        bar.set_prefix(name(phase));
        bar.enable_steady_tick(Duration::from_millis(100));
        Some(bar)
    }

    fn style(&self, phase: Phase, total: Option<Total>) -> ProgressStyle {
        let bar = match (total.is_some(), self.console.has_colors()) {
            (true, true) => "{bar:20.cyan}",
            (true, false) => "{bar:20}",
            (false, _) => "{spinner}",
        };
        let items = self.items.clone();
        let style = ProgressStyle::with_template(&format!("  {{prefix:9}}  {bar}  {{done}}"))
            .expect("invariant: the template is a constant that the tests draw");
        style.progress_chars("=> ").with_key(
            "done",
            move |state: &ProgressState, text: &mut dyn std::fmt::Write| {
                // What cannot be shown is left out.
                let _ = text.write_str(&done(phase, total, (state, items.load(Ordering::Relaxed))));
            },
        )
    }

    fn says_lines(&self) -> bool {
        self.console.progress() == Shown::Lines
    }

    fn say_line(&self, current: &mut Current) {
        current.said = Instant::now();
        let status = Status {
            phase: name(current.phase),
            items_done: self.items.load(Ordering::Relaxed),
            bytes_done: self.bytes.load(Ordering::Relaxed),
            items_total: current.total.map(|total| total.items),
            bytes_total: current.total.map(|total| total.bytes),
            total_estimated: current.total.is_some_and(|total| total.estimated),
            elapsed_ms: millis(current.began.elapsed()),
        };
        // A closed output ends the command at its next line that matters.
        let _ = self.console.json_line("status", &status);
    }
}

fn end_phase(state: &mut State) {
    if let Some(current) = state.phase.take() {
        *state.spent.entry(name(current.phase)).or_default() += current.began.elapsed();
        if let Some(bar) = current.bar {
            bar.finish_and_clear();
        }
    }
}

impl Observer for Progress<'_> {
    fn begin(&self, phase: Phase, total: Option<Total>) {
        let mut state = self.state();
        end_phase(&mut state);
        self.items.store(0, Ordering::Relaxed);
        self.bytes.store(0, Ordering::Relaxed);
        let bar = self.bar(phase, total);
        let now = Instant::now();
        let mut current = Current { phase, total, began: now, said: now, bar };
        if self.says_lines() {
            self.say_line(&mut current);
        }
        state.phase = Some(current);
    }

    fn advance(&self, items: u64, bytes: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        let mut state = self.state();
        let Some(current) = &mut state.phase else { return };
        if let Some(bar) = &current.bar {
            bar.inc(if counts_bytes(current.phase) { bytes } else { items });
        } else if self.says_lines() && current.said.elapsed() >= BETWEEN_LINES {
            self.say_line(current);
        }
    }

    fn warn(&self, warning: Warning) {
        self.say(WarningKind::Finding, &warning);
    }

    fn remark(&self, remark: Warning) {
        self.say(WarningKind::Note, &remark);
    }

    fn waits(&self, by: &Occupied) {
        self.console.note(wording::waiting(by, &self.zone));
    }

    fn cancelled(&self) -> bool {
        self.signals.asked_to_stop()
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}

/// Whole milliseconds.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Files => "files",
        Phase::Databases => "databases",
        Phase::Commit => "saving",
        Phase::Restore => "restoring",
        Phase::CheckStructure => "structure",
        Phase::CheckData => "data",
        Phase::Mark => "snapshots",
        Phase::Rewrite => "rewriting",
    }
}

fn counts_bytes(phase: Phase) -> bool {
    !matches!(phase, Phase::CheckStructure | Phase::Commit | Phase::Mark)
}

fn length(phase: Phase, total: Total) -> u64 {
    if counts_bytes(phase) { total.bytes } else { total.items }
}

fn done(phase: Phase, total: Option<Total>, (state, items): (&ProgressState, u64)) -> String {
    let item = match phase {
        Phase::Files | Phase::Restore => "file",
        Phase::Databases => "database",
        Phase::CheckStructure | Phase::Mark => "snapshot",
        Phase::CheckData => "pack",
        Phase::Rewrite => "blob",
        Phase::Commit => return String::new(),
    };
    let items = many(items, item);
    if !counts_bytes(phase) {
        return items;
    }
    let (pos, rate) = (bytes(state.pos()), state.per_sec());
    let Some(total) = total else {
        return format!("{pos}  {items}  {}/s", bytes(whole(rate)));
    };
    let about = if total.estimated { "~" } else { "" };
    let mut text = format!("{pos} of {about}{}  {}/s", bytes(total.bytes), bytes(whole(rate)));
    if total.bytes > state.pos() && rate > 1.0 {
        // Rounded up: nothing is left in no time.
        let left = Duration::from_secs(state.eta().as_secs() + 1);
        // Writing to a string cannot fail.
        let _ = write!(text, "  {} left", seconds(left));
    }
    text
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate for people; what does not fit is shown at the limit"
)]
fn whole(rate: f64) -> u64 {
    rate as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phase_can_be_drawn() {
        let globals =
            clap::Parser::try_parse_from(["larder"]).map(|cli: crate::cli::args::Cli| cli.globals);
        let console = Console::new(&globals.unwrap(), false);
        let progress = Progress::new(&console, &Signals::default());
        let total = Total { items: 2, bytes: 10, estimated: true };
        for phase in [Phase::Files, Phase::Databases, Phase::Commit, Phase::CheckStructure] {
            for total in [None, Some(total)] {
                drop(progress.style(phase, total));
                progress.begin(phase, total);
                progress.advance(1, 5);
            }
        }
        progress.finish();
        assert!(progress.spent(Phase::Commit).is_some());
        assert!(progress.spent(Phase::CheckData).is_none());
    }
}
