//! The state of the simulated disk: inodes, what programs see of them, what is durable of them.

use std::collections::{BTreeMap, BTreeSet};

use larder::repo::disk::Stat;
use rustix::io::Errno;

use super::locks::Locks;
use super::names::{NameChange, Pending, Slot};
use super::schedule::Schedule;

pub(super) type Ino = u64;

pub(super) type Outcome<T> = Result<T, Errno>;

pub(super) const ROOT: Ino = 0;

/// An arbitrary moment, in nanoseconds since 1970.
const EPOCH_NS: i64 = 1_780_000_000_000_000_000;

/// What a disk without a limit says it has: 1 TiB.
const UNLIMITED_BYTES: u64 = 1 << 40;

#[derive(Clone)]
pub(super) enum Node {
    File(FileNode),
    Directory(DirectoryNode),
}

#[derive(Clone, Default)]
pub(super) struct FileNode {
    pub(super) data: Vec<u8>,
    /// The kernel believes that so many bytes are written.
    pub(super) clean_len: usize,
    /// Among those, ranges (from, to) that a failed sync dropped.
    pub(super) lost: Vec<(usize, usize)>,
    pub(super) modified_ns: i64,
    pub(super) durable_modified_ns: i64,
}

#[derive(Clone, Default)]
pub(super) struct DirectoryNode {
    pub(super) names: BTreeMap<String, Ino>,
    pub(super) durable: BTreeMap<String, Ino>,
}

