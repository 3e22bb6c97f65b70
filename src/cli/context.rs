//! What every command works with: settings, console, machine, signals.

use std::path::{Path, PathBuf};
use std::time::Duration;

use larder::observe::Occupied;
use larder::ops::open::open_local;
use larder::repo::repository::Repository;

use crate::cli::args::Globals;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result, in_full};
use crate::cli::hints;
use crate::cli::host::Machine;
use crate::cli::output::console::Console;
use crate::cli::output::json::snapshot::Clock;
use crate::cli::output::wording;
use crate::cli::settings::{Environment, Given, Settings};
use crate::cli::shell;
use crate::cli::signals::Signals;

/// Those who decide and those who remove wait so long for each other when nothing is said.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// What a command works with.
#[derive(Debug)]
pub(crate) struct Context {
    /// The flags that every command has.
    pub(crate) globals: Globals,
    /// What they, the environment and the configuration come to.
    pub(crate) settings: Settings,
    /// Standard output and error.
    pub(crate) console: Console,
    /// The machine.
    pub(crate) host: Machine,
    /// Who wants the work to stop.
    pub(crate) signals: Signals,
}

impl Context {
    /// Resolves the settings.
    pub(crate) fn new(
        globals: &Globals,
        console: Console,
    ) -> std::result::Result<Self, (Console, Failure)> {
        match Settings::resolve(globals, &Environment::read()) {
            Ok(settings) => Ok(Self {
                globals: globals.clone(),
                settings,
                console,
                host: Machine::look(),
                signals: Signals::default(),
            }),
            Err(failure) => Err((console, failure)),
        }
    }

    /// The repository that is meant.
    pub(crate) fn place(&self) -> Result<&Given<PathBuf>> {
        self.settings.repository.as_ref().ok_or_else(|| {
            Failure::usage("no repository is named, and without HOME there is no place for one")
                .with_hint(format!("{} --repo PATH", shell_command()))
        })
    }

    /// Opens the repository that is meant.
    pub(crate) fn open(&self) -> Result<Repository> {
        let repository = open_local(&self.place()?.value)?;
        self.note_repository()?;
        Ok(repository)
    }

    /// Says which repository it is, to those who want to hear more.
    pub(crate) fn note_repository(&self) -> Result<()> {
        let place = self.place()?;
        if self.console.is_verbose() {
            let path = place.value.display();
            self.console.note(format!("repository {path}, by {}", place.origin));
        }
        Ok(())
    }

    /// In which zone times are written.
    pub(crate) fn clock(&self) -> Clock<'_> {
        Clock { zone: &self.settings.zone.rules, name: &self.settings.zone.name }
    }

    /// A command line for this repository and configuration.
    pub(crate) fn command(&self, rest: &str) -> String {
        let mut words = vec!["larder".to_owned()];
        let mut option = |flag: &str, value: Option<&Path>| {
            if let Some(value) = value.filter(|_| !self.globals.is_from_environment(flag)) {
                let value = value.to_string_lossy();
                words.push(format!("--{flag} {}", shell::word(&value)));
            }
        };
        option("repo", self.globals.repo.as_deref());
        option("config", self.globals.config.as_deref());
        words.push(rest.to_owned());
        words.join(" ")
    }

    /// How long those who decide and those who remove wait for each other.
    pub(crate) fn lock_wait(&self) -> Duration {
        self.globals.lock_wait.unwrap_or(LOCK_WAIT)
    }

    /// Says whom one waits for.
    pub(crate) fn say_who_is_waited_for(&self, occupied: &Occupied) {
        self.console.note(wording::waiting(occupied, &self.settings.zone.rules));
    }

    /// Says why something failed, and what to do; returns how the process ends because of it.
    pub(crate) fn report(&self, failure: &Failure) -> Exit {
        let exit = match failure.exit() {
            Exit::Interrupted(_) => Exit::Interrupted(self.signals.caught()),
            exit => exit,
        };
        match failure {
            Failure::OutputClosed => {}
            Failure::Own { message, hint, .. } => {
                self.console.failure(exit, message, hint.as_deref());
            }
            Failure::Library(error) => {
                let hint = hints::for_error(error, self);
                let text = match error.occupied() {
                    Some(occupied) => wording::occupied(occupied, &self.settings.zone.rules),
                    None => self.console.brief(&in_full(error)),
                };
                self.console.failure(exit, &text, hint.as_deref());
            }
        }
        exit
    }
}

/// This command as it was given.
fn shell_command() -> String {
    let words: Vec<String> =
        std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned()).collect();
    format!("larder {}", shell::words(&words)).trim_end().to_owned()
}
