//! What became of a restore.

use std::path::PathBuf;

/// One path, and what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark {
    /// The path in the target, as bytes.
    pub path: Vec<u8>,
    /// What happened.
    pub message: String,
}

/// Remarks, of which the first [`MAX_REMARKS`] are kept: a hostile manifest must not fill the memory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remarks {
    listed: Vec<Remark>,
    total: u64,
}

/// The most remarks of one kind that are kept; more are only counted.
pub const MAX_REMARKS: usize = 10_000;

impl Remarks {
    pub(super) fn add(&mut self, path: &[u8], message: impl Into<String>) {
        self.total += 1;
        if self.listed.len() < MAX_REMARKS {
            self.listed.push(Remark { path: path.to_vec(), message: message.into() });
        }
    }

    /// The first of them.
    pub fn listed(&self) -> &[Remark] {
        &self.listed
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

/// What a restore did, and what it could not do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RestoreReport {
    /// Regular files written, hard links included.
    pub files: u64,
    /// Directories made, or found and given their metadata.
    pub directories: u64,
    /// Symbolic links, pipes and devices made.
    pub others: u64,
    /// Bytes written, holes and hard links not counted.
    pub bytes: u64,
    /// What the repository could not give: it is damaged. Nothing of it stands under its final name.
    pub damaged: Remarks,
    /// What the target did not take.
    pub refused: Remarks,
    /// What was restored without something: owners without privileges, attributes of another file system.
    pub notes: Remarks,
    /// Where that was moved which stood in the way of a named path.
    pub replaced: Option<PathBuf>,
    /// Where an incomplete restore was left, because what is in its place is not given up for it.
    pub left_aside: Option<PathBuf>,
}

impl RestoreReport {
    /// True when everything is in place, notes aside.
    pub fn is_complete(&self) -> bool {
        self.damaged.is_empty() && self.refused.is_empty()
    }
}
