//! Digests as newtypes, and the keyed hashing that makes them.
//!
//! Every identity in a repository is a keyed BLAKE3 hash. The keys are derived
//! from one root: the repository id in an unencrypted repository, a secret in an
//! encrypted one. The domain of a hash is part of its key, so bytes of one kind
//! can never pass for bytes of another.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The text was not a whole id in lower-case hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an id of {expected} hexadecimal digits: {text:?}")]
pub struct ParseIdError {
    expected: usize,
    text: String,
}

macro_rules! id_newtype {
    ($(#[$doc:meta])* $name:ident, $len:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name([u8; $len]);

        impl $name {
            /// Length in bytes.
            pub const LEN: usize = $len;

            /// Wraps bytes that are already an id.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The id's bytes.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// The first eight hexadecimal digits, for people.
            pub fn short(&self) -> String {
                hex(&self.0[..4])
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.short())
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let mut bytes = [0; $len];
                match unhex(text, &mut bytes) {
                    true => Ok(Self(bytes)),
                    false => Err(ParseIdError { expected: 2 * $len, text: text.to_owned() }),
                }
            }
        }
    };
}

id_newtype!(
    /// Names a blob: the hash of its plaintext in the domain of its type.
    BlobId,
    32
);
id_newtype!(
    /// Names a pack: the hash of its trailer and footer as stored.
    PackId,
    32
);
id_newtype!(
    /// Names an index segment: the hash of its bytes.
    SegmentId,
    32
);
id_newtype!(
    /// Names a snapshot record: the hash of its bytes.
    SnapshotId,
    32
);
id_newtype!(
    /// Names a fact: the hash of its bytes.
    FactId,
    32
);
id_newtype!(
    /// Identifies a repository: 32 random bytes, chosen once.
    RepositoryId,
    32
);
id_newtype!(
    /// Identifies one writer's session: 16 random bytes.
    SessionId,
    16
);
id_newtype!(
    /// Names a finding about a source: 128 bits of the hash of what it says.
    FindingId,
    16
);
id_newtype!(
    /// 128 bits of keyed BLAKE3 over stored bytes: a checksum, not a name.
    Check,
    16
);

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

fn unhex(text: &str, into: &mut [u8]) -> bool {
    if text.len() != into.len() * 2 {
        return false;
    }
    text.as_bytes().chunks_exact(2).zip(into).all(|(pair, byte)| {
        match (unhex_digit(pair[0]), unhex_digit(pair[1])) {
            (Some(high), Some(low)) => {
                *byte = high << 4 | low;
                true
            }
            _ => false,
        }
    })
}

const fn unhex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// What a blob's plaintext means. Part of its hash domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum BlobType {
    /// Bytes of a file: a chunk, or a group of database pages.
    Data = 1,
    /// Changed pages of a database, against the version below.
    PagePatch = 2,
    /// One version of a database: its base and its patches.
    VersionRecord = 3,
    /// A node of a manifest.
    ManifestNode = 4,
    /// A list of chunks, or of lists.
    ContentList = 5,
}

impl BlobType {
    /// Every type, in the order of its code.
    pub const ALL: [Self; 5] =
        [Self::Data, Self::PagePatch, Self::VersionRecord, Self::ManifestNode, Self::ContentList];

    /// The code that is stored.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type of a stored code, if there is one.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.code() == code)
    }

    const fn domain(self) -> &'static str {
        match self {
            Self::Data => "larder 2026-11 blob id: data",
            Self::PagePatch => "larder 2026-11 blob id: page patch",
            Self::VersionRecord => "larder 2026-11 blob id: version record",
            Self::ManifestNode => "larder 2026-11 blob id: manifest node",
            Self::ContentList => "larder 2026-11 blob id: content list",
        }
    }
}

/// The hash keys of one repository, derived once when it is opened.
#[derive(Clone)]
pub struct HashKeys {
    blob: [[u8; 32]; BlobType::ALL.len()],
    pack: [u8; 32],
    segment: [u8; 32],
    snapshot: [u8; 32],
    fact: [u8; 32],
    finding: [u8; 32],
    check: [u8; 32],
}

