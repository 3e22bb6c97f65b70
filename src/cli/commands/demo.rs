//! `larder demo`: larder at work on a made-up application.

use std::path::PathBuf;

use clap::Args;

use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};

/// Make the directory of a small application, let it work, take snapshots of it over seven simulated
/// nights, and get a deleted file back.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Keep everything in this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(_: &DemoArgs, _: &Context) -> Result<Exit> {
    Err(Failure::failed("the demo is not part of this build yet"))
}
