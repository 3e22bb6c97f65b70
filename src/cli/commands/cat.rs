//! `larder cat`: writes one file of a snapshot to standard output.

use std::env;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use larder::ops::cat::cat;
use larder::ops::catalog::Catalog;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;

/// Write one file of a snapshot to standard output. Every byte is proved before it is written: at
/// damage the output ends, with exit 20.
#[derive(Debug, Args)]
pub(crate) struct CatArgs {
    /// The snapshot: latest, latest~2, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "SNAP")]
    snapshot: String,
    /// The file: its path from the root of the source, or absolute as it was there
    #[arg(value_name = "PATH")]
    path: PathBuf,
    #[command(flatten)]
    of: OfSource,
}

/// Runs the command.
pub(crate) fn run(args: &CatArgs, context: &Context) -> Result<Exit> {
    if context.console.form() != Form::Text {
        let what = "cat writes the file's own bytes and has no JSON; ls --json describes the file";
        return Err(Failure::usage(what));
    }
    let repository = context.open()?;
    let catalog = Catalog::open(&repository)?;
    let snapshot = context.select(&catalog, &args.snapshot, &args.of)?;
    let reader = catalog.reader()?;
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    cat(&reader, snapshot, &args.path, &spool_dir(), &mut output)?;
    output.flush().map_err(|error| Failure::output(&error))?;
    Ok(context.note_damage(&catalog, &reader, &[(&args.snapshot, snapshot)]))
}

/// Where a database is made and proved before it is written out: it is without a name there.
fn spool_dir() -> PathBuf {
    let named = env::var_os("TMPDIR").filter(|dir| !dir.is_empty());
    named.map_or_else(|| PathBuf::from("/var/tmp"), PathBuf::from)
}
