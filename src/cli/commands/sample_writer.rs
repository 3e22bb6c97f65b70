//! The application of the demo, as a process of its own.

use std::io;
use std::path::PathBuf;

use clap::Args;
use larder_sample::writer::{Pace, run_until_stdin_closes};

use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};

/// Work on a sample directory until standard input is closed; say `ready`, and at the end what was done.
#[derive(Debug, Args)]
pub(crate) struct SampleWriterArgs {
    /// The sample's directory
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Everything random is drawn from this
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Commits a second [default: as many as the machine allows]
    #[arg(long, value_name = "N")]
    rate: Option<u32>,
}

/// Runs the command.
pub(crate) fn run(args: &SampleWriterArgs) -> Result<Exit> {
    let pace = args.rate.map_or(Pace::FlatOut, Pace::CommitsPerSecond);
    match run_until_stdin_closes(&args.dir, args.seed, pace, &mut io::stdout()) {
        Ok(_) => Ok(Exit::Ok),
        Err(error) => Err(Failure::failed(error.to_string())),
    }
}
