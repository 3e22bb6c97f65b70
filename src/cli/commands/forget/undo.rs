//! Bringing back what was forgotten.

use larder::id::SnapshotId;
use larder::ops::prune::{Forgotten, Kept, UndoReport, forgotten, undo};
use larder::repo::locks::Patience;
use larder::repo::repository::Repository;
use larder::repo::snapshots::Snapshot;
use larder::snapshot::select::{Candidate, select};
use serde::Serialize;

use super::ForgetArgs;
use super::page::SHOWN;
use crate::cli::context::Context;
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::Form;
use crate::cli::output::escape::printable;
use crate::cli::output::json::Document;
use crate::cli::output::json::snapshot::SnapshotRef;
use crate::cli::output::progress::Progress;
use crate::cli::output::units::{count, many};

/// Runs it.
pub(super) fn run(args: &ForgetArgs, context: &Context, repository: &Repository) -> Result<Exit> {
    let trash = forgotten(repository)?;
    let ids = chosen(args, context, &trash)?;
    if args.dry_run {
        let snapshots = ids.iter().filter_map(|id| in_trash(&trash, *id)).collect();
        let report = UndoReport { back: snapshots, kept: Vec::new() };
        return said(context, &report, true);
    }
    let progress = Progress::new(&context.console, &context.signals);
    let patience = Patience { wait: context.lock_wait(), observer: &progress };
    let report = undo(repository, &ids, &context.host, patience)?;
    drop(progress);
    said(context, &report, false)
}

/// Says that there is a way back, where a prune does not follow and say more.
pub(super) fn offer(context: &Context, args: &ForgetArgs) -> Result<()> {
    if args.dry_run || args.prune {
        return Ok(());
    }
    let undo = context.command("forget --undo");
    context.console.detail(&format!("until a prune empties the trash, `{undo}` brings it back"))
}

/// Those that are named, else all that were forgotten at the last moment at which anything was.
fn chosen(args: &ForgetArgs, context: &Context, trash: &[Forgotten]) -> Result<Vec<SnapshotId>> {
    let of_source = |it: &&Forgotten| {
        let source = it.record.as_ref().map(|record| record.source.as_str());
        args.source.is_none() || args.source.as_deref() == source
    };
    if args.snapshots.is_empty() {
        let last = trash.iter().filter(of_source).map(|it| it.forgotten_ns).max();
        let of_last = trash.iter().filter(of_source).filter(|it| Some(it.forgotten_ns) == last);
        let ids: Vec<SnapshotId> = of_last.map(|it| it.id).collect();
        if ids.is_empty() {
            return Err(Failure::failed("nothing that was forgotten can be brought back"));
        }
        return Ok(ids);
    }
    let candidates: Vec<Candidate<'_>> = trash
        .iter()
        .filter_map(|it| Some((it.id, it.record.as_ref()?)))
        .map(|(id, record)| Candidate { id, record, tags: &record.tags })
        .collect();
    let zone = &context.settings.zone.rules;
    let one = |name: &String| {
        // One that is not in the trash at all is judged by the use case: it may be there.
        if let Ok(id) = name.parse() {
            return Ok(id);
        }
        let reference = name.parse().map_err(larder::error::Error::Select)?;
        let found = select(&candidates, &reference, args.source.as_deref(), zone);
        found.map(|it| it.id).map_err(|error| {
            Failure::failed(format!("among what was forgotten and can be brought back: {error}"))
        })
    };
    args.snapshots.iter().map(one).collect()
}

fn in_trash(trash: &[Forgotten], id: SnapshotId) -> Option<Snapshot> {
    let found = trash.iter().find(|it| it.id == id)?;
    Some(Snapshot { id, record: found.record.clone()? })
}

fn said(context: &Context, report: &UndoReport, dry_run: bool) -> Result<Exit> {
    let failed = report.kept.iter().any(|(_, why)| *why != Kept::There);
    let exit = if failed { Exit::Failed } else { Exit::Ok };
    let said = match context.console.form() {
        Form::Text => page(context, report, dry_run),
        _ => document(context, report, (dry_run, exit)),
    };
    Failure::after(exit, said)
}

fn page(context: &Context, report: &UndoReport, dry_run: bool) -> Result<()> {
    let console = &context.console;
    let verb = if dry_run { "would bring back" } else { "brought back" };
    let mut back: Vec<&Snapshot> = report.back.iter().collect();
    back.sort_by_key(|it| (&it.record.source, std::cmp::Reverse((it.record.time_ns, it.id))));
    let all = back.len();
    let each = console.is_verbose() || console.is_quiet() || all <= SHOWN + 1;
    for snapshot in back.into_iter().take(if each { all } else { SHOWN }) {
        let source = printable(snapshot.record.source.as_bytes());
        let text = format!("{verb} snapshot {} of {source}", context.describe(snapshot));
        console.line(&if console.is_quiet() { snapshot.id.to_string() } else { text })?;
    }
    if !each {
        console.line(&format!("   + {} more; -v shows each", count((all - SHOWN) as u64)))?;
    }
    for (id, why) in &report.kept {
        let text = why_kept(why);
        match why {
            Kept::There => console.detail(&format!("snapshot {} {text}", id.short()))?,
            _ => console.failure(Exit::Failed, &format!("snapshot {} {text}", id.short()), None),
        }
    }
    if !dry_run && !report.back.is_empty() {
        console.note(format!(
            "the next forget decides about {} again; larder pin keeps what is to stay",
            many(report.back.len() as u64, "snapshot")
        ));
    }
    Ok(())
}

fn why_kept(why: &Kept) -> String {
    match why {
        Kept::There => "is there: it was not forgotten".to_owned(),
        Kept::NotInTrash => {
            "cannot be brought back: its record is not in the trash (any more)".to_owned()
        }
        Kept::Incomplete(damage) => {
            format!("cannot be brought back: something that it needs is gone: {damage}")
        }
    }
}

#[derive(Serialize)]
struct Body {
    dry_run: bool,
    back: Vec<SnapshotRef>,
    not_back: Vec<NotBack>,
    exit_code: u8,
}

#[derive(Serialize)]
struct NotBack {
    id: String,
    reason: &'static str,
    message: String,
}

fn document(context: &Context, report: &UndoReport, (dry_run, exit): (bool, Exit)) -> Result<()> {
    let not_back = |(id, why): &(SnapshotId, Kept)| NotBack {
        id: id.to_string(),
        reason: match why {
            Kept::There => "there",
            Kept::NotInTrash => "not_in_trash",
            Kept::Incomplete(_) => "incomplete",
        },
        message: why_kept(why),
    };
    context.console.document(&Document::new(Body {
        dry_run,
        back: report.back.iter().map(|it| SnapshotRef::of(it, context.clock())).collect(),
        not_back: report.kept.iter().map(not_back).collect(),
        exit_code: exit.code(),
    }))
}