impl fmt::Debug for HashKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HashKeys(..)")
    }
}

impl HashKeys {
    /// Keys of an unencrypted repository.
    pub fn of_repository(id: &RepositoryId) -> Self {
        let derive = |domain: &str| blake3::derive_key(domain, id.as_bytes());
        Self {
            blob: BlobType::ALL.map(|kind| derive(kind.domain())),
            pack: derive("larder 2026-11 pack id"),
            segment: derive("larder 2026-11 index segment id"),
            snapshot: derive("larder 2026-11 snapshot id"),
            fact: derive("larder 2026-11 fact id"),
            finding: derive("larder 2026-11 finding id"),
            check: derive("larder 2026-11 check of stored bytes"),
        }
    }

    /// The id of a blob of this type with this plaintext.
    pub fn blob_id(&self, kind: BlobType, plain: &[u8]) -> BlobId {
        BlobId(keyed(&self.blob[usize::from(kind.code()) - 1], plain))
    }

    /// The id of a pack with this trailer and footer, as stored.
    pub fn pack_id(&self, tail: &[u8]) -> PackId {
        PackId(keyed(&self.pack, tail))
    }

    /// The id of an index segment with these bytes.
    pub fn segment_id(&self, bytes: &[u8]) -> SegmentId {
        SegmentId(keyed(&self.segment, bytes))
    }

    /// The id of a snapshot record with these bytes.
    pub fn snapshot_id(&self, bytes: &[u8]) -> SnapshotId {
        SnapshotId(keyed(&self.snapshot, bytes))
    }

    /// The id of a fact with these bytes.
    pub fn fact_id(&self, bytes: &[u8]) -> FactId {
        FactId(keyed(&self.fact, bytes))
    }

    /// The id of a finding that says this, in a layout that keeps its parts apart.
    pub fn finding_id(&self, said: &[u8]) -> FindingId {
        let digest = keyed(&self.finding, said);
        FindingId(std::array::from_fn(|index| digest[index]))
    }

    /// The checksum of bytes as they are stored.
    pub fn check(&self, stored: &[u8]) -> Check {
        let digest = keyed(&self.check, stored);
        Check(std::array::from_fn(|index| digest[index]))
    }
}

/// One thread hashes one blob. Blobs are many and small, so the threads are better busy with different blobs (`chunker::hash`,
/// the archive's workers) than with the halves of one. Nor may hashing ever wait for the thread pool: a pack is sealed and named
/// under its session's lock, and the threads of the pool may be waiting for that very lock.
fn keyed(key: &[u8; 32], bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(key, bytes).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> HashKeys {
        HashKeys::of_repository(&RepositoryId::from_bytes([7; 32]))
    }

    #[test]
    fn hex_round_trips_and_refuses_everything_else() {
        let id = BlobId::from_bytes(std::array::from_fn(|i| u8::try_from(i * 7 % 256).unwrap()));
        assert_eq!(id.to_string().parse::<BlobId>(), Ok(id));
        for bad in
            ["", "ab", &id.to_string()[1..], &id.to_string().to_uppercase(), &"zz".repeat(32)]
        {
            assert!(bad.parse::<BlobId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_type_is_part_of_the_identity() {
        let ids: std::collections::BTreeSet<_> =
            BlobType::ALL.iter().map(|kind| keys().blob_id(*kind, b"same bytes")).collect();
        assert_eq!(ids.len(), BlobType::ALL.len());
    }

    #[test]
    fn the_repository_is_part_of_the_identity() {
        let other = HashKeys::of_repository(&RepositoryId::from_bytes([8; 32]));
        assert_ne!(keys().blob_id(BlobType::Data, b"x"), other.blob_id(BlobType::Data, b"x"));
    }

    #[test]
    fn type_codes_round_trip() {
        for kind in BlobType::ALL {
            assert_eq!(BlobType::from_code(kind.code()), Some(kind));
        }
        assert_eq!(BlobType::from_code(0), None);
        assert_eq!(BlobType::from_code(6), None);
    }
}
