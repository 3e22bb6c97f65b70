//! What is saved of a database that cannot be captured where it is.
//!
//! Invariant: nothing here opens the database through `SQLite`; the files are
//! only read. Recovery happens in a private copy, by a helper of its own.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::codec::snapshot::{CaptureMethod, CheckResult, DatabaseIdentity, DatabaseLabel};
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::context::{Context, Copy, Finding, NoCopy};
use crate::sqlite::header::wal_page_size;
use crate::sqlite::identity::{self, bytes_of};
use crate::sqlite::protocol::{Access, Refusal};
use crate::sqlite::recognise::{open_regular, side_file};
use crate::sqlite::told::Told;

/// How often a copy is repeated until nothing changed beneath it.
const COPIES: usize = 5;

/// Why a private copy is made, and so what it may be called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    /// A journal or a log is to be recovered, and nobody has the database open.
    ToRecover,
    /// Somebody has it locked, it cannot be opened where it is, or it never holds still.
    OutOfReach,
}

/// An empty file without a log is a committed state: nothing was ever committed to it.
pub(super) fn empty(
    context: &Context<'_>,
    before: &DatabaseIdentity,
) -> Result<Option<Captured>, CaptureError> {
    let started_ns = context.now_ns();
    let spool = context.spool(0)?;
    if context.observe()? != *before {
        return Ok(None);
    }
    let finding = Finding {
        label: DatabaseLabel::Committed,
        method: CaptureMethod::RawCopy,
        check: CheckResult::NotRun("it is empty".to_owned()),
        told: Told::default(),
        started_ns,
        identity: context.identity_since(before, started_ns),
    };
    context.finish(spool, finding).map(Some)
}

/// Copies the file's bytes, whatever they are; if it does not hold still, as they were read last.
pub(super) fn raw(
    context: &Context<'_>,
    label: DatabaseLabel,
    check: CheckResult,
) -> Result<Captured, CaptureError> {
    let started_ns = context.now_ns();
    let spool = context.spool(context.observe()?.main.size)?;
    let (seen, stable) =
        until_stable(context, |seen| copy(context, context.path, spool.file(), seen.main.size))?;
    let identity = stable.then(|| context.identity_since(&seen, started_ns)).flatten();
    let (method, told) = (CaptureMethod::RawCopy, Told::default());
    context.finish(spool, Finding { label, method, check, told, started_ns, identity })
}

/// A private copy of a database that cannot be read where it is, recovered.
pub(super) fn crash_image(context: &Context<'_>) -> Result<Captured, CaptureError> {
    match private(context, Reason::OutOfReach, true)? {
        Some(captured) => Ok(captured),
        None => Err(context.source(io::Error::other("it does not hold still"))),
    }
}

/// Copies database, log and journal into the spool's private directory and lets `SQLite` recover them there.
///
/// `None` when the files did not hold still; with `accept` they are taken as a crash would have left them.
pub(super) fn private(
    context: &Context<'_>,
    reason: Reason,
    accept: bool,
) -> Result<Option<Captured>, CaptureError> {
    // The copy and what is recovered from it, at most as much again.
    let need_bytes = bytes_of(&context.observe()?).saturating_mul(2);
    let spool = context.spool(need_bytes)?;
    let main = spool.path().with_file_name("copy");
    let (seen, stable) = until_stable(context, |seen| copy_files(context, seen, &main))?;
    if !stable && !accept {
        return Ok(None);
    }
    let label = match (reason, stable) {
        (Reason::ToRecover, true) => DatabaseLabel::Recovered,
        _ => DatabaseLabel::CrashImage,
    };
    let copied = fs::symlink_metadata(&main).map_err(|error| context.spool_failed(error))?;
    match context.run(spool, (&main, identity::of(&copied)), Access::Private)? {
        Ok(copy) => recovered(context, copy, label, &seen).map(Some),
        Err(refused) => unrecoverable(context, refused, label).map(Some),
    }
}

/// A recovery that held still and still fails the check is not kept: the files that it was made from say more.
fn recovered(
    context: &Context<'_>,
    copy: Copy,
    label: DatabaseLabel,
    seen: &DatabaseIdentity,
) -> Result<Captured, CaptureError> {
    if label == DatabaseLabel::Recovered && matches!(copy.done.check, CheckResult::Failed(_)) {
        return raw(context, DatabaseLabel::SourceCorrupt, copy.done.check);
    }
    let finding = Finding {
        label,
        method: CaptureMethod::PrivateRecovery,
        check: copy.done.check,
        told: copy.told,
        started_ns: copy.started_ns,
        identity: context.identity_since(seen, copy.started_ns),
    };
    context.finish(copy.spool, finding)
}

