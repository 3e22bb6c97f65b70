//! Why a restore stopped. What only concerns single entries stands in the report.

use std::io;
use std::path::PathBuf;

use crate::codec::ByteString;
use crate::repo::error::RepoError;

/// Why a restore stopped.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// A whole restore goes into a missing or empty directory only.
    #[error("{} is not empty", path.display())]
    NotEmpty {
        /// The target as it was given.
        path: PathBuf,
    },
    /// What is to be restored is there already, or a journal of it.
    #[error("{} exists", path.display())]
    Exists {
        /// What is in the way.
        path: PathBuf,
    },
    /// The path within the target may not be used.
    #[error("path {path:?}: {reason}")]
    BadPath {
        /// The path.
        path: ByteString,
        /// Why not.
        reason: &'static str,
    },
    /// The target directory, or its disk, refuses.
    #[error("{}: {source}", path.display())]
    Target {
        /// The target, or the path in it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Some process has the database open that is to be moved aside: what it writes from then on would be lost.
    #[error("{} is open in another process", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// All was written, but the system could not bring it to the disk: none of it can be relied upon.
    #[error("what was restored to {} did not reach the disk: {source}", path.display())]
    NotDurable {
        /// The target.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The repository failed; mere damage does not stop a restore.
    #[error(transparent)]
    Repository(RepoError),
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
}

impl RestoreError {
    /// True when the target's disk is full.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::Target { source, .. } | Self::NotDurable { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            Self::Repository(error) => error.is_no_space(),
            _ => false,
        }
    }
}

/// Why one entry was not restored.
#[derive(Debug)]
pub(super) enum Failure {
    /// The repository does not have it as it should be.
    Damaged(String),
    /// The target does not take it.
    Refused(String),
    /// There is no point in going on.
    Fatal(RestoreError),
}

impl Failure {
    /// What an error of the repository means for the entry.
    pub(super) fn of_repository(error: RepoError) -> Self {
        match error {
            RepoError::Damaged(damage) => Self::Damaged(damage.to_string()),
            RepoError::Cancelled => Self::Fatal(RestoreError::Cancelled),
            error => Self::Fatal(RestoreError::Repository(error)),
        }
    }

    /// What an error of the target means for the entry at this path.
    pub(super) fn of_target(path: &[u8], error: io::Error) -> Self {
        use std::os::unix::ffi::OsStrExt;
        let fatal = matches!(
            error.kind(),
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
        ) || matches!(
            error.raw_os_error().map(rustix::io::Errno::from_raw_os_error),
            Some(rustix::io::Errno::IO | rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
        );
        if fatal {
            let path = std::ffi::OsStr::from_bytes(path).into();
            return Self::Fatal(RestoreError::Target { path, source: error });
        }
        Self::Refused(match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::LOOP) => "a symbolic link is in the way".to_owned(),
            Some(rustix::io::Errno::NOTDIR) => "a parent of it is no directory".to_owned(),
            Some(rustix::io::Errno::NOENT) => "its directory was not restored".to_owned(),
            Some(rustix::io::Errno::EXIST) => "something of that name is there already".to_owned(),
            _ => format!("the target refuses it: {error}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::Errno;

    fn of(errno: Errno) -> Failure {
        Failure::of_target(b"p", errno.into())
    }

    #[test]
    fn a_full_disk_stops_everything_and_a_bad_name_only_itself() {
        for stop in [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO] {
            assert!(matches!(of(stop), Failure::Fatal(_)), "{stop}");
        }
        for go_on in [Errno::LOOP, Errno::EXIST, Errno::INVAL, Errno::NAMETOOLONG, Errno::ACCESS] {
            assert!(matches!(of(go_on), Failure::Refused(_)), "{go_on}");
        }
        let Failure::Fatal(error) = of(Errno::NOSPC) else { panic!("not fatal") };
        assert!(error.is_no_space());
    }

    #[test]
    fn damage_concerns_the_entry_and_a_failing_repository_the_run() {
        let damage =
            crate::repo::error::Damage::Object { object: "packs/x".into(), reason: "gone".into() };
        assert!(
            matches!(Failure::of_repository(damage.into()), Failure::Damaged(text) if text.contains("gone"))
        );
        let cancelled = Failure::of_repository(RepoError::Cancelled);
        assert!(matches!(cancelled, Failure::Fatal(RestoreError::Cancelled)));
        let other = RepoError::Unsupported { what: "x".into() };
        assert!(matches!(
            Failure::of_repository(other),
            Failure::Fatal(RestoreError::Repository(_))
        ));
    }
}
