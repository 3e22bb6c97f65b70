//! What to do about an error of the library: one command, or none.

use larder::error::{Error, ErrorKind};
use larder::repo::error::RepoError;
use larder::snapshot::restore::error::RestoreError;
use larder::snapshot::select::error::SelectError;
use larder::snapshot::source::error::SourceError;

use crate::cli::context::Context;
use crate::cli::shell;

/// The hint for an error, if there is one thing to do.
pub(crate) fn for_error(error: &Error, context: &Context) -> Option<String> {
    match error {
        Error::Select(error) => Some(for_selection(error, context)),
        Error::NotInSnapshot { snapshot, .. } => Some(context.command(&format!("ls {snapshot}"))),
        Error::OtherRoots { name, .. } => Some(format!(
            "add --moved if {} has moved, or --source NAME if it is another one",
            shell::word(name)
        )),
        Error::Pinned { snapshot, name } => {
            Some(context.command(&format!("pin {snapshot} {} --remove", shell::word(name))))
        }
        Error::NoSuchPin { snapshot, .. } => {
            Some(context.command(&format!("snapshots {snapshot}")))
        }
        Error::LastOfSource { .. } => Some("add --allow-last if that is meant".to_owned()),
        Error::Source(SourceError::Root { .. }) => {
            Some("check the path; if it is a volume, is it mounted?".to_owned())
        }
        Error::Restore(RestoreError::NotEmpty { .. }) => Some(
            "restore into a missing or empty directory, or name a PATH and add --overwrite"
                .to_owned(),
        ),
        Error::Restore(RestoreError::Exists { .. }) => {
            Some("add --target DIR; for a PATH, --overwrite moves it aside".to_owned())
        }
        Error::Restore(RestoreError::InUse { .. }) => Some(
            "stop the application that has it open, then run the same command again".to_owned(),
        ),
        Error::Repo(RepoError::Missing { id, .. }) => Some(format!(
            "put its record back from a copy, or: {}",
            context.command(&format!("forget {id}"))
        )),
        _ => for_kind(error.kind(), context),
    }
}

fn for_kind(kind: ErrorKind, context: &Context) -> Option<String> {
    match kind {
        ErrorKind::NoRepository => Some(no_repository(context)),
        ErrorKind::Locked => Some(
            "add --lock-wait 10m, or run it again when that has ended; who is dead holds nothing"
                .to_owned(),
        ),
        ErrorKind::Damage => Some(context.command("check --read-data")),
        ErrorKind::NoSpace => {
            Some("make room, then run the same command again; what was stored is reused".to_owned())
        }
        ErrorKind::Unsupported => Some(format!(
            "use a larder that knows this format; this one is {}",
            env!("CARGO_PKG_VERSION")
        )),
        ErrorKind::Interrupted => {
            Some("run the same command again; what was stored is reused".to_owned())
        }
        ErrorKind::Failed | ErrorKind::Usage => None,
    }
}

fn no_repository(context: &Context) -> String {
    match &context.settings.repository {
        Some(place) if place.is_default => "larder backup DIR   # makes one there".to_owned(),
        Some(place) => {
            format!("larder --repo {} init", shell::word(&place.value.to_string_lossy()))
        }
        None => "larder --repo PATH init".to_owned(),
    }
}

fn for_selection(error: &SelectError, context: &Context) -> String {
    match error {
        SelectError::Nothing { asked: None } => context.command("backup DIR"),
        SelectError::SeveralSources { sources, .. } => {
            let source = sources.first().map_or("NAME", String::as_str);
            format!("add --source {}", shell::word(source))
        }
        SelectError::Ambiguous { .. } => "give more digits of the id".to_owned(),
        _ => context.command("snapshots"),
    }
}
