//! `larder ls`: lists files of a snapshot.

use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::Args;
use larder::codec::manifest::{Entry, EntryKind};
use larder::codec::snapshot::DatabaseRecord;
use larder::ops::catalog::Catalog;
use larder::ops::ls::{Depth, ls};
use larder::repo::snapshots::Snapshot;
use serde::Serialize;

use crate::cli::args::OfSource;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::entries::{EntryBody, long};
use crate::cli::output::json::Listing;
use crate::cli::output::json::database::DatabaseBody;
use crate::cli::output::json::snapshot::SnapshotRef;
use crate::cli::output::known;
use crate::cli::output::wording::absolute_or_relative;

/// List what lies in a directory of a snapshot. Names come as they are into a pipe; on a terminal, control
/// characters are spelt out.
#[derive(Debug, Args)]
pub(crate) struct LsArgs {
    /// The snapshot: latest, latest~2, an id, 2026-11-22, "2026-11-22 14:00", tag:NAME
    #[arg(value_name = "SNAP", default_value = "latest")]
    snapshot: String,
    /// A path in it: from the root of the source, or absolute as it was there
    #[arg(value_name = "PATH")]
    path: Option<PathBuf>,
    /// With mode, owner, size and time
    #[arg(short, long)]
    long: bool,
    /// With all that is below
    #[arg(short = 'R', long)]
    recursive: bool,
    #[command(flatten)]
    of: OfSource,
}

#[derive(Serialize)]
struct Head {
    snapshot: SnapshotRef,
}

/// Runs the command.
pub(crate) fn run(args: &LsArgs, context: &Context) -> Result<Exit> {
    let repository = context.open()?;
    let catalog = Catalog::open(&repository)?;
    let snapshot = context.select(&catalog, &args.snapshot, &args.of)?;
    let reader = catalog.reader()?;
    let depth = if args.recursive { Depth::Everything } else { Depth::Children };
    let output = BufWriter::new(io::stdout().lock());
    let mut listed: Box<dyn Listed + '_> = if context.console.form() == Form::Text {
        Box::new(Lines { output, args, context, snapshot })
    } else {
        Box::new(Json::begin(output, snapshot, context)?)
    };
    let done = ls(&reader, snapshot, args.path.as_deref(), depth, |entry| listed.entry(&entry));
    let done = done.map_err(Failure::from);
    listed.end(done.as_ref().err().map(Failure::exit))?;
    done?;
    Ok(context.note_damage(&catalog, &reader, &[(&args.snapshot, snapshot)]))
}

/// Takes the entries as they come.
trait Listed {
    fn entry(&mut self, entry: &Entry) -> larder::error::Result<()>;

    /// No more will come, for this reason if it is not the end.
    fn end(self: Box<Self>, cut_off: Option<Exit>) -> Result<()>;
}

struct Lines<'a, W: Write> {
    output: W,
    args: &'a LsArgs,
    context: &'a Context,
    snapshot: &'a Snapshot,
}

impl<W: Write> Listed for Lines<'_, W> {
    fn entry(&mut self, entry: &Entry) -> larder::error::Result<()> {
        let mut line = Vec::new();
        if self.args.long {
            line.extend(long(entry, &self.context.settings.zone.rules).into_bytes());
        }
        line.extend(self.context.console.name(&self.name(entry)));
        if let EntryKind::Symlink { target } = &entry.kind
            && self.args.long
        {
            line.extend(b" -> ");
            line.extend(self.context.console.name(target));
        }
        if let Some(database) = database(self.snapshot, entry).filter(|_| self.args.long) {
            let version = database.knowledge.as_ref().and_then(known::schema_version);
            let version = version.map(|it| format!(", {it}")).unwrap_or_default();
            line.extend(format!("  ({}{version})", known::label(database.label)).into_bytes());
        }
        line.push(b'\n');
        self.output.write_all(&line).map_err(writing)
    }

    fn end(mut self: Box<Self>, _: Option<Exit>) -> Result<()> {
        self.output.flush().map_err(|error| Failure::output(&error))
    }
}

impl<W: Write> Lines<'_, W> {
    /// A path that `larder cat` and `larder restore` take; of a directory with a slash behind it.
    fn name(&self, entry: &Entry) -> Vec<u8> {
        let mut name = absolute_or_relative(self.snapshot, &entry.key);
        if entry.kind == EntryKind::Directory && !name.ends_with(b"/") {
            name.push(b'/');
        }
        name
    }
}

/// What the snapshot knows of an entry that is a database.
fn database<'s>(snapshot: &'s Snapshot, entry: &Entry) -> Option<&'s DatabaseRecord> {
    snapshot
        .record
        .databases
        .iter()
        .find(|it| (it.root, &it.path) == (entry.key.root, &entry.key.path))
}

struct Json<'a, W: Write> {
    listing: Listing<W>,
    context: &'a Context,
    snapshot: &'a Snapshot,
}

/// An entry, with what is known of it when it is a database.
#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    entry: EntryBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    database: Option<DatabaseBody>,
}

impl<'a, W: Write> Json<'a, W> {
    fn begin(output: W, snapshot: &'a Snapshot, context: &'a Context) -> Result<Self> {
        let head = Head { snapshot: SnapshotRef::of(snapshot, context.clock()) };
        Ok(Self { listing: Listing::begin(output, &head, "entries")?, context, snapshot })
    }
}

impl<W: Write> Listed for Json<'_, W> {
    fn entry(&mut self, entry: &Entry) -> larder::error::Result<()> {
        let zone = &self.context.settings.zone.rules;
        let database = database(self.snapshot, entry).map(|it| DatabaseBody::of(it, zone));
        let body = Item { entry: EntryBody::of(entry, zone), database };
        self.listing.item(&body).map_err(|failure| match failure {
            Failure::OutputClosed => writing(io::ErrorKind::BrokenPipe.into()),
            _ => writing(io::Error::other("standard output")),
        })
    }

    fn end(self: Box<Self>, cut_off: Option<Exit>) -> Result<()> {
        match cut_off {
            // The error's own line follows; this one stays a document.
            Some(_) => self.listing.end("complete", &false),
            None => self.listing.end("complete", &true),
        }
    }
}

fn writing(source: io::Error) -> larder::error::Error {
    larder::error::Error::Io { what: "writing the output".into(), source }
}
