//! The command line: arguments in, text or JSON out, an exit code at the end.
//!
//! Here live what a person or a script sees: one file a command in `commands`,
//! the shapes of output in `output`, configuration, hints, signals. Not here:
//! anything that decides what is stored or given back; that is the library's,
//! of which only the public part can be seen from here.
//!
//! Invariant: a command returns how it ended; only `main` ends the process.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use clap::error::ErrorKind;

use crate::cli::args::{Cli, Command, Globals};
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Console;

mod args;
mod capture;
mod commands;
mod config;
mod context;
mod exit;
mod failure;
mod hints;
mod host;
mod output;
mod overview;
mod paths;
mod retention;
mod settings;
mod shell;
mod signals;
mod snapshot;
mod spool;
mod zone;

/// Runs what the command line asks for.
pub(crate) fn main() -> ExitCode {
    let exit = match Cli::read() {
        Ok(cli) => run(&cli),
        Err(error) => misread(&error),
    };
    ExitCode::from(exit.code())
}

fn run(cli: &Cli) -> Exit {
    let streams = matches!(
        cli.command,
        Some(Command::Backup(_) | Command::Restore(_) | Command::Check(_) | Command::Prune(_))
    );
    let console = Console::new(&cli.globals, streams);
    match &cli.command {
        None => console.end(&console.page(&overview::page()).map(|()| Exit::Ok)),
        Some(Command::CaptureHelper) => commands::capture_helper(),
        Some(Command::SampleWriter(args)) => console.end(&commands::sample_writer::run(args)),
        Some(Command::Config(args)) => commands::config::run(args, &cli.globals, console),
        Some(command) => with_context(command, &cli.globals, console),
    }
}

fn with_context(command: &Command, globals: &Globals, console: Console) -> Exit {
    let context = match Context::new(globals, console) {
        Ok(context) => context,
        Err((console, failure)) => return console.end(&Err(failure)),
    };
    match patiently(command, &context) {
        Ok(exit) => exit,
        Err(failure) => context.report(&failure),
    }
}

/// Between two attempts to get what others hold.
const PAUSE: Duration = Duration::from_millis(200);

/// Runs a command again while others hold what it needs, as long as was asked for. Locks are what a command takes first: until it has
/// them nothing is written and nothing is said.
fn patiently(command: &Command, context: &Context) -> Result<Exit> {
    let until = Instant::now() + context.globals.lock_wait.unwrap_or_default();
    let mut said = false;
    loop {
        let outcome = dispatch(command, context);
        let Err(Failure::Library(error)) = &outcome else { return outcome };
        let Some(occupied) = error.occupied() else { return outcome };
        if Instant::now() + PAUSE >= until || context.signals.asked_to_stop() {
            return outcome;
        }
        if !said {
            context.say_who_is_waited_for(occupied);
            said = true;
        }
        thread::sleep(PAUSE);
    }
}

fn dispatch(command: &Command, context: &Context) -> Result<Exit> {
    match command {
        Command::Init(args) => commands::init::run(args, context),
        Command::Backup(args) => commands::backup::run(args, context),
        Command::Snapshots(args) => commands::snapshots::run(args, context),
        Command::Ls(args) => commands::ls::run(args, context),
        Command::Cat(args) => commands::cat::run(args, context),
        Command::Restore(args) => commands::restore::run(args, context),
        Command::Diff(args) => commands::diff::run(args, context),
        Command::Check(args) => commands::check::run(args, context),
        Command::Forget(args) => commands::forget::run(args, context),
        Command::Pin(args) => commands::pin::run(args, context),
        Command::Prune(args) => commands::prune::run(args, context),
        Command::Accept(args) => commands::accept::run(args, context),
        Command::Tag(args) => commands::tag::run(args, context),
        Command::Doctor(args) => commands::doctor::run(args, context),
        Command::Demo(args) => commands::demo::run(args, context),
        Command::Config(_) | Command::CaptureHelper | Command::SampleWriter(_) => {
            unreachable!("handled before there is a context")
        }
    }
}

/// The command line could not be read, or asks for help.
fn misread(error: &clap::Error) -> Exit {
    let is_error = error.use_stderr();
    let wants_json = std::env::args_os().any(|it| it == "--json");
    if is_error && wants_json {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Console::of_json().failure(Exit::Usage, message, Some("larder --help"));
        return Exit::Usage;
    }
    // Help that nobody reads to its end is no failure.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
        _ if is_error => Exit::Usage,
        _ => Exit::Ok,
    }
}
