//! What the demo found out, as values: for the page, for JSON, for the verdict.

use serde::Serialize;

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Story {
    /// What was made.
    pub(super) made: Made,
    /// What the application did meanwhile.
    pub(super) application: Work,
    /// The seven nights.
    pub(super) nights: Vec<Night>,
    /// The loss, and the way back.
    pub(super) loss: Loss,
    /// What the snapshots are worth.
    pub(super) proof: Proof,
    /// The same week by the other procedure.
    pub(super) comparison: Comparison,
    /// What did not hold; empty when the demo succeeded.
    pub(super) wrong: Vec<String>,
}

/// The application's directory on the first evening.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Made {
    /// Bytes of its database.
    pub(super) database_bytes: u64,
    /// Files below `attachments/`.
    pub(super) attachments: u64,
    /// Bytes of these files.
    pub(super) attachments_bytes: u64,
    /// The attachment that will be lost, relative to the directory.
    pub(super) landmark: String,
}

/// What the application did while the week passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Work {
    /// Transactions committed.
    pub(super) commits: u64,
    /// The same per second of the run.
    pub(super) commits_per_second: u64,
    /// Attachments added, files and rows.
    pub(super) uploads: u64,
    /// Attachments deleted, files and rows.
    pub(super) deletes: u64,
    /// Operations that failed.
    pub(super) errors: u64,
    /// The first failure; empty when there was none.
    pub(super) first_error: String,
    /// The slowest commit.
    pub(super) slowest_ms: u64,
}

/// One night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Night {
    /// The day of the week, short.
    pub(super) day: String,
    /// The time that its snapshot stands for.
    pub(super) time: String,
    /// The snapshot, in full.
    pub(super) snapshot: String,
    /// Bytes by which the repository grew.
    pub(super) added_bytes: u64,
    /// Bytes of the repository that its database takes, and that none before did.
    pub(super) database_added_bytes: u64,
    /// Bytes of the database.
    pub(super) database_bytes: u64,
    /// How long the backup took.
    pub(super) took_ms: u64,
    /// How the database was captured.
    pub(super) database: &'static str,
    /// What the backup found fault with.
    pub(super) findings: Vec<String>,
    /// What the other procedure made in the same night.
    pub(super) tar: Tar,
}

/// The other procedure's night.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Tar {
    /// An archive.
    Archive {
        /// Its size.
        bytes: u64,
        /// Why the database in it is no commit of the application; `null` when it is one.
        torn: Option<String>,
    },
    /// There is no archive, for this reason.
    Skipped(String),
}

/// A lost attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Loss {
    /// The name that people know it by.
    pub(super) file: String,
    /// The night that it was taken from, for people.
    pub(super) from: String,
    /// The same as it was asked for.
    pub(super) asked: String,
    /// From opening the repository to the file in its place.
    pub(super) took_ms: u64,
    /// It equals the copy that was kept aside.
    pub(super) same_bytes: bool,
}

/// What the snapshots are worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Proof {
    /// One entry a night.
    pub(super) databases: Vec<DatabaseProof>,
    /// Blobs that the check has read.
    pub(super) blobs: u64,
    /// Those whose bytes are right.
    pub(super) sound_blobs: u64,
    /// All other damage that the check has found.
    pub(super) damage: Vec<String>,
    /// Rows whose file is not in the snapshot of their night, over all nights.
    pub(super) rows_without_file: u64,
}

/// What the database of a night is worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct DatabaseProof {
    /// The day of the week, short.
    pub(super) day: String,
    /// The number of the commit that it is; `null` when it is none.
    pub(super) commit: Option<u64>,
    /// Why it is no commit that led to the final database; `null` when it is one.
    pub(super) fault: Option<String>,
}

/// Both procedures, over the whole week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Comparison {
    /// Archives of the other procedure.
    pub(super) tars: u64,
    /// Bytes of all of them.
    pub(super) tar_bytes: u64,
    /// Those whose database is no commit.
    pub(super) tars_torn: u64,
    /// Why there are fewer archives than nights; `null` when there are not.
    pub(super) tar_skipped: Option<String>,
    /// Bytes of larder's repository.
    pub(super) larder_bytes: u64,
    /// Its databases that are no commit.
    pub(super) larder_torn: u64,
}
