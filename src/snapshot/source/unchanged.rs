//! Whether a thing can be taken over from the previous snapshot without reading it again. Pure.

use std::collections::HashMap;

use crate::codec::manifest::{Entry, EntryKind, FileTime, Origin};
use crate::snapshot::source::metadata::{ItemKind, Stat};

/// How far the times of a file system can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trust {
    /// Changes closer together than this may carry the same time, in nanoseconds.
    pub granularity_ns: i64,
    /// When the previous snapshot began: entries that say nothing themselves were read no earlier, nanoseconds since 1970.
    pub previous_began_ns: i64,
}

/// The granularity of local Linux file systems, in nanoseconds: their clock ticks every 1 to 10 ms.
pub const FINE_GRANULARITY_NS: i64 = 10_000_000;

/// The granularity of everything else, in nanoseconds: FAT keeps 2 s.
pub const COARSE_GRANULARITY_NS: i64 = 2_000_000_000;

/// True when the previous entry still describes this inode.
///
/// It must have the same identity, size, times and owner, have been read in one piece, and not be racily new: what
/// changed just before it was read could have changed again just after, within the same tick of the clock.
pub fn unchanged(previous: &Entry, current: &Stat, trust: &Trust) -> bool {
    let read_at_ns = match &previous.kind {
        EntryKind::File(file) => {
            if file.origin != Origin::Read || file.size != current.size {
                return false;
            }
            file.read_at_ns
        }
        _ => trust.previous_began_ns,
    };
    same_inode(previous, current)
        && settled_before(previous.ctime, read_at_ns, trust.granularity_ns)
}

fn same_inode(previous: &Entry, current: &Stat) -> bool {
    same_kind(&previous.kind, current)
        && (previous.device, previous.inode) == (current.device, current.inode)
        && (previous.mtime, previous.ctime) == (current.mtime, current.ctime)
        && (previous.mode, previous.uid, previous.gid) == (current.mode, current.uid, current.gid)
        && previous.links == current.links
}

fn same_kind(previous: &EntryKind, current: &Stat) -> bool {
    match previous {
        EntryKind::File(_) => current.kind == ItemKind::File,
        EntryKind::Directory => current.kind == ItemKind::Directory,
        EntryKind::Symlink { .. } => current.kind == ItemKind::Symlink,
        EntryKind::Fifo => current.kind == ItemKind::Fifo,
        EntryKind::Socket => current.kind == ItemKind::Socket,
        EntryKind::CharDevice { major, minor } => {
            current.kind == ItemKind::CharDevice && (*major, *minor) == current.rdev
        }
        EntryKind::BlockDevice { major, minor } => {
            current.kind == ItemKind::BlockDevice && (*major, *minor) == current.rdev
        }
    }
}

fn settled_before(ctime: FileTime, read_at_ns: i64, granularity_ns: i64) -> bool {
    // Whole seconds mean that the file system may keep no finer ones (ext3 has the magic of ext4).
    let granularity_ns = match ctime.nanos {
        0 => granularity_ns.max(COARSE_GRANULARITY_NS),
        _ => granularity_ns,
    };
    let ctime_ns = i128::from(ctime.secs) * 1_000_000_000 + i128::from(ctime.nanos);
    ctime_ns + i128::from(granularity_ns) < i128::from(read_at_ns)
}

/// Hard links of one run: what the first name of an inode was read as serves the others.
#[derive(Debug)]
pub struct HardLinks<T> {
    seen: HashMap<(u64, u64), Sighting<T>>,
}

#[derive(Debug)]
struct Sighting<T> {
    stat: Stat,
    names_left: u32,
    what: T,
}

impl<T> Default for HardLinks<T> {
    fn default() -> Self {
        Self { seen: HashMap::new() }
    }
}

impl<T: Clone> HardLinks<T> {
    /// What an earlier name of this inode gave, if the inode has not changed since.
    pub fn earlier(&mut self, stat: &Stat) -> Option<T> {
        let key = (stat.device, stat.inode);
        let sighting = self.seen.get_mut(&key).filter(|_| stat.links > 1)?;
        if !sighting.stat.same_state(stat) {
            return None;
        }
        let what = sighting.what.clone();
        sighting.names_left = sighting.names_left.saturating_sub(1);
        if sighting.names_left == 0 {
            self.seen.remove(&key);
        }
        Some(what)
    }

