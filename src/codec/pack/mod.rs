//! Packs: header, payloads, trailer, footer.
//!
//! Here live the structures around the payloads and the rules that they keep with
//! each other. Not here: compressing and checking payloads (`repo`).
//!
//! Invariant: a decoded trailer describes payloads that follow each other without
//! a gap, and [`Trailer::fits`] proves that they fill the pack exactly. Every byte
//! of a pack thus belongs to something that is checked.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::{Extension, Kind};
use crate::id::{RepositoryId, SessionId};

mod footer;
mod trailer;

pub use footer::Footer;
pub use trailer::{Trailer, TrailerEntry};

/// The longest plaintext of a blob, in bytes. A reader never makes room for more.
pub const MAX_BLOB_BYTES: u32 = 16 * 1024 * 1024;

/// The longest payload, in bytes: a blob that does not compress, in a frame, sealed.
pub const MAX_STORED_BYTES: u32 = MAX_BLOB_BYTES + 64 * 1024;

/// The most blobs in one pack; a writer closes a pack that reaches it.
pub const MAX_PACK_ENTRIES: usize = 65_536;

/// What kind of blobs a pack holds. Packs hold one class, so that those read or dying together lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PackClass {
    /// Chunks of files.
    Data,
    /// Base groups of databases.
    BaseGroups,
    /// Page patches, version records, manifest nodes, content lists.
    Metadata,
}

/// How a blob's payload is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Encoding {
    /// The plaintext itself.
    Raw,
    /// One zstd frame.
    Zstd,
}

impl Encoding {
    /// The code in trailers and index segments.
    pub const fn code(self) -> u8 {
        match self {
            Self::Raw => 0,
            Self::Zstd => 1,
        }
    }

    /// The encoding of a code, if there is one.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Raw),
            1 => Some(Self::Zstd),
            _ => None,
        }
    }
}

/// What is impossible about a payload, if something is.
pub(super) fn payload_fault(
    encoding: Encoding,
    stored_len: u32,
    plain_len: u32,
) -> Option<&'static str> {
    if stored_len == 0 || plain_len == 0 {
        return Some("an empty blob");
    }
    if plain_len > MAX_BLOB_BYTES || stored_len > MAX_STORED_BYTES {
        return Some("a blob longer than any may be");
    }
    (encoding == Encoding::Raw && stored_len != plain_len)
        .then_some("a raw payload that is not as long as its plaintext")
}

/// The first bytes of a pack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Random; makes the pack's name unique for ever, and is the salt when blobs are sealed.
    pub salt: [u8; 32],
    /// The repository that the pack belongs to.
    pub repository: RepositoryId,
    /// The session that wrote it.
    pub session: SessionId,
    /// What it holds.
    pub class: PackClass,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

durable!(Header, Kind::PackHeader);

impl Rules for Header {
    fn broken_rule(&self) -> Option<&'static str> {
        None
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        std::iter::once(self.extensions.as_slice())
    }
}
