//! Which object has which name. Nothing else knows the directories of a repository.

use std::str::FromStr;

use crate::id::{FactId, PackId, SegmentId, SessionId, SnapshotId};
use crate::repo::backend::{Key, ObjectInfo};

/// Blobs.
pub const PACKS: &str = "packs";
/// Index segments.
pub const INDEX: &str = "index";
/// Snapshot records.
pub const SNAPSHOTS: &str = "snapshots";
/// Facts.
pub const FACTS: &str = "facts";
/// Parity of packs, segments and records.
pub const PARITY: &str = "parity";
/// Who is writing.
pub const SESSIONS: &str = "sessions";
/// Lock targets.
pub const LOCKS: &str = "locks";
/// Unfinished objects, a directory a session.
pub const TMP: &str = "tmp";
/// Forgotten objects, a directory a prune.
pub const TRASH: &str = "trash";
/// Damaged objects that were replaced.
pub const QUARANTINE: &str = "quarantine";

/// Every directory that a repository has from its beginning.
pub const DIRECTORIES: [&str; 10] =
    [PACKS, INDEX, SNAPSHOTS, FACTS, PARITY, SESSIONS, LOCKS, TMP, TRASH, QUARANTINE];

fn key(text: String) -> Key {
    Key::new(text).expect("invariant: names made here keep to the alphabet of keys")
}

/// The identity.
pub fn config() -> Key {
    key("config".to_owned())
}

/// The identity again.
pub fn config_copy() -> Key {
    key("config.copy".to_owned())
}

/// A pack.
pub fn pack(id: &PackId) -> Key {
    key(format!("{PACKS}/{id}"))
}

/// An index segment.
pub fn segment(id: &SegmentId) -> Key {
    key(format!("{INDEX}/{id}"))
}

/// A snapshot record.
pub fn snapshot(id: &SnapshotId) -> Key {
    key(format!("{SNAPSHOTS}/{id}"))
}

/// A fact.
pub fn fact(id: &FactId) -> Key {
    key(format!("{FACTS}/{id}"))
}

/// A session's marker.
pub fn session(id: &SessionId) -> Key {
    key(format!("{SESSIONS}/{id}"))
}

/// The lock under which work on a repository is shared, and a switch is alone.
pub fn repository_lock() -> Key {
    key(format!("{LOCKS}/repository"))
}

/// The lock of the one maintainer.
pub fn maintenance_lock() -> Key {
    key(format!("{LOCKS}/maintenance"))
}

/// The lock of who decides which snapshots stay.
pub fn forget_lock() -> Key {
    key(format!("{LOCKS}/forget"))
}

/// The lock of one source, whose name may hold any character: its hash stands for it.
pub fn source_lock(source: &str) -> Key {
    let digest = blake3::hash(source.as_bytes()).to_hex();
    key(format!("{LOCKS}/source-{}", &digest[..32]))
}

/// What was forgotten or removed at this moment (nanoseconds since 1970) lies here. Times before 1970 are one.
pub fn trash_directory(time_ns: i64) -> String {
    format!("{TRASH}/{:020}", time_ns.max(0))
}

/// The moment of a directory in `trash/`, given its name; `None` when it is not one of ours.
pub fn trash_time(name: &str) -> Option<i64> {
    // A sign would be read, too, and then name another directory than this one.
    let is_ours = name.len() == 20 && name.bytes().all(|byte| byte.is_ascii_digit());
    is_ours.then(|| name.parse().ok()).flatten()
}

/// A pack in a directory of `trash/`.
pub fn trashed_pack(directory: &str, id: &PackId) -> Key {
    key(format!("{directory}/{TRASHED_PACK}{id}"))
}

/// A snapshot record in a directory of `trash/`.
pub fn trashed_snapshot(directory: &str, id: &SnapshotId) -> Key {
    key(format!("{directory}/{TRASHED_SNAPSHOT}{id}"))
}

/// A fact in a directory of `trash/`.
pub fn trashed_fact(directory: &str, id: &FactId) -> Key {
    key(format!("{directory}/{TRASHED_FACT}{id}"))
}

/// What a name in a directory of `trash/` stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trashed {
    /// A pack.
    Pack(PackId),
    /// A snapshot record.
    Snapshot(SnapshotId),
    /// A fact that could not be read.
    Fact(FactId),
}

impl Trashed {
    /// `None` for a name that larder does not give.
    pub fn of_name(name: &str) -> Option<Self> {
        let pack = name.strip_prefix(TRASHED_PACK).and_then(|id| id.parse().ok());
        let snapshot = || name.strip_prefix(TRASHED_SNAPSHOT).and_then(|id| id.parse().ok());
        let fact = || name.strip_prefix(TRASHED_FACT).and_then(|id| id.parse().ok());
        pack.map(Self::Pack)
            .or_else(|| snapshot().map(Self::Snapshot))
            .or_else(|| fact().map(Self::Fact))
    }
}

const TRASHED_PACK: &str = "pack-";
const TRASHED_SNAPSHOT: &str = "snapshot-";
const TRASHED_FACT: &str = "fact-";

/// The ids in a listing, each with what the listing says of it. Names that are no ids are left out: readers ignore what they do
/// not know, and check reports it.
pub fn ids<I: FromStr>(listing: &[ObjectInfo]) -> impl Iterator<Item = (I, &ObjectInfo)> {
    listing
        .iter()
        .filter(|object| !object.is_dir)
        .filter_map(|object| Some((object.name.parse().ok()?, object)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_any_name_has_a_lock_of_its_own() {
        assert_ne!(source_lock("a/b\n"), source_lock("a/b"));
        assert!(source_lock("\u{fc}ber").as_str().starts_with("locks/source-"));
    }

    #[test]
    fn trash_is_sorted_by_time_and_its_names_say_what_they_are() {
        assert_eq!(trash_directory(-5), trash_directory(0));
        assert!(trash_directory(999) < trash_directory(1_795_312_800_000_000_000));
        let name = |directory: &str| directory.rsplit('/').next().map(str::to_owned).unwrap();
        assert_eq!(trash_time(&name(&trash_directory(17))), Some(17));
        assert_eq!(trash_time("17"), None);
        let (pack, snapshot) = (PackId::from_bytes([1; 32]), SnapshotId::from_bytes([2; 32]));
        let of = |key: Key| Trashed::of_name(key.name());
        assert_eq!(of(trashed_pack("trash/1", &pack)), Some(Trashed::Pack(pack)));
        assert_eq!(of(trashed_snapshot("trash/1", &snapshot)), Some(Trashed::Snapshot(snapshot)));
        let fact = FactId::from_bytes([3; 32]);
        assert_eq!(of(trashed_fact("trash/1", &fact)), Some(Trashed::Fact(fact)));
        assert_eq!(Trashed::of_name("pack-12"), None);
    }

    #[test]
    fn a_listing_gives_its_ids_and_nothing_else() {
        let object =
            |name: &str, is_dir| ObjectInfo { name: name.into(), len: 1, modified_ns: 0, is_dir };
        let id = PackId::from_bytes([1; 32]);
        let listing = [
            object(&id.to_string(), false),
            object("README", false),
            object(&id.to_string(), true),
        ];
        assert_eq!(ids::<PackId>(&listing).map(|(id, _)| id).collect::<Vec<_>>(), [id]);
    }
}
