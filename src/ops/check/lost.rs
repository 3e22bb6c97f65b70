//! Snapshots whose record may be lost without any other record naming them.
//!
//! The newest record of a source is named by no later one. But what it led to is still there: manifest nodes that no snapshot needs, of
//! a session that has ended as one does that saved a snapshot.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use crate::codec::fact::Subject;
use crate::codec::index::{BlobKey, key_of};
use crate::error::{Error, Result};
use crate::id::{BlobType, PackId, SessionId, SnapshotId};
use crate::ops::catalog::Catalog;
use crate::ops::check::structure::Needed;
use crate::repo::error::RepoError;
use crate::repo::layout;
use crate::repo::pack::read::directory;
use crate::repo::read::Reader;

/// What a finished session has stored for a snapshot that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unled {
    /// The session.
    pub session: SessionId,
    /// Bytes of its blobs that no snapshot needs.
    pub stored_bytes: u64,
    /// When its last pack was written, nanoseconds since 1970.
    pub written_ns: i64,
}

/// What no snapshot needs of one pack.
#[derive(Default)]
struct Unneeded {
    stored_bytes: u64,
    /// There is a manifest node among it: only a run that came to its end writes any.
    manifest: bool,
}

/// Sessions that have ended, and whose snapshot is not there. Nothing is said while something else explains what nobody needs: a record
/// that is missing or unreadable, or one that was forgotten.
pub(super) fn unled(
    catalog: &Catalog<'_>,
    reader: &Reader<'_>,
    needed: &Needed,
) -> Result<Vec<Unled>> {
    let forgotten = |subject: &Subject| matches!(subject, Subject::Forgotten { .. });
    let explained = catalog.listing().snapshots.is_empty()
        || !catalog.damage().is_empty()
        || !catalog.missing().is_empty()
        || catalog.facts().subjects().any(|(subject, _)| forgotten(subject));
    if explained {
        return Ok(Vec::new());
    }
    let unneeded = unneeded(reader, needed);
    if !unneeded.values().any(|it| it.manifest) {
        return Ok(Vec::new());
    }
    let mut sessions = by_session(catalog, &unneeded)?;
    let open = open_sessions(catalog)?;
    // Listed after the sessions: a run that has ended since the records were read shows its record before its marker goes.
    if has_new_records(catalog)? {
        return Ok(Vec::new());
    }
    sessions.retain(|session, (_, manifest)| *manifest && !open.contains(session));
    Ok(sessions.into_values().map(|(unled, _)| unled).collect())
}

fn has_new_records(catalog: &Catalog<'_>) -> Result<bool> {
    let backend = catalog.repository().backend();
    let listing = backend.list(layout::SNAPSHOTS).map_err(Error::from_backend)?;
    let known = &catalog.listing().ids;
    Ok(layout::ids::<SnapshotId>(&listing).any(|(id, _)| !known.contains(&id)))
}

fn unneeded(reader: &Reader<'_>, needed: &Needed) -> BTreeMap<PackId, Unneeded> {
    let needed: HashSet<(BlobType, BlobKey)> =
        needed.iter().map(|(blob_type, id)| (*blob_type, key_of(id))).collect();
    let mut unneeded: BTreeMap<PackId, Unneeded> = BTreeMap::new();
    for (key, place) in reader.index().segments().iter().flat_map(|it| it.view.iter().flatten()) {
        if !needed.contains(&(place.blob_type, key)) {
            let of_pack = unneeded.entry(place.pack).or_default();
            of_pack.stored_bytes += u64::from(place.stored_len);
            of_pack.manifest |= place.blob_type == BlobType::ManifestNode;
        }
    }
    unneeded
}

type BySession = BTreeMap<SessionId, (Unled, bool)>;

/// Who wrote the packs; one that cannot be read is reported as damaged elsewhere.
fn by_session(catalog: &Catalog<'_>, unneeded: &BTreeMap<PackId, Unneeded>) -> Result<BySession> {
    let repository = catalog.repository();
    let (backend, keys) = (repository.backend(), repository.keys());
    let listing = backend.list(layout::PACKS).map_err(Error::from_backend)?;
    let mut sessions = BySession::new();
    for (id, info) in layout::ids::<PackId>(&listing) {
        let Some(of_pack) = unneeded.get(&id) else { continue };
        let session = match directory(backend, keys, repository.id(), (&id, info.len)) {
            Ok(directory) => directory.session,
            Err(RepoError::Damaged(_)) => continue,
            Err(error) => return Err(error.into()),
        };
        let nothing = Unled { session, stored_bytes: 0, written_ns: i64::MIN };
        let (unled, manifest) = sessions.entry(session).or_insert((nothing, false));
        unled.stored_bytes += of_pack.stored_bytes;
        unled.written_ns = unled.written_ns.max(info.modified_ns);
        *manifest |= of_pack.manifest;
    }
    Ok(sessions)
}

/// Sessions that are at work or were cut off: what they stored is for nobody yet.
fn open_sessions(catalog: &Catalog<'_>) -> Result<BTreeSet<SessionId>> {
    let listing =
        catalog.repository().backend().list(layout::SESSIONS).map_err(Error::from_backend)?;
    Ok(layout::ids(&listing).map(|(id, _)| id).collect())
}
