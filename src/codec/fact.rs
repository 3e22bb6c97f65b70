//! Facts: small, immutable statements that are learnt after what they are about.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::{Extension, Kind};
use crate::id::{PackId, SnapshotId};

/// What a fact is about, and of which kind it is. Two facts with equal subjects compete: the highest
/// (sequence, time, id) counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Subject {
    /// Whether a snapshot carries this tag.
    Tag {
        /// The snapshot.
        snapshot: SnapshotId,
        /// The tag.
        tag: String,
    },
    /// Whether one entry of a pack is damaged.
    Damaged {
        /// The pack.
        pack: PackId,
        /// The place of the entry: its offset in the pack.
        offset: u64,
    },
    /// Something that a program must know in order to read, write or prune this repository.
    Feature {
        /// Its name.
        name: String,
    },
    /// The repository's zone for display and retention.
    Zone,
    /// A snapshot that was forgotten on purpose.
    Forgotten {
        /// The snapshot.
        snapshot: SnapshotId,
    },
}

/// What is said about the subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Statement {
    /// It holds.
    Holds,
    /// It holds no longer.
    HoldsNot,
    /// Its value is this text.
    Text(String),
    /// A feature: what an ignorant program must not do.
    Needed {
        /// It must not read.
        to_read: bool,
        /// It must not write.
        to_write: bool,
        /// It must not prune.
        to_prune: bool,
    },
    /// What a forgotten snapshot's record said.
    Record {
        /// The source that it belonged to.
        source: String,
        /// Its sequence there.
        sequence: u64,
        /// The snapshots that it named as present.
        present: Vec<SnapshotId>,
    },
}

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// What it is about.
    pub subject: Subject,
    /// One more than the highest seen for the subject; below 2^48.
    pub sequence: u64,
    /// When it was said, nanoseconds since 1970.
    pub time_ns: i64,
    /// The machine that said it.
    pub host: String,
    /// What is said.
    pub statement: Statement,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

durable!(Fact, Kind::Fact);

impl Rules for Fact {
    fn broken_rule(&self) -> Option<&'static str> {
        None
    }

    fn extensions(&self) -> &[Extension] {
        &self.extensions
    }
}