pub(super) struct World {
    pub(super) nodes: BTreeMap<Ino, Node>,
    pub(super) pending: Pending,
    pub(super) schedule: Schedule,
    pub(super) clock_ns: i64,
    pub(super) limit_bytes: Option<u64>,
    pub(super) locks: Locks,
    pub(super) lies_about_data: bool,
    pub(super) lies_about_names: bool,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            nodes: [(ROOT, Node::Directory(DirectoryNode::default()))].into(),
            pending: Pending::default(),
            schedule: Schedule::default(),
            clock_ns: EPOCH_NS,
            limit_bytes: None,
            locks: Locks::default(),
            lies_about_data: false,
            lies_about_names: false,
        }
    }

    fn tick(&mut self) -> i64 {
        self.clock_ns += 1000;
        self.clock_ns
    }

    pub(super) fn find(&self, path: &str) -> Outcome<Ino> {
        let mut at = ROOT;
        for part in path.split('/').filter(|_| !path.is_empty()) {
            let name_ok = !matches!(part, "" | "." | "..");
            at = *self.directory(at)?.names.get(part).filter(|_| name_ok).ok_or(Errno::NOENT)?;
        }
        Ok(at)
    }

    /// The directory and the name that a path ends in.
    fn slot(&self, path: &str) -> Outcome<Slot> {
        let (directory, name) = path.rsplit_once('/').unwrap_or(("", path));
        if matches!(name, "" | "." | "..") {
            return Err(Errno::INVAL);
        }
        let ino = self.find(directory)?;
        self.directory(ino)?;
        Ok((ino, name.to_owned()))
    }

    fn free_slot(&self, path: &str) -> Outcome<Slot> {
        let slot = self.slot(path)?;
        if self.directory(slot.0)?.names.contains_key(&slot.1) {
            return Err(Errno::EXIST);
        }
        Ok(slot)
    }

    pub(super) fn directory(&self, ino: Ino) -> Outcome<&DirectoryNode> {
        match self.nodes.get(&ino) {
            Some(Node::Directory(directory)) => Ok(directory),
            _ => Err(Errno::NOTDIR),
        }
    }

    pub(super) fn file(&self, ino: Ino) -> Outcome<&FileNode> {
        match self.nodes.get(&ino) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(Errno::ISDIR),
        }
    }

    fn file_mut(&mut self, ino: Ino) -> Outcome<&mut FileNode> {
        match self.nodes.get_mut(&ino) {
            Some(Node::File(file)) => Ok(file),
            _ => Err(Errno::ISDIR),
        }
    }

    fn change_names(&mut self, change: NameChange) {
        apply(&mut self.nodes, &change, |directory| &mut directory.names);
        self.pending.push(change);
    }

    fn make(&mut self, path: &str, node: Node) -> Outcome<Ino> {
        let slot = self.free_slot(path)?;
        let ino = self.nodes.last_key_value().map_or(ROOT, |(last, _)| last + 1);
        self.nodes.insert(ino, node);
        self.change_names(NameChange::add(slot, ino));
        Ok(ino)
    }

    pub(super) fn make_directory(&mut self, path: &str) -> Outcome<()> {
        self.make(path, Node::Directory(DirectoryNode::default())).map(drop)
    }

    pub(super) fn make_file(&mut self, path: &str) -> Outcome<Ino> {
        let now = self.tick();
        self.make(
            path,
            Node::File(FileNode {
                modified_ns: now,
                durable_modified_ns: now,
                ..FileNode::default()
            }),
        )
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) -> Outcome<()> {
        let ino = self.find(from)?;
        let (from, to) = (self.slot(from)?, self.free_slot(to)?);
        self.change_names(NameChange::rename(from, to, ino));
        Ok(())
    }

    pub(super) fn link(&mut self, from: &str, to: &str) -> Outcome<()> {
        let ino = self.find(from)?;
        self.file(ino).map_err(|_| Errno::PERM)?;
        let slot = self.free_slot(to)?;
        self.change_names(NameChange::add(slot, ino));
        Ok(())
    }

    pub(super) fn unlink(&mut self, path: &str) -> Outcome<()> {
        self.file(self.find(path)?)?;
        let slot = self.slot(path)?;
        self.change_names(NameChange::remove(slot, None));
        Ok(())
    }

    pub(super) fn remove_directory(&mut self, path: &str) -> Outcome<()> {
        let ino = self.find(path)?;
        if !self.directory(ino)?.names.is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        let slot = self.slot(path)?;
        self.change_names(NameChange::remove(slot, Some(ino)));
        Ok(())
    }

    pub(super) fn sync_directory(&mut self, path: &str) -> Outcome<()> {
        let ino = self.find(path)?;
        self.directory(ino)?;
        if self.lies_about_names {
            return Ok(());
        }
        for change in self.pending.sync(ino) {
            apply(&mut self.nodes, &change, |directory| &mut directory.durable);
        }
        Ok(())
    }

    /// Appends what fits. An error means that less than all was written.
    pub(super) fn append(&mut self, ino: Ino, bytes: &[u8]) -> Outcome<()> {
        let now = self.tick();
        let room =
            self.limit_bytes.map_or(u64::MAX, |limit| limit.saturating_sub(self.used_bytes()));
        let fits = bytes.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        let file = self.file_mut(ino)?;
        file.data.extend_from_slice(&bytes[..fits]);
        file.modified_ns = now;
        if fits < bytes.len() { Err(Errno::NOSPC) } else { Ok(()) }
    }

    pub(super) fn sync_file(&mut self, ino: Ino) -> Outcome<()> {
        if self.lies_about_data {
            return Ok(());
        }
        let file = self.file_mut(ino)?;
        file.clean_len = file.data.len();
        file.durable_modified_ns = file.modified_ns;
        Ok(())
    }

    /// What a failing sync does: the pages are clean from now on, and nowhere.
    pub(super) fn drop_pages(&mut self, ino: Ino) {
        if let Ok(file) = self.file_mut(ino)
            && file.clean_len < file.data.len()
        {
            file.lost.push((file.clean_len, file.data.len()));
            file.clean_len = file.data.len();
        }
    }

    pub(super) fn touch(&mut self, path: &str) -> Outcome<()> {
        let now = self.tick();
        let ino = self.find(path)?;
        self.file_mut(ino)?.modified_ns = now;
        Ok(())
    }

    pub(super) fn stat(&self, ino: Ino) -> Outcome<Stat> {
        match self.nodes.get(&ino).ok_or(Errno::NOENT)? {
            Node::File(file) => Ok(Stat {
                len: file.data.len() as u64,
                is_dir: false,
                modified_ns: file.modified_ns,
            }),
            Node::Directory(_) => Ok(Stat { len: 0, is_dir: true, modified_ns: EPOCH_NS }),
        }
    }

    pub(super) fn total_bytes(&self) -> u64 {
        self.limit_bytes.unwrap_or(UNLIMITED_BYTES)
    }

    pub(super) fn used_bytes(&self) -> u64 {
        let linked: BTreeSet<Ino> = self.paths().into_values().collect();
        linked
            .iter()
            .filter_map(|ino| self.file(*ino).ok())
            .map(|file| file.data.len() as u64)
            .sum()
    }

    pub(super) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let content = |ino| self.file(ino).ok().map(|file| file.data.clone());
        self.paths().into_iter().filter_map(|(path, ino)| Some((path, content(ino)?))).collect()
    }

    pub(super) fn overwrite(&mut self, path: &str, bytes: &[u8]) -> bool {
        let Some(file) = self.find(path).ok().and_then(|ino| self.file_mut(ino).ok()) else {
            return false;
        };
        *file =
            FileNode { data: bytes.to_vec(), clean_len: bytes.len(), lost: Vec::new(), ..*file };
        true
    }

    pub(super) fn lose(&mut self, path: &str) -> bool {
        let removed = self.unlink(path).is_ok();
        if removed && let Ok((directory, name)) = self.slot(path) {
            let same = |slot: &Slot| slot.0 == directory && slot.1 == name;
            let changes = self.pending.take(|change| change.removes.as_ref().is_some_and(same));
            for change in changes {
                apply(&mut self.nodes, &change, |directory| &mut directory.durable);
            }
        }
        removed
    }

    /// Every path that programs see, files and directories.
    fn paths(&self) -> BTreeMap<String, Ino> {
        let mut found = BTreeMap::new();
        let mut open = vec![(String::new(), ROOT)];
        while let Some((path, ino)) = open.pop() {
            for (name, child) in
                self.directory(ino).map(|directory| &directory.names).into_iter().flatten()
            {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                open.push((path.clone(), *child));
                found.insert(path, *child);
            }
        }
        found
    }
}

/// Carries out a change of names in one of the two views.
pub(super) fn apply(
    nodes: &mut BTreeMap<Ino, Node>,
    change: &NameChange,
    view: impl Fn(&mut DirectoryNode) -> &mut BTreeMap<String, Ino>,
) {
    let mut within = |ino: Ino, edit: &dyn Fn(&mut BTreeMap<String, Ino>)| {
        if let Some(Node::Directory(directory)) = nodes.get_mut(&ino) {
            edit(view(directory));
        }
    };
    if let Some((directory, name)) = &change.removes {
        within(*directory, &|names| {
            names.remove(name);
        });
    }
    if let Some(((directory, name), ino)) = &change.adds {
        within(*directory, &|names| {
            names.insert(name.clone(), *ino);
        });
    }
}
