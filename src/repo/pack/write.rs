//! Writing one pack: header, payloads as they come, trailer, footer.

use crate::codec::Durable;
use crate::codec::pack::{Encoding, Footer, Header, PackClass, Trailer, TrailerEntry};
use crate::id::{BlobId, BlobType, Check, HashKeys, PackId, RepositoryId, SessionId};
use crate::repo::backend::Upload;
use crate::repo::error::{RepoError, Result};
use crate::repo::layout;

/// Packs are sealed at this length: large enough to be few, small enough to be rewritten.
pub const TARGET_BYTES: u64 = 64 * 1024 * 1024;

/// Packs are sealed at this many blobs, so that a trailer stays a small read.
pub const MOST_ENTRIES: usize = 65_536;

/// Who writes a pack.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The repository's keys.
    pub keys: &'a HashKeys,
    /// The repository.
    pub repository: RepositoryId,
    /// The session.
    pub session: SessionId,
}

/// One blob, encoded.
#[derive(Debug, Clone, Copy)]
pub struct Payload<'a> {
    /// Its type.
    pub blob_type: BlobType,
    /// Its id.
    pub id: BlobId,
    /// How `stored` is encoded.
    pub encoding: Encoding,
    /// The bytes to store.
    pub stored: &'a [u8],
    /// Length of the plaintext.
    pub plain_len: u32,
    /// Check of `stored`; zero when raw.
    pub check: Check,
}

/// A pack that is still growing.
pub struct OpenPack {
    upload: Box<dyn Upload>,
    header: Vec<u8>,
    entries: Vec<TrailerEntry>,
}

impl OpenPack {
    /// Writes the header. `salt` must be 32 bytes that were never used before.
    pub fn begin(
        mut upload: Box<dyn Upload>,
        class: PackClass,
        writer: Writer<'_>,
        salt: [u8; 32],
    ) -> Result<Self> {
        let header = Header {
            salt,
            repository: writer.repository,
            session: writer.session,
            class,
            extensions: Vec::new(),
        };
        let header = header.encode().map_err(RepoError::Encode)?;
        upload.append(&header)?;
        Ok(Self { upload, header, entries: Vec::new() })
    }

    /// Adds a payload; returns its offset.
    pub fn add(&mut self, payload: &Payload<'_>) -> Result<u64> {
        let offset = self.upload.len();
        self.upload.append(payload.stored)?;
        self.entries.push(TrailerEntry {
            blob_type: payload.blob_type,
            id: payload.id,
            encoding: payload.encoding,
            offset,
            stored_len: length_u32(payload.stored.len()),
            plain_len: payload.plain_len,
            check: payload.check,
        });
        Ok(offset)
    }

    /// Stored bytes as the storage gives them back.
    pub fn read_back(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        Ok(self.upload.read_back(offset, len)?)
    }

    /// True when nothing more should be added.
    pub fn is_full(&self) -> bool {
        self.upload.len() >= TARGET_BYTES || self.entries.len() >= MOST_ENTRIES
    }

    /// Writes trailer and footer and hands the pack to its stage; it has its name after the next barrier.
    pub fn seal(mut self, keys: &HashKeys) -> Result<(PackId, u64)> {
        let trailer = Trailer { entries: self.entries, extensions: Vec::new() };
        let mut tail = trailer.encode().map_err(RepoError::Encode)?;
        let footer = Footer {
            trailer_len: length_u32(tail.len()),
            header_len: length_u32(self.header.len()),
            header_check: keys.check(&self.header),
        };
        tail.extend_from_slice(&footer.encode().map_err(RepoError::Encode)?);
        self.upload.append(&tail)?;
        let id = keys.pack_id(&tail);
        let len = self.upload.len();
        self.upload.finish(&layout::pack(&id))?;
        Ok((id, len))
    }
}

/// Lengths here are bounded far below 4 GiB by the limits of blobs and trailers.
fn length_u32(len: usize) -> u32 {
    u32::try_from(len).expect("invariant: blobs and trailers are bounded by the format")
}
