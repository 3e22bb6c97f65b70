//! The sum of the layers' errors, and the kind that front ends branch on.

use std::io;

use crate::observe::Occupied;
use crate::repo::backend::BackendError;
use crate::repo::error::RepoError;
use crate::snapshot::archive::ArchiveError;
use crate::snapshot::error::SnapshotError;
use crate::snapshot::restore::error::RestoreError;
use crate::snapshot::select::error::SelectError;
use crate::snapshot::source::error::SourceError;
use crate::sqlite::captured::CaptureError;

/// Result of a use case.
pub type Result<T> = std::result::Result<T, Error>;

/// What a front end may branch on; each kind has its exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// Anything that has no kind of its own.
    Failed,
    /// What was asked for makes no sense as it stands.
    Usage,
    /// There is no repository.
    NoRepository,
    /// Someone else is at work.
    Locked,
    /// Stored data is damaged.
    Damage,
    /// A disk is full, or would be.
    NoSpace,
    /// The repository's format is too new or too old.
    Unsupported,
    /// The caller asked to stop.
    Interrupted,
}

/// Why a use case failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The repository.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Writing or reading a snapshot.
    #[error(transparent)]
    Snapshot(SnapshotError),
    /// The source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// There is no room for a captured database.
    #[error(transparent)]
    Capture(CaptureError),
    /// Restoring.
    #[error(transparent)]
    Restore(RestoreError),
    /// Which snapshot is meant.
    #[error(transparent)]
    Select(#[from] SelectError),
    /// What was asked for cannot be done as asked.
    #[error("{what}")]
    Usage {
        /// What is wrong with it.
        what: String,
    },
    /// A snapshot is pinned and so cannot be forgotten.
    #[error("snapshot {snapshot} is pinned ({name})")]
    Pinned {
        /// The snapshot, shortened.
        snapshot: String,
        /// The pin.
        name: String,
    },
    /// A pin that is to be taken away does not exist.
    #[error("snapshot {snapshot} has no pin {name:?}")]
    NoSuchPin {
        /// The snapshot, shortened.
        snapshot: String,
        /// The pin.
        name: String,
    },
    /// Nothing of a source would be left.
    #[error("that would leave no snapshot of source {source_name:?}")]
    LastOfSource {
        /// The source.
        source_name: String,
    },
    /// A source's name is used for other roots.
    #[error("source {name:?} is used for {recorded}, not for {given}")]
    OtherRoots {
        /// The name.
        name: String,
        /// The roots that its newest snapshot has.
        recorded: String,
        /// The roots that were given.
        given: String,
    },
    /// A snapshot does not hold a path.
    #[error("{path:?} is not in snapshot {snapshot}")]
    NotInSnapshot {
        /// The path as it was given.
        path: String,
        /// The snapshot, shortened.
        snapshot: String,
    },
    /// A path cannot be treated as asked: a directory where a file is needed, and the like.
    #[error("{path:?} {what}")]
    UnfitPath {
        /// The path as it was given.
        path: String,
        /// What it is instead.
        what: String,
    },
    /// A file of the user's, outside source and repository.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, on what.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// A failure of the storage.
    pub fn from_backend(error: BackendError) -> Self {
        Self::Repo(error.into())
    }

    /// What others hold, if that is what is in the way.
    pub fn occupied(&self) -> Option<&Occupied> {
        match self {
            Self::Repo(RepoError::Locked(occupied))
            | Self::Snapshot(SnapshotError::Repo(RepoError::Locked(occupied))) => Some(occupied),
            _ => None,
        }
    }

    /// What a front end may branch on.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Repo(error) | Self::Snapshot(SnapshotError::Repo(error)) => repo_kind(error),
            Self::Capture(error) if error.is_no_space() => ErrorKind::NoSpace,
            Self::Restore(error) if error.is_no_space() => ErrorKind::NoSpace,
            Self::Usage { .. }
            | Self::OtherRoots { .. }
            | Self::Source(SourceError::Pattern { .. }) => ErrorKind::Usage,
            Self::Io { source, .. } if is_full(source) => ErrorKind::NoSpace,
            Self::Interrupted => ErrorKind::Interrupted,
            Self::Select(error) if is_vague(error) => ErrorKind::Usage,
            Self::Pinned { .. }
            | Self::NoSuchPin { .. }
            | Self::LastOfSource { .. }
            | Self::Snapshot(_)
            | Self::Restore(_)
            | Self::Capture(_)
            | Self::Source(_)
            | Self::Select(_)
            | Self::NotInSnapshot { .. }
            | Self::UnfitPath { .. }
            | Self::Io { .. } => ErrorKind::Failed,
        }
    }
}

fn repo_kind(error: &RepoError) -> ErrorKind {
    match error {
        RepoError::NoRepository { .. } => ErrorKind::NoRepository,
        RepoError::Locked(_) => ErrorKind::Locked,
        RepoError::Unsupported { .. } => ErrorKind::Unsupported,
        RepoError::Damaged(_) | RepoError::Missing { .. } => ErrorKind::Damage,
        RepoError::Cancelled => ErrorKind::Interrupted,
        error if error.is_no_space() => ErrorKind::NoSpace,
        _ => ErrorKind::Failed,
    }
}

/// A reference that could mean several snapshots, or none by its form, is the caller's to mend.
fn is_vague(error: &SelectError) -> bool {
    matches!(
        error,
        SelectError::NotAReference { .. }
            | SelectError::SeveralSources { .. }
            | SelectError::Ambiguous { .. }
    )
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl From<SnapshotError> for Error {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Repo(error) => Self::Repo(error),
            error => Self::Snapshot(error),
        }
    }
}

impl From<RestoreError> for Error {
    fn from(error: RestoreError) -> Self {
        match error {
            RestoreError::Repository(error) => Self::Repo(error),
            RestoreError::Cancelled => Self::Interrupted,
            error => Self::Restore(error),
        }
    }
}

impl From<ArchiveError> for Error {
    fn from(error: ArchiveError) -> Self {
        match error {
            ArchiveError::Source(error) => Self::Source(error),
            ArchiveError::Snapshot(error) => error.into(),
            ArchiveError::Spool(source) => {
                Self::Io { what: "writing to the spool directory".into(), source }
            }
            ArchiveError::Capture(error) => Self::Capture(error),
            ArchiveError::Cancelled => Self::Interrupted,
        }
    }
}
