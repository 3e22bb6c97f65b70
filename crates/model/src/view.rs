//! What a listing shows.

use crate::object::{Blobs, Dir, Entries, EntryId, Object, Place, Snap, each, snaps};

/// Everything that is visible at one moment.
pub(crate) struct View<'e> {
    entries: &'e Entries,
    pub(crate) ids: Vec<EntryId>,
}

impl<'e> View<'e> {
    pub(crate) fn new(entries: &'e Entries, ids: Vec<EntryId>) -> Self {
        Self { entries, ids }
    }

    /// The entries of a directory.
    pub(crate) fn list(&self, dir: Dir) -> impl Iterator<Item = (EntryId, &'e Object)> {
        let entries = self.entries;
        let entry = move |id: &EntryId| (*id, entries.get(*id));
        let here = self.ids.iter().map(entry).filter(move |(_, entry)| entry.dir == dir);
        here.map(|(id, entry)| (id, &entry.object))
    }

    /// The packs of a directory: entry, name, blobs.
    pub(crate) fn packs_in(&self, dir: Dir) -> impl Iterator<Item = (EntryId, u8, Blobs)> {
        self.list(dir).filter_map(|(id, object)| match object {
            Object::Pack { name, blobs } => Some((id, *name, *blobs)),
            _ => None,
        })
    }

    pub(crate) fn has_pack(&self, name: u8) -> bool {
        self.packs_in(Dir::Packs).any(|(_, it, _)| it == name)
    }

    /// Every listed place, ascending, each once.
    pub(crate) fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        for (_, object) in self.list(Dir::Index) {
            if let Object::Segment { places: listed, .. } = object {
                places.extend(listed);
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether a listed pack that is there holds the blob.
    pub(crate) fn is_listed(&self, blob: Blobs) -> bool {
        self.places().iter().any(|it| it.blob == blob && self.has_pack(it.pack))
    }

    /// The places that facts call damaged.
    pub(crate) fn damaged(&self) -> Vec<Place> {
        let place = |(_, object): (_, &Object)| match object {
            Object::Damaged(place) => Some(*place),
            _ => None,
        };
        self.list(Dir::Facts).filter_map(place).collect()
    }

    /// The set of snapshots that facts call forgotten.
    pub(crate) fn forgotten(&self) -> u8 {
        let bit = |(_, object): (_, &Object)| match object {
            Object::Forgotten { snap, .. } => snap.bit(),
            _ => 0,
        };
        self.list(Dir::Facts).map(bit).fold(0, |set, bit| set | bit)
    }

    /// The records of a directory: entry, snapshot, what it names.
    pub(crate) fn records_in(&self, dir: Dir) -> impl Iterator<Item = (EntryId, Snap, u8)> {
        self.list(dir).filter_map(|(id, object)| match object {
            Object::Record { snap, names } => Some((id, *snap, *names)),
            _ => None,
        })
    }

    /// The set of snapshots: a record in `snapshots/` is one, whatever facts say.
    pub(crate) fn snapshots(&self) -> u8 {
        self.records_in(Dir::Snapshots).fold(0, |set, (_, snap, _)| set | snap.bit())
    }

    /// The blobs that the snapshots need.
    pub(crate) fn live(&self) -> Blobs {
        snaps(self.snapshots()).fold(0, |set, snap| set | snap.needs())
    }

    /// Snapshots that the newest statement about a source names and that are neither there nor, as far as `forgotten` knows,
    /// forgotten.
    pub(crate) fn missing(&self, forgotten: u8) -> u8 {
        let of_records = self.records_in(Dir::Snapshots).map(|(_, snap, names)| (snap, names));
        let of_facts = self.list(Dir::Facts).filter_map(|(_, object)| match object {
            Object::Forgotten { snap, names } => Some((*snap, *names)),
            _ => None,
        });
        let mut newest: [Option<(Snap, u8)>; 2] = [None; 2];
        for (snap, names) in
            of_records.chain(of_facts.filter(|(snap, _)| snap.bit() & forgotten != 0))
        {
            let slot = &mut newest[usize::from(snap.source())];
            if slot.is_none_or(|(other, _)| other.sequence() < snap.sequence()) {
                *slot = Some((snap, names));
            }
        }
        let named = newest.into_iter().flatten().fold(0, |set, (_, names)| set | names);
        named & !self.snapshots() & !forgotten
    }

    /// Whether each blob of the set is in a pack that is there and listed.
    pub(crate) fn all_listed(&self, blobs: Blobs) -> bool {
        each(blobs).all(|blob| self.is_listed(blob))
    }
}
