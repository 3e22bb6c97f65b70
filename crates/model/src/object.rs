//! What lies in a repository, as far as the protocol cares.

use std::collections::HashMap;
use std::fmt;

/// A set of blobs: bit 0 is X, bit 1 is Y.
pub type Blobs = u8;

/// The blob X.
pub const X: Blobs = 1;
/// The blob Y.
pub const Y: Blobs = 2;
/// Both.
pub const XY: Blobs = X | Y;

/// The blobs of a set, one by one.
pub(crate) fn each(blobs: Blobs) -> impl Iterator<Item = Blobs> {
    [X, Y].into_iter().filter(move |blob| blobs & blob != 0)
}

/// A snapshot. A and then D are of one source, B and then C of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Snap {
    /// Needs X and Y.
    A,
    /// Needs X.
    B,
    /// Needs Y.
    C,
    /// Needs X and Y.
    D,
}

impl Snap {
    pub(crate) const ALL: [Self; 4] = [Self::A, Self::B, Self::C, Self::D];

    /// The blobs that its manifest leads to.
    pub fn needs(self) -> Blobs {
        match self {
            Self::A | Self::D => XY,
            Self::B => X,
            Self::C => Y,
        }
    }

    /// Its bit in a set of snapshots.
    pub(crate) fn bit(self) -> u8 {
        1 << (self as u8)
    }

    pub(crate) fn source(self) -> u8 {
        u8::from(matches!(self, Self::B | Self::C))
    }

    pub(crate) fn sequence(self) -> u8 {
        1 + u8::from(matches!(self, Self::C | Self::D))
    }
}

/// The snapshots of a set.
pub(crate) fn snaps(set: u8) -> impl Iterator<Item = Snap> {
    Snap::ALL.into_iter().filter(move |snap| set & snap.bit() != 0)
}

/// A directory. Each is synced by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dir {
    /// `packs/`
    Packs,
    /// `index/`
    Index,
    /// `snapshots/`
    Snapshots,
    /// `facts/`
    Facts,
    /// `trash/`
    Trash,
    /// `sessions/`
    Sessions,
}

impl Dir {
    pub(crate) fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// Where a blob is said to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The pack.
    pub pack: u8,
    /// The one blob.
    pub blob: Blobs,
}

/// A stored object. Names are never used twice: 1 to 9 are there from the beginning, the process of number n makes those
/// from 10 n + 10.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Object {
    /// A pack and what is in it.
    Pack {
        /// Its name.
        name: u8,
        /// Its blobs.
        blobs: Blobs,
    },
    /// A segment of the index.
    Segment {
        /// Its name.
        name: u8,
        /// What it lists, ascending.
        places: Vec<Place>,
    },
    /// A snapshot's record.
    Record {
        /// The snapshot.
        snap: Snap,
        /// The set of snapshots of its source that were there when it was taken.
        names: u8,
    },
    /// A fact: this snapshot was forgotten on purpose. It repeats what the record named.
    Forgotten {
        /// The snapshot.
        snap: Snap,
        /// What its record named.
        names: u8,
    },
    /// A fact: this place is damaged.
    Damaged(Place),
    /// A session of a process.
    Session(u8),
}

/// An object in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entry {
    /// Where.
    pub dir: Dir,
    /// What.
    pub object: Object,
}

/// The number of an entry.
pub type EntryId = u16;

/// Every entry that has been seen, numbered: states hold numbers only.
#[derive(Debug, Default)]
pub struct Entries {
    numbers: HashMap<Entry, EntryId>,
    entries: Vec<Entry>,
}

impl Entries {
    /// The number of an entry.
    pub fn id(&mut self, dir: Dir, object: Object) -> EntryId {
        let entry = Entry { dir, object };
        if let Some(id) = self.numbers.get(&entry) {
            return *id;
        }
        let id = EntryId::try_from(self.entries.len()).expect("invariant: scenarios are small");
        self.entries.push(entry.clone());
        self.numbers.insert(entry, id);
        id
    }

    /// The entry of a number.
    pub fn get(&self, id: EntryId) -> &Entry {
        &self.entries[usize::from(id)]
    }

    /// The same object in another directory.
    pub fn moved(&mut self, id: EntryId, dir: Dir) -> EntryId {
        let object = self.get(id).object.clone();
        self.id(dir, object)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dir = format!("{:?}", self.dir).to_lowercase();
        match &self.object {
            Object::Pack { name, blobs } => write!(f, "{dir}/p{name}({})", letters(*blobs)),
            Object::Segment { name, places } => {
                let places: Vec<String> =
                    places.iter().map(|it| format!("p{}{}", it.pack, letters(it.blob))).collect();
                write!(f, "{dir}/i{name}[{}]", places.join(" "))
            }
            Object::Record { snap, .. } => write!(f, "{dir}/{snap:?}"),
            Object::Forgotten { snap, .. } => write!(f, "{dir}/forgotten-{snap:?}"),
            Object::Damaged(place) => {
                write!(f, "{dir}/damaged-p{}{}", place.pack, letters(place.blob))
            }
            Object::Session(process) => write!(f, "{dir}/{process}"),
        }
    }
}

/// A set of blobs, for people.
pub(crate) fn letters(blobs: Blobs) -> &'static str {
    match blobs & XY {
        X => "X",
        Y => "Y",
        XY => "XY",
        _ => "-",
    }
}
