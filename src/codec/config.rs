//! `config`: what a repository is. Written once, last, twice, and never changed.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::{Extension, Kind};
use crate::id::RepositoryId;

/// Cut-point parameters, fixed for the life of a repository so that equal bytes keep cutting equally.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkerConfig {
    /// Average length of a chunk in bytes; the shortest is half of it, the longest four times it.
    pub average_bytes: u32,
    /// Files up to this length, and compressed media up to this length, are one chunk.
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

impl Rules for Config {
    fn broken_rule(&self) -> Option<&'static str> {
        None
    }

    fn extensions(&self) -> &[Extension] {
        &self.extensions
    }
}
