//! Why a reference names no single snapshot.

use std::fmt;

use jiff::civil::DateTime;

use crate::id::SnapshotId;

/// A snapshot in an error message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// Its id.
    pub id: SnapshotId,
    /// Its source.
    pub source: String,
    /// Its time, civil, in the zone that was asked in.
    pub time: DateTime,
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let id = self.id.to_string();
        write!(f, "{} ({}, {})", &id[..16], self.source, self.time.strftime("%F %H:%M"))
    }
}

/// Why a reference names no single snapshot.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Not a reference at all.
    #[error(
        "{text:?} names no snapshot: use latest, latest~N, 4 or more digits of an id, a date (2026-11-22), a time (\"2026-11-22 14:00\") or tag:NAME"
    )]
    NotAReference {
        /// What was written.
        text: String,
    },
    /// There is nothing to choose from.
    #[error("there are no snapshots{}", of_source(asked.as_deref()))]
    Nothing {
        /// The source that was asked for.
        asked: Option<String>,
    },
    /// No snapshot has this source.
    #[error("no snapshot of a source {asked:?}; sources here: {}", known.join(", "))]
    NoSuchSource {
        /// The source that was asked for.
        asked: String,
        /// The sources that there are.
        known: Vec<String>,
    },
    /// The reference fits snapshots of several sources.
    #[error("{what} could be of several sources ({}); say which one", sources.join(", "))]
    SeveralSources {
        /// The reference.
        what: String,
        /// The sources.
        sources: Vec<String>,
    },
    /// Several ids begin like this.
    #[error("{count} snapshots have an id that begins with {prefix}: {}", listed(candidates, *count))]
    Ambiguous {
        /// The digits.
        prefix: String,
        /// How many there are.
        count: usize,
        /// The first of them, oldest first.
        candidates: Vec<Named>,
    },
    /// Nothing fits.
    #[error("no snapshot fits {what}{}", oldest.as_ref().map(|it| format!("; the oldest is {it}")).unwrap_or_default())]
    NoneFits {
        /// The reference.
        what: String,
        /// The oldest snapshot, where that explains it.
        oldest: Option<Named>,
    },
}

fn of_source(source: Option<&str>) -> String {
    source.map(|source| format!(" of {source}")).unwrap_or_default()
}

fn listed(candidates: &[Named], count: usize) -> String {
    let mut text = candidates.iter().map(Named::to_string).collect::<Vec<_>>().join(", ");
    if count > candidates.len() {
        text.push_str(", ...");
    }
    text
}
