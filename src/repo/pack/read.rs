//! Reading one pack: its directory, and single payloads.

use crate::codec::pack::{Encoding, Footer, Header, PackClass, Trailer, TrailerEntry};
use crate::codec::{CodecError, Durable, Kind};
use crate::id::{HashKeys, PackId, RepositoryId, SessionId};
use crate::repo::backend::{Backend, BackendError};
use crate::repo::compress::decompress;
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::layout;

/// The directory of a pack, proved by the pack's name.
#[derive(Debug, Clone)]
pub struct Directory {
    /// Every blob of it.
    pub entries: Vec<TrailerEntry>,
    /// Length of the header.
    pub header_len: u32,
    /// What it holds.
    pub class: PackClass,
    /// The session that wrote it.
    pub session: SessionId,
}

/// Reads and proves header, trailer and footer of a pack of this length.
pub fn directory(
    backend: &dyn Backend,
    keys: &HashKeys,
    repository: &RepositoryId,
    (id, len): (&PackId, u64),
) -> Result<Directory> {
    let damage = |reason: String| object_damage(id, reason);
    let footer_start = len
        .checked_sub(Footer::LEN as u64)
        .ok_or_else(|| damage("shorter than a footer".into()))?;
    let footer_bytes = read(backend, id, footer_start, Footer::LEN)?;
    let footer = match Footer::decode(&footer_bytes) {
        Ok(footer) => footer,
        // Nothing has proved the footer yet: a flipped bit in its version is damage, not a newer larder.
        Err(error)
            if error.is_too_new() && !has_name(backend, keys, id, &footer_bytes, footer_start) =>
        {
            return Err(damage("the footer is not one of a pack".into()).into());
        }
        Err(error) => return Err(codec(id, &error)),
    };
    let trailer_start = footer_start
        .checked_sub(u64::from(footer.trailer_len))
        .filter(|start| *start >= u64::from(footer.header_len))
        .ok_or_else(|| damage("lengths in the footer do not fit the pack".into()))?;
    let mut tail = read(backend, id, trailer_start, footer.trailer_len as usize)?;
    let trailer_len = tail.len();
    tail.extend_from_slice(&footer_bytes);
    if keys.pack_id(&tail) != *id {
        return Err(damage(
            "trailer and footer do not have the hash that is the pack's name".into(),
        )
        .into());
    }
    let trailer = Trailer::decode(&tail[..trailer_len]).map_err(|error| codec(id, &error))?;
    trailer.fits(&footer, len).map_err(|error| codec(id, &error))?;
    let header = proved_header(backend, keys, repository, id, &footer)?;
    let Header { class, session, .. } = header;
    Ok(Directory { entries: trailer.entries, header_len: footer.header_len, class, session })
}

/// True when the pack's name is the hash of its end, whatever the version of the footer: the trailer's length stands where it always does.
fn has_name(
    backend: &dyn Backend,
    keys: &HashKeys,
    id: &PackId,
    footer: &[u8],
    footer_start: u64,
) -> bool {
    let Some(len) =
        footer.get(12..16).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes)
    else {
        return false;
    };
    if len as usize > Kind::PackTrailer.limit_bytes() {
        return false;
    }
    let Some(start) = footer_start.checked_sub(u64::from(len)) else { return false };
    match read(backend, id, start, len as usize) {
        Ok(mut tail) => {
            tail.extend_from_slice(footer);
            keys.pack_id(&tail) == *id
        }
        Err(_) => false,
    }
}

fn proved_header(
    backend: &dyn Backend,
    keys: &HashKeys,
    repository: &RepositoryId,
    id: &PackId,
    footer: &Footer,
) -> Result<Header> {
    let bytes = read(backend, id, 0, footer.header_len as usize)?;
    if keys.check(&bytes) != footer.header_check {
        return Err(object_damage(id, "the header's check does not match".into()).into());
    }
    let header = Header::decode(&bytes).map_err(|error| codec(id, &error))?;
    if header.repository != *repository {
        return Err(object_damage(
            id,
            format!("belongs to repository {}", header.repository.short()),
        )
        .into());
    }
    Ok(header)
}

/// What is wrong with a payload as stored, if anything: raw payloads are proved by their id, others by their check.
pub fn payload_fault(keys: &HashKeys, entry: &TrailerEntry, stored: &[u8]) -> Option<&'static str> {
    match entry.encoding {
        Encoding::Raw if keys.blob_id(entry.blob_type, stored) != entry.id => {
            Some("the bytes do not have the blob's id")
        }
        Encoding::Zstd if keys.check(stored) != entry.check => {
            Some("the stored bytes do not match their check")
        }
        _ => None,
    }
}

/// The plaintext of an entry, proved by its id; `Err` says what is wrong with the bytes.
pub fn open_payload(
    keys: &HashKeys,
    entry: &TrailerEntry,
    stored: &[u8],
) -> std::result::Result<Vec<u8>, &'static str> {
    let plain = decompress(stored, entry.encoding, entry.plain_len as usize)
        .ok_or("the bytes cannot be decoded")?;
    if keys.blob_id(entry.blob_type, &plain) == entry.id {
        Ok(plain)
    } else {
        Err("the bytes do not have the blob's id")
    }
}

/// A range of a pack. What the storage cannot give, tried twice, is damage, whatever it calls its reason.
pub fn read(backend: &dyn Backend, id: &PackId, offset: u64, len: usize) -> Result<Vec<u8>> {
    let attempt = || backend.get_range(&layout::pack(id), offset, len);
    attempt().or_else(|_| attempt()).map_err(|error| {
        let reason = match error {
            BackendError::NotFound { .. } => "is missing".into(),
            BackendError::ShortObject { .. } => "is shorter than it should be".into(),
            error => error.to_string(),
        };
        object_damage(id, reason).into()
    })
}

fn object_damage(id: &PackId, reason: String) -> Damage {
    Damage::Object { object: layout::pack(id).to_string(), reason }
}

fn codec(id: &PackId, error: &CodecError) -> RepoError {
    if error.is_too_new() {
        RepoError::Unsupported { what: error.to_string() }
    } else {
        object_damage(id, error.to_string()).into()
    }
}
