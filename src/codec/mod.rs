//! Every durable structure: bytes to structs and back.
//!
//! Here live the layouts, their versions and their limits, and the only use of
//! bincode. Not here: I/O, clocks, compression, hashing policy.
//!
//! Invariant: decoding never panics, never allocates more than the structure's
//! limit allows, and accepts only the bytes that encoding would produce:
//! trailing bytes, unknown codes and disorder are errors. Callers decode only
//! bytes whose hash or checksum they have verified.
//!
//! Every structure is an envelope: kind (u16), version (u16), its fields, then
//! a list of extensions (tag u32, bytes). A tag with [`CRITICAL`] set that this
//! program does not know makes the whole structure [`CodecError::TooNew`]; other
//! unknown tags are kept and ignored.

use serde::{Deserialize, Serialize};

mod bytes;
mod envelope;

pub mod config;
pub mod content;
pub mod fact;
pub mod index;
pub mod manifest;
pub mod names;
pub mod pack;
pub mod policy;
pub mod session;
pub mod snapshot;
pub mod version;

pub use bytes::ByteString;

/// The format version that this program writes and reads. Format 0 may change until the first release.
pub const FORMAT_VERSION: u16 = 0;

/// The bit of an extension's tag that says: a program that does not know this must not go on.
pub const CRITICAL: u32 = 1 << 31;

/// Something added to a structure after its first version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// What it is; see [`CRITICAL`].
    pub tag: u32,
    /// Its bytes, in a layout of its own.
    pub bytes: ByteString,
}

/// The kind of a structure, the first two bytes of its envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub enum Kind {
    /// [`config::Config`]
    Config = 1,
    /// [`snapshot::SnapshotRecord`]
    Snapshot = 2,
    /// [`manifest::Node`]
    ManifestNode = 3,
    /// [`content::ContentList`]
    ContentList = 4,
    /// [`fact::Fact`]
    Fact = 5,
    /// [`session::SessionRecord`]
    Session = 6,
    /// [`pack::Header`]
    PackHeader = 7,
    /// [`pack::Trailer`]
    PackTrailer = 8,
    /// [`version::VersionRecord`]
    VersionRecord = 9,
}

impl Kind {
    /// The largest encoding of this kind, in bytes; writers keep to it, readers refuse more.
    pub const fn limit_bytes(self) -> usize {
        match self {
            Self::Config | Self::Session | Self::PackHeader => 4 * 1024,
            Self::VersionRecord => 64 * 1024,
            Self::ManifestNode | Self::ContentList => 256 * 1024,
            // A fact about a forgotten snapshot carries all the names that its record held.
            Self::Snapshot | Self::Fact => 1024 * 1024,
            Self::PackTrailer => 16 * 1024 * 1024,
        }
    }
}

/// Why bytes are not the structure that they should be, or a structure cannot be written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// Longer than the kind allows.
    #[error("{kind:?}: {len} bytes, more than its limit of {limit}")]
    TooLarge {
        /// The structure.
        kind: Kind,
        /// Its encoded length.
        len: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// Sound as far as can be seen, but of another version or using something that this larder does not know.
    #[error("{kind:?}: in a form that this larder does not know ({what})")]
    TooNew {
        /// The structure.
        kind: Kind,
        /// The version or tag that is not known.
        what: String,
    },
    /// Not a well-formed structure of this kind.
    #[error("{kind:?}: malformed: {what}")]
    Malformed {
        /// The structure.
        kind: Kind,
        /// The rule that is broken.
        what: String,
    },
}

impl CodecError {
    /// True when the bytes may be sound, only not for this program (exit 23, never damage).
    pub fn is_too_new(&self) -> bool {
        matches!(self, Self::TooNew { .. })
    }
}

/// A structure with an envelope.
pub trait Durable: Sized {
    /// Its kind.
    const KIND: Kind;

    /// Encodes it. Fails above the kind's limit and on everything that decoding would refuse.
    fn encode(&self) -> Result<Vec<u8>, CodecError>;

    /// Decodes exactly these bytes.
    fn decode(bytes: &[u8]) -> Result<Self, CodecError>;
}
