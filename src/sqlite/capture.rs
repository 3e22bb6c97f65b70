//! Captures a database: one committed state, or the best there is with a label that says so.

use std::cell::RefCell;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::codec::snapshot::{CaptureMethod, CheckResult, DatabaseIdentity, DatabaseLabel};
use crate::observe::Warning;
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::context::{Context, Copy, Finding, NoCopy};
use crate::sqlite::fallback::{self, Reason};
use crate::sqlite::header::{has_magic, is_wal};
use crate::sqlite::identity::bytes_of;
use crate::sqlite::options::CaptureOptions;
use crate::sqlite::protocol::{Access, Refusal};
use crate::sqlite::questions::ColumnSample;
use crate::sqlite::recognise::read_head;

/// Growth of a log that is worth a word, unless the database is larger.
const MUCH_GROWTH_BYTES: u64 = 256 * 1024 * 1024;

/// How often a database that changes under our hands is tried.
const ATTEMPTS: usize = 5;

/// Captures the database at `path`; symbolic links to it are followed.
///
/// What `SQLite` cannot read is saved as it is, with a label. An error means that there are no bytes at all.
pub fn capture(options: &CaptureOptions<'_>, path: &Path) -> Result<Captured, CaptureError> {
    capture_sampling(options, path, None)
}

/// The same; samples of the columns go to `samples`.
pub(super) fn capture_sampling(
    options: &CaptureOptions<'_>,
    path: &Path,
    samples: Option<&RefCell<Vec<ColumnSample>>>,
) -> Result<Captured, CaptureError> {
    let unreadable = |source| CaptureError::Source { path: path.to_owned(), source };
    let path = fs::canonicalize(path).map_err(unreadable)?;
    warn_of_other_names(options, &path);
    let context = Context { options, path: &path, samples };
    for attempt in 1..=ATTEMPTS {
        if let Some(captured) = attempt_once(&context, attempt)? {
            return Ok(captured);
        }
    }
    fallback::crash_image(&context)
}

/// A log belongs to a name, not to a file: writers under two names do not see each other's commits.
fn warn_of_other_names(options: &CaptureOptions<'_>, path: &Path) {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.nlink() > 1) {
        let message = "has other names (hard links); only the log beside this one is seen";
        options.observer.warn(Warning::about(path.as_os_str().as_bytes(), message));
    }
}

/// Captures once; `None` when the database changed in a way that calls for another attempt.
fn attempt_once(context: &Context<'_>, attempt: usize) -> Result<Option<Captured>, CaptureError> {
    let last = attempt == ATTEMPTS;
    let before = context.observe()?;
    if before.main.size == 0 {
        return if is_wal(&before.wal_header) {
            fallback::private(context, Reason::ToRecover, last)
        } else {
            fallback::empty(context, &before)
        };
    }
    let head = read_head::<16>(context.path).map_err(|error| context.source(error))?;
    if !has_magic(&head) {
        let check = CheckResult::NotRun("it does not begin like a database".to_owned());
        return fallback::raw(context, DatabaseLabel::Opaque, check).map(Some);
    }
    let spool = context.spool(bytes_of(&before))?;
    match context.run(spool, (context.path, before.main), Access::Source)? {
        Ok(copy) => committed(context, copy, &before).map(Some),
        // A second helper that is killed over the same database may be so because of it.
        Err(refused) if refused.killed && attempt == 1 => Ok(None),
        Err(refused) => instead(context, refused, last),
    }
}

/// While its content is held, a log cannot start over: a busy writer may make it large, and it does not shrink by itself.
fn warn_of_growth(context: &Context<'_>, grew_bytes: u64, database_bytes: u64) {
    if grew_bytes > MUCH_GROWTH_BYTES.max(database_bytes / 4) {
        let megabytes = grew_bytes / 1_000_000;
        let message = format!("its write-ahead log grew by {megabytes} MB while it was captured");
        let path = context.path.as_os_str().as_bytes();
        context.options.observer.warn(Warning::about(path, message));
    }
}

fn committed(
    context: &Context<'_>,
    copy: Copy,
    before: &DatabaseIdentity,
) -> Result<Captured, CaptureError> {
    warn_of_growth(context, copy.done.log_grew_bytes, before.main.size);
    let finding = Finding {
        label: match copy.done.check {
            CheckResult::Failed(_) => DatabaseLabel::SourceCorrupt,
            CheckResult::QuickOk | CheckResult::NotRun(_) => DatabaseLabel::Committed,
        },
        method: if copy.done.immutable {
            CaptureMethod::Immutable
        } else {
            CaptureMethod::OnlineBackup
        },
        check: copy.done.check,
        told: copy.told,
        started_ns: copy.started_ns,
        identity: context.identity_since(before, copy.started_ns),
    };
    context.finish(copy.spool, finding)
}

/// What is saved when there is no capture the ordinary way.
fn instead(
    context: &Context<'_>,
    NoCopy { reason, detail, .. }: NoCopy,
    last: bool,
) -> Result<Option<Captured>, CaptureError> {
    match reason {
        Refusal::Changed => Ok(None),
        Refusal::Busy | Refusal::CannotOpen => fallback::crash_image(context).map(Some),
        Refusal::HotJournal | Refusal::LeftoverLog => {
            fallback::private(context, Reason::ToRecover, last)
        }
        Refusal::NotADatabase | Refusal::Corrupt => {
            let check = CheckResult::Failed(detail);
            fallback::raw(context, DatabaseLabel::SourceCorrupt, check).map(Some)
        }
        Refusal::Failed | Refusal::NoSpace | Refusal::Spool => {
            let check = CheckResult::NotRun(detail);
            fallback::raw(context, DatabaseLabel::Opaque, check).map(Some)
        }
    }
}
