//! Packs: header, payloads, trailer, footer.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::{Extension, Kind};
use crate::id::{BlobId, BlobType, Check, RepositoryId, SessionId};

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
    /// The code in an index segment.
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

/// One blob of a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TrailerEntry {
    /// Its type.
    pub blob_type: BlobType,
    /// Its id.
    pub id: BlobId,
    /// How its payload is encoded.
    pub encoding: Encoding,
    /// Where the payload begins, from the start of the pack.
    pub offset: u64,
    /// Length of the payload in bytes.
    pub stored_len: u32,
    /// Length of the plaintext in bytes.
    pub plain_len: u32,
    /// Checksum of the payload as stored. Zero for a raw payload, which its id covers.
    pub check: Check,
}

/// The directory of a pack, in the order of the payloads, which touch each other without gaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trailer {
    /// One entry a blob, in ascending order of offset.
    pub entries: Vec<TrailerEntry>,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

/// The last [`Footer::LEN`] bytes of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// Length of the trailer, which lies directly before the footer.
    pub trailer_len: u32,
    /// Length of the header, at the start of the pack.
    pub header_len: u32,
    /// Checksum of the header as stored.
    pub header_check: Check,
}

impl Footer {
    /// Length in bytes: magic (8), version (u16), reserved (u16, zero), trailer length, header length, header check.
    pub const LEN: usize = 36;

    /// Begins a footer.
    pub const MAGIC: [u8; 8] = *b"LARDPACK";
}

durable!(Header, Kind::PackHeader);

impl Rules for Header {
    fn broken_rule(&self) -> Option<&'static str> {
        None
    }

    fn extensions(&self) -> &[Extension] {
        &self.extensions
    }
}

/// Bytes of one entry of a trailer: type, encoding, id, offset, stored and plain length, check.
const ENTRY_LEN: usize = 1 + 1 + 32 + 8 + 4 + 4 + 16;
