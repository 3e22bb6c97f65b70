//! Why the repository could not do what was asked.
//!
//! Nothing here converts from or to an error of the source: a full repository
//! must never look like an unreadable file.

use crate::codec::CodecError;
use crate::codec::index::BuildError;
use crate::id::{BlobId, BlobType, PackId, SnapshotId};
use crate::observe::Occupied;
use crate::repo::backend::BackendError;

/// Result of a repository operation.
pub type Result<T> = std::result::Result<T, RepoError>;

/// An object that is not what it should be. The data behind it may exist elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// No segment lists a place of the blob.
    #[error("{blob_type:?} blob {id} is in no index segment")]
    Unlisted {
        /// Its type.
        blob_type: BlobType,
        /// Its id.
        id: BlobId,
    },
    /// Every place of the blob was tried, and none gave its bytes.
    #[error("{blob_type:?} blob {id}: {reason} (pack {pack}, offset {offset})")]
    Blob {
        /// Its type.
        blob_type: BlobType,
        /// Its id.
        id: BlobId,
        /// The pack of the place that failed last.
        pack: PackId,
        /// The offset there.
        offset: u64,
        /// What was wrong there.
        reason: String,
    },
    /// A repository object is missing, short, or does not have the bytes that its name promises.
    #[error("{object}: {reason}")]
    Object {
        /// Its key.
        object: String,
        /// What is wrong.
        reason: String,
    },
}

/// Why an operation on the repository failed.
#[derive(Debug, thiserror::Error)]
pub enum RepoError {
    /// There is no repository here.
    #[error("no repository at {location}")]
    NoRepository {
        /// Where one was looked for.
        location: String,
    },
    /// There is one already, or something else is in the way.
    #[error("{location} {reason}")]
    InTheWay {
        /// The place.
        location: String,
        /// What is there.
        reason: String,
    },
    /// Written in a format, or with a feature, that this larder does not know.
    #[error("this larder cannot use the repository: {what}")]
    Unsupported {
        /// The format or feature.
        what: String,
    },
    /// Someone else holds a lock that is needed.
    #[error("{0}")]
    Locked(Occupied),
    /// A snapshot is absent that nobody has forgotten.
    #[error("snapshot {id} of {of:?} is missing, and nobody has forgotten it{}", and_more(*.others))]
    Missing {
        /// The snapshot.
        id: SnapshotId,
        /// Its source.
        of: String,
        /// So many others are missing, too.
        others: usize,
    },
    /// Writing would leave less room than must stay free.
    #[error(
        "{place}: {available_bytes} bytes are free and {needed_bytes} are needed, {keep_bytes} of them to stay free"
    )]
    NoSpace {
        /// The file system.
        place: String,
        /// What is free.
        available_bytes: u64,
        /// What is needed, the reserve included.
        needed_bytes: u64,
        /// The reserve.
        keep_bytes: u64,
    },
    /// Something is damaged.
    #[error("damage found: {0}")]
    Damaged(Damage),
    /// A structure could not be written.
    #[error(transparent)]
    Encode(CodecError),
    /// An index segment could not be made from what it should hold.
    #[error("making an index segment: {0}")]
    Index(BuildError),
    /// The storage failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The caller asked to stop.
    #[error("interrupted")]
    Cancelled,
}

fn and_more(others: usize) -> String {
    match others {
        0 => String::new(),
        others => format!("; nor {others} more"),
    }
}

impl From<Damage> for RepoError {
    fn from(damage: Damage) -> Self {
        Self::Damaged(damage)
    }
}

impl RepoError {
    /// The damage, if that is what it is.
    pub fn damage(&self) -> Option<&Damage> {
        match self {
            Self::Damaged(damage) => Some(damage),
            _ => None,
        }
    }

    /// True when a storage is full.
    pub fn is_no_space(&self) -> bool {
        match self {
            Self::NoSpace { .. } => true,
            Self::Backend(error) => error.is_no_space(),
            _ => false,
        }
    }
}
