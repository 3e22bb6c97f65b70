//! From a stream of entries to batches of work: what goes where, in which order.

use std::mem;

use crate::codec::content::Content;
use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileEntry};
use crate::snapshot::beneath::{component_flaw, is_at_or_below, path_flaw};
use crate::snapshot::restore::links::{LinkRole, Links};

/// Where a part of a snapshot goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The root that it is in.
    pub root: u32,
    /// The path of its top, relative to that root; empty for all of the root.
    pub from: Vec<u8>,
    /// The path of its top in the target; empty for the target itself.
    pub to: Vec<u8>,
}

impl Placement {
    /// All of a root, directly into the target.
    pub fn whole_root(root: u32) -> Self {
        Self { root, from: Vec::new(), to: Vec::new() }
    }

    /// The path in the target of an entry, if the entry belongs to this part.
    fn place(&self, key: &EntryKey) -> Option<Vec<u8>> {
        if key.root != self.root || !is_at_or_below(&key.path, &self.from) {
            return None;
        }
        let below = key.path.get(self.from.len()..).unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        Some(match (self.to.is_empty(), below.is_empty()) {
            (_, true) => self.to.clone(),
            (true, false) => below.to_vec(),
            (false, false) => [&self.to, &b"/"[..], below].concat(),
        })
    }
}

/// An entry and its path in the target.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) path: Vec<u8>,
    pub(super) entry: Entry,
}

/// A regular file to be written.
#[derive(Debug)]
pub(super) struct FileJob {
    pub(super) path: Vec<u8>,
    /// The entry, of which `file` is the kind.
    pub(super) entry: Entry,
    pub(super) file: FileEntry,
    /// Whether further names of the same inode may follow.
    pub(super) linked: bool,
}

impl FileJob {
    /// `None` when the entry is no file.
    pub(super) fn new(job: Job, linked: bool) -> Option<Self> {
        let EntryKind::File(file) = &job.entry.kind else { return None };
        let file = file.clone();
        Some(Self { path: job.path, entry: job.entry, file, linked })
    }
}

/// Entries that are carried out together, in the order of the fields.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Directories to make, parents first.
    pub(super) directories: Vec<Job>,
    /// Files to write, in any order.
    pub(super) files: Vec<FileJob>,
    /// Everything else that is made anew.
    pub(super) others: Vec<Job>,
    /// Further names of inodes.
    pub(super) links: Vec<Job>,
    /// Directories in which nothing more happens: they get their metadata, deepest first.
    pub(super) left: Vec<Job>,
    len: usize,
}

impl Batch {
    /// Entries in it.
    pub(super) fn len(&self) -> usize {
        self.len
    }
}

/// Sorts entries into batches. Memory: the open directories, the inodes that have more names to come, one batch.
#[derive(Debug)]
pub(super) struct Planner<'a> {
    placements: &'a [Placement],
    last: Option<EntryKey>,
    open: Vec<Job>,
    batch: Batch,
}

impl<'a> Planner<'a> {
    pub(super) fn new(placements: &'a [Placement]) -> Self {
        Self { placements, last: None, open: Vec::new(), batch: Batch::default() }
    }

    /// Entries since the last batch was taken.
    pub(super) fn pending(&self) -> usize {
        self.batch.len()
    }

    /// Takes an entry in, or says why it cannot be one of a sound manifest. Entries of no placement are passed over.
    pub(super) fn add(&mut self, entry: Entry, links: &mut Links) -> Result<(), String> {
        if let Some(flaw) = path_flaw(&entry.key.path) {
            return Err(flaw.to_owned());
        }
        if self.last.as_ref().is_some_and(|last| *last >= entry.key) {
            return Err("it is out of order, or there twice".to_owned());
        }
        self.last = Some(entry.key.clone());
        let Some(path) = self.placements.iter().find_map(|placed| placed.place(&entry.key)) else {
            return Ok(());
        };
        if let Some(flaw) = component_flaw(&path) {
            return Err(flaw.to_owned());
        }
        self.sort_in(Job { path, entry }, links)
    }

    fn sort_in(&mut self, job: Job, links: &mut Links) -> Result<(), String> {
        self.leave_until(&job.path);
        self.batch.len += 1;
        if job.entry.kind == EntryKind::Directory {
            self.open.push(job.clone());
            self.batch.directories.push(job);
            return Ok(());
        }
        if job.path.is_empty() {
            return Err("the root is no directory".to_owned());
        }
        if let EntryKind::File(file) = &job.entry.kind {
            check_lengths(file)?;
        }
        let role = links.role(&job.entry);
        if role == LinkRole::Further {
            self.batch.links.push(job);
        } else if matches!(job.entry.kind, EntryKind::File(_)) {
            self.batch.files.extend(FileJob::new(job, role == LinkRole::First));
        } else {
            self.batch.others.push(job);
        }
        Ok(())
    }

    /// Directories that do not hold this path are finished: entries come depth first.
    fn leave_until(&mut self, path: &[u8]) {
        while let Some(done) = self.open.pop_if(|open| !is_at_or_below(path, &open.path)) {
            self.batch.left.push(done);
        }
    }

    /// What was collected.
    pub(super) fn take(&mut self) -> Batch {
        mem::take(&mut self.batch)
    }

    /// The last batch: everything collected, and all directories that are still open.
    pub(super) fn finish(mut self) -> Batch {
        while let Some(done) = self.open.pop() {
            self.batch.left.push(done);
        }
        self.batch
    }
}

