//! Why a snapshot could not be written or read.
//!
//! Errors of the source are another type (`SourceError`): neither converts into
//! the other, so that a failing repository never looks like an unreadable file.

use crate::codec::manifest::EntryKey;
use crate::repo::error::RepoError;

/// Result of an operation on a snapshot.
pub type Result<T> = std::result::Result<T, SnapshotError>;

/// Why an operation on a snapshot failed.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The repository failed, or is damaged.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// Entries did not come in the strictly ascending order of their keys.
    #[error(
        "entry {:?} of root {} came after {:?} of root {}, which it must precede",
        next.path, next.root, last.path, last.root
    )]
    Disorder {
        /// The entry before.
        last: EntryKey,
        /// The entry that does not belong after it.
        next: EntryKey,
    },
    /// An entry's metadata does not fit into a manifest.
    #[error(
        "entry {:?} of root {} takes {len} bytes in a manifest, which holds at most {limit} an entry",
        key.path, key.root
    )]
    EntryTooLarge {
        /// The entry.
        key: EntryKey,
        /// Bytes that it would take.
        len: u64,
        /// The most that an entry may take.
        limit: u64,
    },
    /// An entry contradicts itself.
    #[error("entry {:?} of root {}: {reason}", key.path, key.root)]
    BadEntry {
        /// The entry.
        key: EntryKey,
        /// The rule that it breaks.
        reason: &'static str,
    },
    /// A file's chunks add up to more bytes than a file can have.
    #[error("content longer than 2^64 bytes")]
    ContentTooLong,
}
