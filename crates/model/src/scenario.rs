//! Which commands meet, in which repository, and what may happen to them.

use crate::disk::Disk;
use crate::object::{Blobs, Dir, Entries, Object, Place, Snap, X, XY, Y, each};
use crate::process::Kind;
use crate::state::{Process, State};

pub use crate::process::Kind as Command;

/// A scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Its name.
    pub name: &'static str,
    /// The commands, each given once, at any time.
    pub commands: Vec<Kind>,
    /// Snapshots that are there and saved.
    pub snapshots: Vec<Snap>,
    /// Packs that are there, by name, and listed in one segment.
    pub packs: Vec<(u8, Blobs)>,
    /// A place whose bytes are rotten.
    pub rotten: Option<Place>,
    /// Whether a fact says so already.
    pub is_known: bool,
    /// So many processes may be killed.
    pub kills: u8,
    /// So many times the power may fail.
    pub losses: u8,
}

impl Scenario {
    fn new(name: &'static str, snapshots: &[Snap], commands: &[Kind]) -> Self {
        Self {
            name,
            commands: commands.to_vec(),
            snapshots: snapshots.to_vec(),
            packs: vec![(1, XY)],
            rotten: None,
            is_known: false,
            kills: 1,
            losses: 1,
        }
    }

    fn packs(self, packs: &[(u8, Blobs)]) -> Self {
        Self { packs: packs.to_vec(), ..self }
    }

    fn rotten(self, blob: Blobs, is_known: bool) -> Self {
        Self { rotten: Some(Place { pack: 1, blob }), is_known, ..self }
    }

    fn bounds(self, kills: u8, losses: u8) -> Self {
        Self { kills, losses, ..self }
    }

    /// The state in which it begins. Everything is durable.
    pub(crate) fn start(&self, entries: &mut Entries) -> State {
        let mut durable = Vec::new();
        for (name, blobs) in &self.packs {
            durable.push(entries.id(Dir::Packs, Object::Pack { name: *name, blobs: *blobs }));
        }
        let of_pack = |(pack, blobs): &(u8, Blobs)| {
            let pack = *pack;
            each(*blobs).map(move |blob| Place { pack, blob })
        };
        let mut places: Vec<Place> = self.packs.iter().flat_map(of_pack).collect();
        places.sort_unstable();
        durable.push(entries.id(Dir::Index, Object::Segment { name: 1, places }));
        let mut saved = 0;
        for snap in &self.snapshots {
            let older =
                self.snapshots.iter().filter(|it| it.source() == snap.source() && *it < snap);
            let names = older.fold(0, |set, it| set | it.bit());
            durable.push(entries.id(Dir::Snapshots, Object::Record { snap: *snap, names }));
            saved |= snap.bit();
        }
        if let Some(place) = self.rotten.filter(|_| self.is_known) {
            durable.push(entries.id(Dir::Facts, Object::Damaged(place)));
        }
        State {
            disk: Disk::with(durable),
            processes: self.commands.iter().map(|kind| Process::new(*kind)).collect(),
            saved,
            forgotten: 0,
            stored: 0,
            emptied: false,
            missing_said: false,
            kills: 0,
            losses: 0,
        }
    }
}

/// Every scenario.
pub fn all() -> Vec<Scenario> {
    use Kind::{Backup, Empty, Forget, Merge, Prune, Repair, Undo};
    use Snap::{A, B, C, D};
    vec![
        Scenario::new("forget and prune", &[A, D], &[Forget(A), Prune]),
        Scenario::new("two backups", &[B], &[Backup(C), Backup(D)]).packs(&[(1, X)]).bounds(2, 1),
        Scenario::new("repair beside two prunes", &[B], &[Repair, Prune, Prune]).rotten(X, false),
        Scenario::new("undo after prune", &[A, C], &[Forget(A), Prune, Undo(A)]),
        Scenario::new("two undos", &[A, C], &[Forget(A), Prune, Undo(A), Undo(A)]),
        Scenario::new("undo beside emptying", &[A, C], &[Forget(A), Prune, Undo(A), Empty]),
        Scenario::new("damage seen by two", &[B], &[Repair, Backup(D), Prune]).rotten(X, false),
        Scenario::new(
            "backup on what an undo brought",
            &[A, C],
            &[Forget(A), Prune, Undo(A), Backup(D)],
        ),
        Scenario::new("prune beside two backups", &[A], &[Prune, Backup(B), Backup(D)]),
        Scenario::new("forget, prune, backup", &[A, C], &[Forget(A), Prune, Backup(D)]),
        Scenario::new("a damaged place", &[B], &[Backup(D), Prune, Prune])
            .packs(&[(1, X)])
            .rotten(X, true),
        Scenario::new("two prunes and a backup", &[A, C], &[Forget(A), Prune, Backup(B), Prune])
            .bounds(1, 0),
        Scenario::new("undo between two prunes", &[A, C], &[Forget(A), Prune, Undo(A), Prune])
            .bounds(1, 0),
        Scenario::new("repair, forget, prune", &[A, B], &[Repair, Prune, Forget(A), Backup(D)])
            .rotten(X, false)
            .bounds(1, 0),
        Scenario::new("merge beside prune", &[A, C], &[Forget(A), Prune, Merge, Backup(D)])
            .packs(&[(1, X), (2, Y)])
            .bounds(1, 0),
        Scenario::new("undo and backup", &[A, C], &[Forget(A), Undo(A), Prune, Backup(D)])
            .bounds(1, 0),
        Scenario::new("merge beside two backups", &[B], &[Merge, Backup(C), Backup(D)])
            .packs(&[(1, X)]),
    ]
}

/// Every scenario with one more kill and one more power loss.
pub fn larger() -> Vec<Scenario> {
    let more = |it: Scenario| Scenario { kills: it.kills + 1, losses: it.losses + 1, ..it };
    all().into_iter().map(more).collect()
}