/// What held still and cannot be recovered is broken; of what did not, the copy may be to blame.
fn unrecoverable(
    context: &Context<'_>,
    NoCopy { reason, detail, .. }: NoCopy,
    label: DatabaseLabel,
) -> Result<Captured, CaptureError> {
    let corrupt = matches!(reason, Refusal::Corrupt | Refusal::NotADatabase);
    match (label, corrupt) {
        (DatabaseLabel::Recovered, true) => {
            raw(context, DatabaseLabel::SourceCorrupt, CheckResult::Failed(detail))
        }
        (DatabaseLabel::Recovered, false) => {
            raw(context, DatabaseLabel::Opaque, CheckResult::NotRun(detail))
        }
        (other, _) => raw(context, other, CheckResult::NotRun(detail)),
    }
}

/// Copies until the files were the same before and after; returns what they were, and whether they held still.
fn until_stable(
    context: &Context<'_>,
    mut copy: impl FnMut(&DatabaseIdentity) -> Result<(), CopyError>,
) -> Result<(DatabaseIdentity, bool), CaptureError> {
    let mut before = context.observe()?;
    for _ in 0..COPIES {
        copy(&before).map_err(|error| error.of(context))?;
        let after = context.observe()?;
        if after == before {
            return Ok((after, true));
        }
        before = after;
    }
    Ok((before, false))
}

fn copy_files(context: &Context<'_>, seen: &DatabaseIdentity, to: &Path) -> Result<(), CopyError> {
    let from = context.path;
    let main = create(to)?;
    copy(context, from, &main, seen.main.size)?;
    if seen.main.size == 0 {
        // SQLite deletes the log of an empty database unread. All of this one is in its log, page 1 too.
        let page = wal_page_size(&seen.wal_header).unwrap_or(512);
        main.set_len(u64::from(page)).map_err(CopyError::Spool)?;
    }
    for (suffix, seen) in [("-wal", seen.wal), ("-journal", seen.journal)] {
        let copied = side_file(to, suffix);
        match seen {
            Some(seen) => copy_if_there(context, &side_file(from, suffix), &copied, seen.size)?,
            None => remove(&copied)?,
        }
    }
    Ok(())
}

/// A side file that has just gone shows when the files are looked at again.
fn copy_if_there(
    context: &Context<'_>,
    from: &Path,
    to: &Path,
    limit: u64,
) -> Result<(), CopyError> {
    match copy(context, from, &create(to)?, limit) {
        Err(CopyError::Source(error)) if error.kind() == io::ErrorKind::NotFound => remove(to),
        other => other,
    }
}

fn remove(path: &Path) -> Result<(), CopyError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(CopyError::Spool(error)),
        _ => Ok(()),
    }
}

/// Why a copy was not made: a source error is a finding, a spool error is not.
enum CopyError {
    Source(io::Error),
    Spool(io::Error),
    Cancelled,
}

impl CopyError {
    fn of(self, context: &Context<'_>) -> CaptureError {
        match self {
            Self::Source(error) => context.source(error),
            Self::Spool(error) => context.spool_failed(error),
            Self::Cancelled => CaptureError::Cancelled { path: context.path.to_owned() },
        }
    }
}

fn create(path: &Path) -> Result<File, CopyError> {
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.open(path).map_err(CopyError::Spool)
}

/// Copies at most `limit` bytes, the size that was seen: a file that grows as fast as it is read would never end.
fn copy(context: &Context<'_>, from: &Path, to: &File, limit: u64) -> Result<(), CopyError> {
    let mut to = to;
    to.set_len(0).and_then(|()| to.rewind()).map_err(CopyError::Spool)?;
    let mut from = open_regular(from).map_err(CopyError::Source)?.take(limit);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        if context.options.observer.cancelled() {
            return Err(CopyError::Cancelled);
        }
        let read = from.read(&mut buffer).map_err(CopyError::Source)?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            return Ok(());
        };
        to.write_all(bytes).map_err(CopyError::Spool)?;
    }
}
