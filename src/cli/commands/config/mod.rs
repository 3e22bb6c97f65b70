//! `larder config`: shows the configuration that counts, checks one, or gives an example.
//!
//! Here live the three of them. Not here: reading the file (`cli::config`) and
//! deciding which value wins (`settings`).

use clap::{Args, Subcommand};

use crate::cli::args::Globals;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::output::console::Console;

mod check;
mod example;
mod show;

/// Show every value that counts and who gave it, check a configuration, or print an example
#[derive(Debug, Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show each value and who gave it
    Show,
    /// Look for faults: every one is listed, with its line
    Check,
    /// Print a configuration to begin with
    Example,
}

/// Runs the command. A faulty configuration must not keep `check` from listing its faults, hence no context yet.
pub(crate) fn run(args: &ConfigArgs, globals: &Globals, console: Console) -> Exit {
    let done = match args.what {
        What::Example => example::run(&console),
        What::Check => check::run(globals, &console),
        What::Show => match Context::new(globals, console) {
            Ok(context) => {
                return show::run(&context).unwrap_or_else(|failure| context.report(&failure));
            }
            Err((console, failure)) => return console.end(&Err(failure)),
        },
    };
    console.end(&done)
}