/// Refuses a file whose parts do not add up, before anything of it is written.
fn check_lengths(file: &FileEntry) -> Result<(), String> {
    let stored = match &file.content {
        Content::Inline(chunks) => {
            chunks.iter().try_fold(0_u64, |sum, chunk| sum.checked_add(chunk.len))
        }
        Content::List { len, .. } | Content::Version { len, .. } => Some(*len),
    };
    let wanted = match &file.sparse {
        None => Some(file.size),
        Some(extents) => {
            let mut end = 0_u64;
            extents.iter().try_fold(0_u64, |sum, extent| {
                let apart = extent.offset >= end;
                end = extent.offset.checked_add(extent.len)?;
                (apart && end <= file.size).then_some(sum.checked_add(extent.len)?)
            })
        }
    };
    match (stored, wanted) {
        (Some(stored), Some(wanted)) if stored == wanted => Ok(()),
        _ => Err("its content does not add up to its size".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::content::ChunkRef;
    use crate::codec::manifest::{Extent, FileTime, Origin};
    use crate::id::BlobId;

    fn entry(path: &str, kind: EntryKind) -> Entry {
        Entry {
            key: EntryKey { root: 0, path: path.into() },
            kind,
            mode: 0o755,
            uid: 0,
            gid: 0,
            mtime: FileTime::default(),
            ctime: FileTime::default(),
            device: 1,
            inode: 1,
            links: 1,
            xattrs: Vec::new(),
            extensions: Vec::new(),
        }
    }

    fn file(size: u64, stored: &[u64], sparse: Option<Vec<Extent>>) -> FileEntry {
        let id = BlobId::from_bytes([0; 32]);
        let chunks = stored.iter().map(|len| ChunkRef { id, len: *len }).collect();
        let content = Content::Inline(chunks);
        FileEntry { size, content, sparse, origin: Origin::Read, read_at_ns: 0 }
    }

    #[test]
    fn placements_move_whole_components() {
        let placed = |from: &str, to: &str, path: &str| {
            let placement = Placement { root: 0, from: from.into(), to: to.into() };
            placement.place(&EntryKey { root: 0, path: path.into() })
        };
        assert_eq!(placed("", "", "a/b"), Some(b"a/b".to_vec()));
        assert_eq!(placed("", "app/data", "a"), Some(b"app/data/a".to_vec()));
        assert_eq!(placed("", "app/data", ""), Some(b"app/data".to_vec()));
        assert_eq!(placed("a/b", "x", "a/b"), Some(b"x".to_vec()));
        assert_eq!(placed("a/b", "x", "a/b/c"), Some(b"x/c".to_vec()));
        assert_eq!(placed("a/b", "", "a/b/c"), Some(b"c".to_vec()));
        assert_eq!(placed("a/b", "x", "a/bc"), None);
        let other_root = EntryKey { root: 1, path: "a".into() };
        assert_eq!(Placement::whole_root(0).place(&other_root), None);
    }

    #[test]
    fn directories_are_left_after_their_contents_deepest_first() {
        let placements = [Placement::whole_root(0)];
        let mut planner = Planner::new(&placements);
        let mut links = Links::default();
        for path in ["", "a", "a/b", "a/b/c", "a/d", "e"] {
            planner.add(entry(path, EntryKind::Directory), &mut links).unwrap();
        }
        let left = |batch: &Batch| -> Vec<String> {
            batch.left.iter().map(|job| String::from_utf8_lossy(&job.path).into_owned()).collect()
        };
        assert_eq!(left(&planner.take()), ["a/b/c", "a/b", "a/d", "a"]);
        assert_eq!(planner.pending(), 0);
        assert_eq!(left(&planner.finish()), ["e", ""]);
    }

    #[test]
    fn impossible_entries_are_refused() {
        let placements = [Placement::whole_root(0)];
        let mut planner = Planner::new(&placements);
        let mut links = Links::default();
        let mut add = |path: &str, kind| planner.add(entry(path, kind), &mut links);
        assert!(add("", EntryKind::Fifo).is_err());
        for bad in ["/etc/passwd", "a//b", "../a", "a/..", "a/", "."] {
            assert!(add(bad, EntryKind::Directory).is_err(), "{bad}");
        }
        add("m", EntryKind::Directory).unwrap();
        assert!(add("m", EntryKind::Directory).is_err(), "twice");
        assert!(add("b", EntryKind::Directory).is_err(), "out of order");
        assert!(add("z", EntryKind::File(file(5, &[4], None))).is_err());
    }

    #[test]
    fn lengths_must_add_up() {
        let extents = |list: &[(u64, u64)]| {
            Some(list.iter().map(|(offset, len)| Extent { offset: *offset, len: *len }).collect())
        };
        for (good, file) in [
            (true, file(0, &[], None)),
            (true, file(7, &[3, 4], None)),
            (false, file(7, &[3], None)),
            (false, file(7, &[3, u64::MAX], None)),
            (true, file(100, &[], extents(&[]))),
            (true, file(100, &[30], extents(&[(0, 10), (50, 20)]))),
            (false, file(100, &[30], extents(&[(50, 20), (0, 10)]))),
            (false, file(100, &[30], extents(&[(0, 20), (10, 10)]))),
            (false, file(100, &[30], extents(&[(0, 10), (90, 20)]))),
            (false, file(100, &[9], extents(&[(u64::MAX, 9)]))),
        ] {
            assert_eq!(check_lengths(&file).is_ok(), good, "{file:?}");
        }
    }
}
