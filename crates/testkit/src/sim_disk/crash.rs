//! The adversary: what of the unsynced bytes and names the next boot finds.

use std::collections::BTreeMap;

use super::names::Pending;
use super::world::{DirectoryNode, FileNode, Ino, Node, ROOT, World, apply};
use crate::seed::Seeded;

/// What a disk writes in one piece: a torn write ends at a multiple of it, in bytes.
const SECTOR: usize = 512;

/// A choice of what survives a power loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pattern {
    /// Only what was synced.
    SyncedOnly,
    /// All of it, as after a mere kill.
    Everything,
    /// Names, without the unsynced bytes of their files.
    NamesOnly,
    /// Bytes, without the unsynced names.
    DataOnly,
    /// Each name and each file decided by itself, by this seed.
    Mixed(u64),
}

impl Pattern {
    /// The four extremes and four mixes.
    pub const EIGHT: [Self; 8] = [
        Self::SyncedOnly,
        Self::Everything,
        Self::NamesOnly,
        Self::DataOnly,
        Self::Mixed(4),
        Self::Mixed(5),
        Self::Mixed(6),
        Self::Mixed(7),
    ];

    /// Seeds 0 to 3 are the extremes, any other is a mix.
    pub const fn from_seed(seed: u64) -> Self {
        match seed {
            0 => Self::SyncedOnly,
            1 => Self::Everything,
            2 => Self::NamesOnly,
            3 => Self::DataOnly,
            _ => Self::Mixed(seed),
        }
    }
}

/// The disk as the next boot finds it: no locks, no plans, everything durable.
pub(super) fn survivors(world: &World, pattern: Pattern) -> World {
    let mut adversary = Adversary::new(pattern);
    let names = surviving_names(world.nodes.clone(), world.pending.clone(), &mut adversary);
    let mut next = World::new();
    next.clock_ns = world.clock_ns;
    next.limit_bytes = world.limit_bytes;
    // Only what can be reached from the root is there; the rest is what a file system check frees.
    let mut open = vec![ROOT];
    while let Some(ino) = open.pop() {
        let node = match names.get(&ino) {
            Some(Node::Directory(directory)) => {
                open.extend(directory.durable.values());
                let names = directory.durable.clone();
                Node::Directory(DirectoryNode { durable: names.clone(), names })
            }
            Some(Node::File(file)) if !next.nodes.contains_key(&ino) => {
                Node::File(adversary.survivor(file))
            }
            _ => continue,
        };
        next.nodes.insert(ino, node);
    }
    next
}

fn surviving_names(
    mut nodes: BTreeMap<Ino, Node>,
    mut pending: Pending,
    adversary: &mut Adversary,
) -> BTreeMap<Ino, Node> {
    for change in pending.take(|_| adversary.keeps_name()) {
        apply(&mut nodes, &change, |directory| &mut directory.durable);
    }
    nodes
}

struct Adversary {
    pattern: Pattern,
    seeded: Seeded,
    /// Of a hundred unsynced names, so many survive in a mix.
    chance: u64,
}

impl Adversary {
    fn new(pattern: Pattern) -> Self {
        let seed = if let Pattern::Mixed(seed) = pattern { seed } else { 0 };
        let mut seeded = Seeded::new(seed);
        let chance = 20 + seeded.below(61);
        Self { pattern, seeded, chance }
    }

    fn keeps_name(&mut self) -> bool {
        match self.pattern {
            Pattern::SyncedOnly | Pattern::DataOnly => false,
            Pattern::Everything | Pattern::NamesOnly => true,
            Pattern::Mixed(_) => self.seeded.percent(self.chance),
        }
    }

    fn survivor(&mut self, file: &FileNode) -> FileNode {
        let mut data = file.data[..file.clean_len].to_vec();
        for &(from, to) in &file.lost {
            data[from..to].fill(0);
        }
        let tail = self.tail(file.clean_len, &file.data[file.clean_len..]);
        data.extend_from_slice(&tail);
        self.forget_lost_length(file, &mut data);
        let kept = self.keeps_touch();
        let modified_ns = if kept { file.modified_ns } else { file.durable_modified_ns };
        FileNode {
            clean_len: data.len(),
            data,
            lost: Vec::new(),
            modified_ns,
            durable_modified_ns: modified_ns,
        }
    }

    /// Pages that a failed sync dropped leave zeros, or not even their length when nothing came after them.
    fn forget_lost_length(&mut self, file: &FileNode, data: &mut Vec<u8>) {
        if let Some(&(from, to)) = file.lost.last()
            && to == data.len()
            && self.pattern != Pattern::Everything
            && (self.pattern == Pattern::SyncedOnly || self.seeded.percent(50))
        {
            data.truncate(from);
        }
    }

    /// What is left of unsynced bytes that begin at this offset.
    fn tail(&mut self, offset: usize, dirty: &[u8]) -> Vec<u8> {
        match self.pattern {
            Pattern::SyncedOnly | Pattern::NamesOnly => Vec::new(),
            Pattern::Everything | Pattern::DataOnly => dirty.to_vec(),
            Pattern::Mixed(_) => self.mixed_tail(offset, dirty),
        }
    }

    fn mixed_tail(&mut self, offset: usize, dirty: &[u8]) -> Vec<u8> {
        let torn = self.torn(offset, dirty.len());
        let mut tail = dirty.to_vec();
        match self.seeded.below(5) {
            0 => tail.clear(),
            1 => {}
            2 => tail.truncate(torn),
            // The length was written before the bytes were.
            3 => tail.fill(0),
            _ => tail[torn..].fill(0),
        }
        tail
    }

    /// A place in the unsynced bytes at the end of a sector of the file.
    fn torn(&mut self, offset: usize, len: usize) -> usize {
        let sectors = len.div_ceil(SECTOR) as u64;
        let sector = usize::try_from(self.seeded.below(sectors + 1)).unwrap_or(0);
        ((offset / SECTOR + sector) * SECTOR).saturating_sub(offset).min(len)
    }

    fn keeps_touch(&mut self) -> bool {
        match self.pattern {
            Pattern::SyncedOnly | Pattern::DataOnly => false,
            Pattern::Everything | Pattern::NamesOnly => true,
            Pattern::Mixed(_) => self.seeded.percent(50),
        }
    }
}
