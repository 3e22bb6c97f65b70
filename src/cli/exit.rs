//! How the process ends: one number per kind of outcome.

use larder::error::ErrorKind;

/// An outcome of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// Not done.
    Failed,
    /// The command line or the configuration makes no sense.
    Usage,
    /// Saved, but incomplete or not clean; what is the matter was listed.
    Incomplete,
    /// There is no repository.
    NoRepository,
    /// Someone else is at work.
    Locked,
    /// Stored data is damaged or missing.
    Damage,
    /// A disk is full, or would be.
    NoSpace,
    /// The repository's format is too new or too old.
    Unsupported,
    /// Stopped by this signal.
    Interrupted(u8),
}

/// SIGINT, for an interruption that no signal explains.
pub(crate) const SIGINT: u8 = 2;

impl Exit {
    /// The number that the process ends with.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Incomplete => 3,
            Self::NoRepository => 10,
            Self::Locked => 11,
            Self::Damage => 20,
            Self::NoSpace => 22,
            Self::Unsupported => 23,
            Self::Interrupted(signal) => 128_u8.saturating_add(signal),
        }
    }

    /// Its name in JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Usage => "usage",
            Self::Incomplete => "incomplete",
            Self::NoRepository => "no_repository",
            Self::Locked => "locked",
            Self::Damage => "damage",
            Self::NoSpace => "no_space",
            Self::Unsupported => "unsupported",
            Self::Interrupted(_) => "interrupted",
        }
    }

    /// The worse of two outcomes. The numbers do not go by weight: "saved with findings" is 3, "not saved" is 1.
    pub(crate) fn or_worse(self, other: Self) -> Self {
        if other.weight() > self.weight() { other } else { self }
    }

    fn weight(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Incomplete => 1,
            Self::Failed => 2,
            other => other.code().max(3),
        }
    }
}

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Failed => Self::Failed,
            ErrorKind::Usage => Self::Usage,
            ErrorKind::NoRepository => Self::NoRepository,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::Damage => Self::Damage,
            ErrorKind::NoSpace => Self::NoSpace,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Interrupted => Self::Interrupted(SIGINT),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_outcome_wins() {
        let worst = |all: &[Exit]| all.iter().fold(Exit::Ok, |worst, next| worst.or_worse(*next));
        assert_eq!(worst(&[]), Exit::Ok);
        assert_eq!(worst(&[Exit::Incomplete, Exit::Ok]), Exit::Incomplete);
        assert_eq!(worst(&[Exit::Incomplete, Exit::Failed]), Exit::Failed);
        assert_eq!(worst(&[Exit::Damage, Exit::Failed]), Exit::Damage);
        assert_eq!(worst(&[Exit::Interrupted(15), Exit::Damage]).code(), 143);
    }
}
