//! How far a snapshot can be trusted.

use crate::codec::snapshot::{CheckResult, DatabaseLabel, DatabaseRecord, Outcome, SnapshotRecord};

/// How far a snapshot can be trusted when it competes with others for a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Everything is in it, and every database is a committed state that passed its check.
    Clean,
    /// Saved with findings that nobody has accepted.
    Incomplete,
    /// A database in it is not known to be sound: its check failed or did not run.
    Unverified,
    /// A database in it is not a committed state, and is labelled so.
    Labelled,
}

impl Standing {
    /// How far a snapshot can be trusted. That a person has accepted it makes up for what it lacks, not for a database that
    /// is no committed state or failed its check.
    pub fn of(record: &SnapshotRecord, accepted: bool) -> Self {
        let unchecked = |it: &DatabaseRecord| it.check != CheckResult::QuickOk && it.len > 0;
        if record.databases.iter().any(|it| it.label != DatabaseLabel::Committed) {
            Self::Labelled
        } else if record.databases.iter().any(unchecked) {
            Self::Unverified
        } else if record.outcome == Outcome::WithFindings && !accepted {
            Self::Incomplete
        } else {
            Self::Clean
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::retention::records::{database, record};

    #[test]
    fn what_a_person_accepts_is_clean_but_no_unsound_database() {
        let mut found = record("app", 1, 1);
        assert_eq!(Standing::of(&found, false), Standing::Clean);
        found.outcome = Outcome::WithFindings;
        assert_eq!(Standing::of(&found, false), Standing::Incomplete);
        assert_eq!(Standing::of(&found, true), Standing::Clean);

        found.databases = vec![database(&[]), database(&[])];
        found.databases[1].check = CheckResult::NotRun("no time".to_owned());
        assert_eq!(Standing::of(&found, true), Standing::Unverified);
        found.databases[1].len = 0;
        assert_eq!(Standing::of(&found, true), Standing::Clean, "an empty file has no check");
        found.databases[0].label = DatabaseLabel::Recovered;
        assert_eq!(Standing::of(&found, true), Standing::Labelled);
    }
}
