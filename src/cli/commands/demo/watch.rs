//! What one sees while the demo works: on a terminal a line that says what goes on, elsewhere nothing.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use larder::error::Error;
use larder::observe::{Observer, Phase, Total, Warning};

use crate::cli::context::Context;
use crate::cli::failure::Result;
use crate::cli::output::console::{Form, Shown};

/// Says what goes on, and when to stop.
pub(super) struct Watch<'c> {
    context: &'c Context,
    spinner: Option<ProgressBar>,
}

impl<'c> Watch<'c> {
    /// Shows nothing yet.
    pub(super) fn new(context: &'c Context) -> Self {
        let shown = context.console.progress() == Shown::Bars;
        Self { context, spinner: shown.then(spinner) }
    }

    /// What goes on now.
    pub(super) fn say(&self, what: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(what.to_owned());
        }
    }

    /// A line of the page, for people.
    pub(super) fn line(&self, text: &str) -> Result<()> {
        let console = &self.context.console;
        if console.form() != Form::Text {
            return Ok(());
        }
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| console.line(text)),
            None => console.line(text),
        }
    }

    /// Ends the demo if someone wants it to end.
    pub(super) fn go_on(&self) -> Result<()> {
        if self.cancelled() { Err(Error::Interrupted.into()) } else { Ok(()) }
    }

    /// Nothing goes on any more.
    pub(super) fn finish(&self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

fn spinner() -> ProgressBar {
    let spinner = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template(" {spinner}        {msg}");
    spinner.set_style(style.expect("invariant: the template is a constant"));
    spinner.enable_steady_tick(Duration::from_millis(100));
    spinner
}

impl Observer for Watch<'_> {
    fn begin(&self, _: Phase, _: Option<Total>) {}

    fn advance(&self, _: u64, _: u64) {}

    fn warn(&self, warning: Warning) {
        let note = || self.context.console.note(warning.to_string());
        match &self.spinner {
            Some(spinner) => spinner.suspend(note),
            None => note(),
        }
    }

    fn cancelled(&self) -> bool {
        self.context.signals.asked_to_stop()
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.finish();
    }
}
