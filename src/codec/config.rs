//! `config`: what a repository is. Written once, last, twice, and never changed.

use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable, malformed, within_limit};
use crate::codec::pack::MAX_BLOB_BYTES;
use crate::codec::{CodecError, Durable, Extension, Kind};
use crate::id::RepositoryId;

/// Cut-point parameters, fixed for the life of a repository so that equal bytes keep cutting equally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkerConfig {
    /// Average length of a chunk in bytes; the shortest is half of it, the longest four times it.
    pub average_bytes: u32,
    /// Compressed media up to this length are one chunk; longer ones are cut in pieces of it.
    pub whole_file_bytes: u32,
}

/// How blobs are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CipherSuite {
    /// Not sealed: integrity without secrecy.
    None,
}

/// The identity of a repository. As a file: the envelope, then 16 bytes of BLAKE3 over it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// Chosen at random by `init`.
    pub repository: RepositoryId,
    /// When, nanoseconds since 1970.
    pub created_ns: i64,
    /// How files are cut.
    pub chunker: ChunkerConfig,
    /// How blobs are sealed.
    pub cipher: CipherSuite,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

durable!(Config, Kind::Config);

impl Rules for ChunkerConfig {
    fn broken_rule(&self) -> Option<&'static str> {
        let average = self.average_bytes;
        if !AVERAGE_BYTES.contains(&average) || !average.is_multiple_of(2) {
            return Some("an average chunk that is odd, below 256 bytes or above 4 MiB");
        }
        let sound = (average / 2..=MAX_BLOB_BYTES).contains(&self.whole_file_bytes);
        (!sound)
            .then_some("whole files shorter than the shortest chunk, or longer than a blob may be")
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        std::iter::empty()
    }
}

impl Rules for Config {
    fn broken_rule(&self) -> Option<&'static str> {
        self.chunker.broken_rule()
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        std::iter::once(self.extensions.as_slice())
    }
}

/// The longest chunk, four times the average, must fit in a blob.
const AVERAGE_BYTES: RangeInclusive<u32> = 256..=MAX_BLOB_BYTES / 4;

const CHECK_LEN: usize = 16;

/// No key of the repository is known before its config is, so this is a checksum that anybody can compute.
const CHECK_DOMAIN: &str = "larder 2026-11 config file check";

fn file_check(envelope: &[u8]) -> [u8; CHECK_LEN] {
    let digest = blake3::Hasher::new_derive_key(CHECK_DOMAIN).update(envelope).finalize();
    std::array::from_fn(|index| digest.as_bytes()[index])
}

impl Config {
    /// The bytes of the files `config` and `config.copy`.
    pub fn to_file(&self) -> Result<Vec<u8>, CodecError> {
        let mut bytes = self.encode()?;
        bytes.extend_from_slice(&file_check(&bytes));
        Ok(bytes)
    }

    /// What such a file says. A bad checksum is damage; another version of the format, below a right one, is not.
    pub fn from_file(bytes: &[u8]) -> Result<Self, CodecError> {
        let (envelope, check) = bytes
            .split_last_chunk::<CHECK_LEN>()
            .ok_or_else(|| malformed(Kind::Config, "shorter than its checksum"))?;
        within_limit(Kind::Config, envelope.len())?;
        if file_check(envelope) != *check {
            return Err(malformed(Kind::Config, "does not match its checksum"));
        }
        Self::decode(envelope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> Config {
        Config {
            repository: RepositoryId::from_bytes([7; 32]),
            created_ns: 1,
            chunker: ChunkerConfig { average_bytes: 1 << 20, whole_file_bytes: 4 << 20 },
            cipher: CipherSuite::None,
            extensions: Vec::new(),
        }
    }

    #[test]
    fn every_flipped_bit_of_the_file_is_damage() {
        let bytes = config().to_file().unwrap();
        assert_eq!(Config::from_file(&bytes), Ok(config()));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(
                matches!(Config::from_file(&bad), Err(CodecError::Malformed { .. })),
                "bit {bit}"
            );
        }
        for len in 0..bytes.len() {
            assert!(
                matches!(Config::from_file(&bytes[..len]), Err(CodecError::Malformed { .. })),
                "{len} bytes"
            );
        }
    }

    #[test]
    fn another_version_is_not_damage() {
        let mut envelope = config().encode().unwrap();
        envelope[2..4].copy_from_slice(&9_u16.to_le_bytes());
        let check = file_check(&envelope);
        envelope.extend_from_slice(&check);
        assert!(Config::from_file(&envelope).unwrap_err().is_too_new());
    }

    #[test]
    fn chunks_fit_in_blobs() {
        let with = |average_bytes, whole_file_bytes| {
            let chunker = ChunkerConfig { average_bytes, whole_file_bytes };
            Config { chunker, ..config() }.to_file().is_ok()
        };
        assert!(with(256, 128) && with(1 << 22, 1 << 24));
        for (average, whole) in [
            (0, 0),
            (254, 4096),
            (257, 4096),
            ((1 << 22) + 2, 1 << 24),
            (256, 127),
            (256, (1 << 24) + 1),
        ] {
            assert!(!with(average, whole), "{average} {whole}");
        }
    }
}
