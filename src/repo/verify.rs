//! Proving stored bytes without knowing what they mean: packs against their own directory, segments against their name.

use crate::codec::pack::TrailerEntry;
use crate::id::{BlobId, BlobType, PackId};
use crate::repo::error::{Damage, RepoError, Result};
use crate::repo::index::{Segment, segment_damage};
use crate::repo::pack::read::{directory, payload_fault, read};
use crate::repo::repository::Repository;

/// Payloads that touch are read together up to this length.
const WINDOW_BYTES: u64 = 4 * 1024 * 1024;

/// What the bytes of a pack turned out to be.
#[derive(Debug, Default)]
pub struct PackReport {
    /// Blobs whose stored bytes were proved.
    pub sound_blobs: u64,
    /// Bytes read.
    pub read_bytes: u64,
    /// What is wrong.
    pub damage: Vec<Damage>,
    /// Blobs that this pack lists, sound or not; empty when its directory cannot be read.
    pub listed: Vec<(BlobType, BlobId)>,
    /// Its directory cannot be read, so nothing of it was compared.
    pub directory_lost: bool,
}

/// Reads a whole pack and compares every stored byte with what covers it. `advance` hears of bytes as they are read.
pub fn verify_pack(
    repository: &Repository,
    (id, len): (&PackId, u64),
    advance: &(dyn Fn(u64) + Sync),
) -> Result<PackReport> {
    let (backend, keys) = (repository.backend(), repository.keys());
    let mut report = PackReport::default();
    let directory = match damage_apart(directory(backend, keys, repository.id(), (id, len)))? {
        Ok(directory) => directory,
        Err(damage) => {
            report.damage.push(damage);
            report.directory_lost = true;
            return Ok(report);
        }
    };
    report.listed = directory.entries.iter().map(|entry| (entry.blob_type, entry.id)).collect();
    let mut rest = directory.entries.as_slice();
    while !rest.is_empty() {
        let (window, after) = rest.split_at(window_of(rest));
        verify_window(repository, id, window, &mut report)?;
        advance(window_len(window));
        rest = after;
    }
    Ok(report)
}

/// How many of the leading entries to read together: at least one.
fn window_of(entries: &[TrailerEntry]) -> usize {
    let mut bytes = 0;
    let fits = entries.iter().take_while(|entry| {
        bytes += u64::from(entry.stored_len);
        bytes <= WINDOW_BYTES
    });
    fits.count().max(1)
}

fn window_len(window: &[TrailerEntry]) -> u64 {
    window.iter().map(|entry| u64::from(entry.stored_len)).sum()
}

fn verify_window(
    repository: &Repository,
    id: &PackId,
    window: &[TrailerEntry],
    report: &mut PackReport,
) -> Result<()> {
    let Some(first) = window.first() else { return Ok(()) };
    let len = usize::try_from(window_len(window)).unwrap_or(usize::MAX);
    let bytes = damage_apart(read(repository.backend(), id, first.offset, len))?;
    let mut at = 0;
    for entry in window {
        let end = at + entry.stored_len as usize;
        let stored = bytes.as_ref().ok().and_then(|bytes| bytes.get(at..end));
        at = end;
        match fault_of(repository, id, entry, stored)? {
            None => report.sound_blobs += 1,
            Some(reason) => report.damage.push(blob_damage(id, entry, reason)),
        }
    }
    report.read_bytes += len as u64;
    Ok(())
}

/// What is wrong with an entry. Bad bytes are read once more, alone, before they are called damage.
fn fault_of(
    repository: &Repository,
    id: &PackId,
    entry: &TrailerEntry,
    stored: Option<&[u8]>,
) -> Result<Option<String>> {
    let keys = repository.keys();
    if stored.is_some_and(|stored| payload_fault(keys, entry, stored).is_none()) {
        return Ok(None);
    }
    let len = entry.stored_len as usize;
    let again = damage_apart(read(repository.backend(), id, entry.offset, len))?;
    Ok(match again {
        Ok(bytes) => payload_fault(keys, entry, &bytes).map(str::to_owned),
        Err(damage) => Some(damage.to_string()),
    })
}

fn blob_damage(pack: &PackId, entry: &TrailerEntry, reason: String) -> Damage {
    Damage::Blob {
        blob_type: entry.blob_type,
        id: entry.id,
        pack: *pack,
        offset: entry.offset,
        reason,
    }
}

/// Proves a mapped segment: every page, and the name over all bytes.
pub fn verify_segment(repository: &Repository, segment: &Segment) -> Vec<Damage> {
    let mut damage: Vec<Damage> = segment
        .view
        .verify_all()
        .into_iter()
        .map(|page| segment_damage(&segment.id, page.to_string()))
        .collect();
    if damage.is_empty() && repository.keys().segment_id(segment.view.bytes()) != segment.id {
        damage.push(segment_damage(
            &segment.id,
            "the bytes do not have the hash that is its name".into(),
        ));
    }
    damage
}

/// Separates damage, which is a finding, from a failure of the check itself.
fn damage_apart<T>(result: Result<T>) -> Result<std::result::Result<T, Damage>> {
    match result {
        Ok(value) => Ok(Ok(value)),
        Err(RepoError::Damaged(damage)) => Ok(Err(damage)),
        Err(error) => Err(error),
    }
}
