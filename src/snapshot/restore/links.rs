//! Which names of a snapshot were names of one inode.

use std::collections::HashMap;

use crate::codec::manifest::{Entry, EntryKind};

/// What an entry is to the inode that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LinkRole {
    /// The only name.
    Single,
    /// The first name, with others to come.
    First,
    /// Another name of an inode that was seen.
    Further,
}

/// An inode that this run made, and by which name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) path: Vec<u8>,
    pub(super) device: u64,
    pub(super) inode: u64,
}

/// The inodes with several names. Forgotten when all their names have come.
#[derive(Debug, Default)]
pub(super) struct Links {
    seen: HashMap<(u64, u64), Sighting>,
}

#[derive(Debug)]
struct Sighting {
    entry: Entry,
    names_left: u32,
    made: Option<Made>,
}

impl Links {
    /// What this entry is, going by the entries before it.
    ///
    /// Two entries are names of one inode only if they agree in everything: an inode that changed between the two
    /// sightings, or that a hostile manifest made up, becomes two files.
    pub(super) fn role(&mut self, entry: &Entry) -> LinkRole {
        if entry.links < 2 || entry.kind == EntryKind::Directory {
            return LinkRole::Single;
        }
        let key = (entry.device, entry.inode);
        if let Some(sighting) = self.seen.get(&key) {
            return if same(&sighting.entry, entry) { LinkRole::Further } else { LinkRole::Single };
        }
        let names_left = entry.links - 1;
        self.seen.insert(key, Sighting { entry: entry.clone(), names_left, made: None });
        LinkRole::First
    }

    /// Notes what became of a first name.
    pub(super) fn made(&mut self, entry: &Entry, made: Made) {
        if let Some(sighting) = self.seen.get_mut(&(entry.device, entry.inode)) {
            sighting.made = Some(made);
        }
    }

    /// What a further name is to be linked to; `None` when the earlier ones could not be made.
    pub(super) fn target(&mut self, entry: &Entry) -> Option<Made> {
        let key = (entry.device, entry.inode);
        let sighting = self.seen.get_mut(&key)?;
        let made = sighting.made.clone();
        sighting.names_left = sighting.names_left.saturating_sub(1);
        if sighting.names_left == 0 {
            self.seen.remove(&key);
        }
        made
    }
}

fn same(a: &Entry, b: &Entry) -> bool {
    same_kind(&a.kind, &b.kind)
        && (a.mode, a.uid, a.gid, a.mtime) == (b.mode, b.uid, b.gid, b.mtime)
        && a.links == b.links
        && a.xattrs == b.xattrs
}

fn same_kind(a: &EntryKind, b: &EntryKind) -> bool {
    match (a, b) {
        // When and how the bytes were read does not matter, only which they are.
        (EntryKind::File(a), EntryKind::File(b)) => {
            a.size == b.size && a.content == b.content && a.sparse == b.sparse
        }
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::manifest::{EntryKey, FileTime};

    fn pipe(path: &str) -> Entry {
        Entry {
            key: EntryKey { root: 0, path: path.into() },
            kind: EntryKind::Fifo,
            mode: 0o644,
            uid: 0,
            gid: 0,
            mtime: FileTime::default(),
            ctime: FileTime::default(),
            device: 1,
            inode: 2,
            links: 3,
            xattrs: Vec::new(),
            extensions: Vec::new(),
        }
    }

    #[test]
    fn names_of_one_inode_find_each_other_and_are_forgotten() {
        let mut links = Links::default();
        let made = Made { path: b"a".to_vec(), device: 9, inode: 8 };
        assert_eq!(links.role(&pipe("a")), LinkRole::First);
        assert_eq!(links.role(&pipe("b")), LinkRole::Further);
        assert_eq!(links.target(&pipe("b")), None, "the first is not made yet");
        links.made(&pipe("a"), made.clone());
        assert_eq!(links.target(&pipe("c")), Some(made));
        assert!(links.seen.is_empty());
    }

    #[test]
    fn entries_that_differ_are_not_linked() {
        let mut links = Links::default();
        assert_eq!(links.role(&pipe("a")), LinkRole::First);
        let other_mode = Entry { mode: 0o600, ..pipe("b") };
        let other_kind = Entry { kind: EntryKind::Socket, ..pipe("c") };
        assert_eq!(links.role(&other_mode), LinkRole::Single);
        assert_eq!(links.role(&other_kind), LinkRole::Single);
        assert_eq!(links.role(&Entry { links: 1, ..pipe("d") }), LinkRole::Single);
    }
}
