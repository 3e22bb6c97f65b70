//! `larder cat`: writes one file of a snapshot to standard output.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use larder::ops::cat::Stored;
use larder::ops::catalog::Catalog;
use larder::ops::spool::SpoolDir;
use larder::repo::space::MinFree;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::units::parse_bytes;
use crate::cli::spool::Spool;

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
    /// Where a database is made and proved before it is written [default: TMPDIR, else /var/tmp]
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Room that stays free on the spool's disk [default: 1 GiB or 5 %, whichever is less]
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    min_free: Option<u64>,
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
    let file = Stored::find(&reader, snapshot, &args.path)?;
    // Only a database needs one: other files come out of a machine that has no room for it, too.
    let place = &context.place()?.value;
    let spool = file.needs_spool().then(|| Spool::find(args.spool.as_deref(), place, &[]));
    let spool = spool.transpose()?;
    let min_free = MinFree { asked_bytes: args.min_free };
    let spool = spool.as_ref().map(|spool| SpoolDir { dir: spool.dir(), min_free });
    let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    file.write(spool, &mut output)?;
    output.flush().map_err(|error| Failure::output(&error))?;
    Ok(context.note_damage(&catalog, &reader, &[(&args.snapshot, snapshot)]))
}