    /// Remembers what a name gave, when its inode has further ones. The newest state of an inode counts.
    pub fn remember(&mut self, stat: &Stat, what: T) {
        if stat.links > 1 {
            let sighting = Sighting { stat: *stat, names_left: stat.links - 1, what };
            self.seen.insert((stat.device, stat.inode), sighting);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::content::Content;
    use crate::codec::manifest::{EntryKey, FileEntry};
    use crate::snapshot::source::metadata::entry;

    const READ_AT_NS: i64 = 1_000_000_000_000;
    const TRUST: Trust =
        Trust { granularity_ns: FINE_GRANULARITY_NS, previous_began_ns: READ_AT_NS };

    fn stat(kind: ItemKind, ctime_ns: i64) -> Stat {
        let time = FileTime {
            secs: ctime_ns / 1_000_000_000,
            nanos: u32::try_from(ctime_ns % 1_000_000_000).unwrap(),
        };
        Stat {
            kind,
            mode: 0o644,
            uid: 1,
            gid: 2,
            size: 10,
            allocated_bytes: 4096,
            mtime: time,
            ctime: time,
            device: 3,
            inode: 4,
            links: 2,
            rdev: (5, 6),
        }
    }

    fn file(stat: &Stat, origin: Origin) -> Entry {
        let kind = EntryKind::File(FileEntry {
            size: stat.size,
            content: Content::Inline(Vec::new()),
            sparse: None,
            origin,
            read_at_ns: READ_AT_NS,
        });
        entry(EntryKey { root: 0, path: "f".into() }, stat, kind, Vec::new())
    }

    #[test]
    fn every_difference_counts() {
        let old = stat(ItemKind::File, READ_AT_NS - 11_000_001);
        let previous = file(&old, Origin::Read);
        assert!(unchanged(&previous, &old, &TRUST));
        let later = FileTime { secs: old.ctime.secs, nanos: old.ctime.nanos + 1 };
        let changes: [fn(&mut Stat, FileTime); 9] = [
            |s, _| s.size += 1,
            |s, _| s.inode += 1,
            |s, _| s.device += 1,
            |s, t| s.mtime = t,
            |s, t| s.ctime = t,
            |s, _| s.mode = 0o600,
            |s, _| s.uid = 9,
            |s, _| s.links = 1,
            |s, _| s.kind = ItemKind::Fifo,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut now = old;
            change(&mut now, later);
            assert!(!unchanged(&previous, &now, &TRUST), "change {number}");
        }
    }

    #[test]
    fn what_was_not_read_in_one_piece_is_read_again() {
        let old = stat(ItemKind::File, READ_AT_NS / 2 + 1);
        for origin in [Origin::Unstable, Origin::Database] {
            assert!(!unchanged(&file(&old, origin), &old, &TRUST));
        }
    }

    #[test]
    fn racily_new_things_are_read_again() {
        for (age_ns, coarse, trusted) in [
            (FINE_GRANULARITY_NS, false, false),
            (FINE_GRANULARITY_NS + 1, false, true),
            (FINE_GRANULARITY_NS + 1, true, false),
            (COARSE_GRANULARITY_NS + 1, true, true),
            (-5_000_000_001, false, false), // a clock that was set back
        ] {
            let now = stat(ItemKind::File, READ_AT_NS - age_ns);
            let granularity_ns = if coarse { COARSE_GRANULARITY_NS } else { FINE_GRANULARITY_NS };
            let trust = Trust { granularity_ns, ..TRUST };
            assert_eq!(unchanged(&file(&now, Origin::Read), &now, &trust), trusted, "{age_ns}");
        }
        // Whole seconds: the fine granularity is not believed.
        let now = stat(ItemKind::File, READ_AT_NS - 1_000_000_000);
        assert!(!unchanged(&file(&now, Origin::Read), &now, &TRUST));
    }

    #[test]
    fn other_kinds_go_by_the_previous_run() {
        let now = stat(ItemKind::CharDevice, READ_AT_NS - 20_000_001);
        let make = |kind| entry(EntryKey { root: 0, path: "d".into() }, &now, kind, Vec::new());
        let previous = make(EntryKind::CharDevice { major: 5, minor: 6 });
        assert!(unchanged(&previous, &now, &TRUST));
        assert!(!unchanged(
            &previous,
            &now,
            &Trust { previous_began_ns: READ_AT_NS - 15_000_000, ..TRUST }
        ));
        assert!(!unchanged(&make(EntryKind::CharDevice { major: 5, minor: 7 }), &now, &TRUST));
        assert!(!unchanged(&make(EntryKind::BlockDevice { major: 5, minor: 6 }), &now, &TRUST));
    }

    #[test]
    fn links_share_only_an_unchanged_inode() {
        let first = stat(ItemKind::File, READ_AT_NS);
        let mut links = HardLinks::default();
        assert_eq!(links.earlier(&first), None);
        links.remember(&first, "content");
        let mut grown = first;
        grown.size += 1;
        assert_eq!(links.earlier(&grown), None);
        assert_eq!(links.earlier(&first), Some("content"));
        assert_eq!(links.earlier(&first), None, "both names were seen");
        let single = Stat { links: 1, ..first };
        links.remember(&single, "alone");
        assert_eq!(links.earlier(&single), None);
    }
}
