//! Disks, file systems and containers around the directory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::ops::doctor::DoctorOptions;
use crate::ops::spool::{SpoolDir, space_of};
use crate::repo::disk::Space;
use crate::repo::space::MinFree;
use crate::sqlite::inspect::library_version;

/// Files by which a process sees that it runs in a container.
const CONTAINER_MARKS: [&str; 2] = ["/.dockerenv", "/run/.containerenv"];

/// File systems on which locks and shared memory do not work across machines, by their magic.
const SHARED_FILE_SYSTEMS: [(u32, &str); 6] = [
    (0x6969, "NFS"),
    (0xFF53_4D42, "CIFS"),
    (0xFE53_4D42, "SMB"),
    (0x517B, "SMB"),
    (0x0102_1997, "9p"),
    (0x6573_5546, "FUSE"),
];

/// What is around.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The repository that a backup would go into.
    pub repository: Option<Place>,
    /// Where databases are kept during a backup.
    pub spool: Place,
    /// The most that a backup needs there: all databases, and the largest one's version of the night before.
    pub spool_need_bytes: u64,
    /// The `SQLite` that captures databases; it is part of this program.
    pub sqlite_version: &'static str,
    /// The directory lies on a file system of this kind, which is shared with other machines.
    pub shared_file_system: Option<&'static str>,
    /// The directory is this volume of a container engine.
    pub volume: Option<String>,
    /// This process runs in a container, and sees nothing of the processes in others.
    pub in_container: bool,
}

/// A directory that a backup uses.
#[derive(Debug, Clone)]
pub struct Place {
    /// Its path.
    pub path: PathBuf,
    /// It is there.
    pub exists: bool,
    /// It is on the same file system as the directory that was looked at.
    pub same_file_system: bool,
    /// It lies in that directory.
    pub inside: bool,
    /// What its file system has, where that can be learnt.
    pub space: Option<Space>,
    /// What a backup leaves free there.
    pub reserve_bytes: u64,
}

/// Looks around.
/// `sizes` are those of the databases: all of their captures may wait for one another, and then the version before of one lies beside them.
pub(super) fn look(options: &DoctorOptions<'_>, sizes: &[u64]) -> Surroundings {
    let place = |path: &Path| place(path, &options.dir, options.min_free);
    Surroundings {
        repository: options.repository.as_deref().map(place),
        spool: place(&options.spool_dir),
        spool_need_bytes: sizes
            .iter()
            .chain(sizes.iter().max())
            .fold(0, |sum, it| sum.saturating_add(*it)),
        sqlite_version: library_version(),
        shared_file_system: shared_file_system(&options.dir),
        volume: volume_of(&options.dir),
        in_container: CONTAINER_MARKS.iter().any(|mark| Path::new(mark).exists()),
    }
}

fn place(path: &Path, dir: &Path, min_free: MinFree) -> Place {
    // What is not there yet will be made on the file system of what is.
    let there = path.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
    let device = |path: &Path| fs::metadata(path).map(|it| it.dev()).ok();
    let canonical = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    Place {
        path: path.to_owned(),
        exists: path.exists(),
        same_file_system: device(there).is_some() && device(there) == device(dir),
        inside: canonical(there).starts_with(canonical(dir)),
        space: space_of(there),
        reserve_bytes: SpoolDir { dir: there, min_free }.reserve_bytes(),
    }
}

fn shared_file_system(dir: &Path) -> Option<&'static str> {
    let stat = rustix::fs::statfs(dir).ok()?;
    // The magic is a signed word on some machines; only its low 32 bits mean anything.
    let magic = u32::try_from(i128::from(stat.f_type) & 0xFFFF_FFFF).ok()?;
    SHARED_FILE_SYSTEMS.iter().find(|(number, _)| *number == magic).map(|(_, name)| *name)
}

/// `partshub_data` of `/var/lib/docker/volumes/partshub_data/_data`.
fn volume_of(dir: &Path) -> Option<String> {
    let names: Vec<_> = dir.components().map(|it| it.as_os_str().to_string_lossy()).collect();
    let found = names.windows(3).find(|three| three[0] == "volumes" && three[2] == "_data")?;
    Some(found[1].clone().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_volume_of_an_engine_is_told_by_its_path() {
        let volume = |path: &str| volume_of(Path::new(path));
        let docker = "/var/lib/docker/volumes/partshub_data/_data";
        assert_eq!(volume(docker).as_deref(), Some("partshub_data"));
        let podman = "/home/me/.local/share/containers/storage/volumes/x/_data/deep";
        assert_eq!(volume(podman).as_deref(), Some("x"));
        assert_eq!(volume("/srv/volumes/x"), None);
    }

    #[test]
    fn a_place_that_is_not_there_yet_is_judged_by_what_is() {
        let dir = tempfile::tempdir().unwrap();
        let place = place(&dir.path().join("a/repo"), dir.path(), MinFree::default());
        assert!(!place.exists && place.same_file_system && place.inside && place.space.is_some());
    }
}
