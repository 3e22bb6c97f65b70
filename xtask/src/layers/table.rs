//! The rooms, lowest first, and what each may import.

/// A module of the library or the binary that has a place in the order.
#[derive(Debug)]
pub(super) struct Room {
    /// Its module path.
    pub(super) path: &'static [&'static str],
    /// The rooms that it may import; all of them stand above it in the table.
    pub(super) may_import: &'static [&'static str],
}

/// A new edge is a change to this table, in the same commit and with its reason.
pub(super) const ROOMS: [Room; 16] = [
    Room { path: &["host"], may_import: &[] },
    Room { path: &["id"], may_import: &[] },
    Room { path: &["observe"], may_import: &[] },
    Room { path: &["chunker"], may_import: &["id"] },
    Room { path: &["codec"], may_import: &["id"] },
    Room { path: &["delta"], may_import: &[] },
    // References found in captured pages are durable structures, hence `codec`.
    Room { path: &["sqlite"], may_import: &["id", "observe", "codec"] },
    Room { path: &["repo", "disk"], may_import: &[] },
    Room { path: &["repo", "backend"], may_import: &["repo/disk"] },
    Room {
        path: &["repo"],
        may_import: &["host", "id", "observe", "codec", "repo/disk", "repo/backend"],
    },
    Room {
        path: &["snapshot"],
        may_import: &[
            "host",
            "id",
            "observe",
            "chunker",
            "codec",
            "delta",
            "sqlite",
            "repo/disk",
            "repo/backend",
            "repo",
        ],
    },
    Room {
        path: &["error"],
        may_import: &[
            "host",
            "id",
            "observe",
            "chunker",
            "codec",
            "sqlite",
            "repo/disk",
            "repo/backend",
            "repo",
            "snapshot",
        ],
    },
    Room {
        path: &["ops"],
        may_import: &[
            "host",
            "id",
            "observe",
            "chunker",
            "codec",
            "sqlite",
            "repo/disk",
            "repo/backend",
            "repo",
            "snapshot",
            "error",
        ],
    },
    Room { path: &["mount"], may_import: FRONT_END },
    Room { path: &["web"], may_import: FRONT_END },
    // The binary's only room. It sees the library as `larder::`, which the compiler keeps to its public part.
    Room { path: &["cli"], may_import: &[] },
];

const FRONT_END: &[&str] = &[
    "host",
    "id",
    "observe",
    "chunker",
    "codec",
    "sqlite",
    "repo/disk",
    "repo/backend",
    "repo",
    "snapshot",
    "error",
    "ops",
];

impl Room {
    /// Its path as it is written in the table.
    pub(super) fn name(&self) -> String {
        self.path.join("/")
    }
}

/// The room that a module lies in: the one with the longest matching path.
pub(super) fn room_of<S: AsRef<str>>(module: &[S]) -> Option<&'static Room> {
    let encloses = |room: &&Room| {
        room.path.len() <= module.len()
            && room.path.iter().zip(module).all(|(a, b)| *a == b.as_ref())
    };
    ROOMS.iter().filter(encloses).max_by_key(|room| room.path.len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_allowed_import_points_upward_in_the_table() {
        let mut above = BTreeSet::new();
        for room in &ROOMS {
            for import in room.may_import {
                assert!(
                    above.contains(*import),
                    "{} may import {import}, which is not lower",
                    room.name()
                );
            }
            assert!(above.insert(room.name()), "{} stands twice", room.name());
        }
    }

    #[test]
    fn the_innermost_room_counts() {
        assert_eq!(
            room_of(&["repo", "disk", "real"]).map(Room::name).as_deref(),
            Some("repo/disk")
        );
        assert_eq!(room_of(&["repo", "index"]).map(Room::name).as_deref(), Some("repo"));
        assert!(room_of(&["helpers"]).is_none());
    }
}
