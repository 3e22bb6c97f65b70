//! The directory that a restore writes into.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::snapshot::beneath::{Beneath, Resolution, open_child_dir, split_last};
use crate::snapshot::restore::error::RestoreError;
use crate::snapshot::source::metadata::Stat;

/// What a new directory may be until it gets its own mode: nobody else sees a restore half done.
const PRIVATE: Mode = Mode::RWXU;

/// What a directory gets that leads to a restored path, but is not itself part of the restore.
const ORDINARY: u32 = 0o755;

/// The directory that `mkfs` puts at the top of an ext4 file system.
const LOST_AND_FOUND: &str = "lost+found";

/// Opens a target for a whole restore: missing, or empty, be it a fresh mount point.
pub(super) fn open_empty(path: &Path, resolution: Resolution) -> Result<Beneath, RestoreError> {
    let dir = open_or_make(path)?;
    if is_empty(path).map_err(|source| fail(path, source))? {
        Ok(Beneath::new(dir, resolution))
    } else {
        Err(RestoreError::NotEmpty { path: path.to_path_buf() })
    }
}

/// Opens a target for named paths: a directory with anything in it, made if it is missing.
pub(super) fn open_any(path: &Path, resolution: Resolution) -> Result<Beneath, RestoreError> {
    Ok(Beneath::new(open_or_make(path)?, resolution))
}

fn fail(path: &Path, source: io::Error) -> RestoreError {
    RestoreError::Target { path: path.to_path_buf(), source }
}

fn open_or_make(path: &Path) -> Result<OwnedFd, RestoreError> {
    match open_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map_err(|source| fail(path, source)),
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let made = parent
        .map_or(Ok(()), std::fs::create_dir_all)
        .and_then(|()| DirBuilder::new().mode(PRIVATE.as_raw_mode()).create(path));
    made.and_then(|()| open_dir(path)).map_err(|source| fail(path, source))
}

/// The target itself is the user's own word: that path may be a link.
fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

fn is_empty(path: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_name() != LOST_AND_FOUND || !entry.file_type()?.is_dir() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Makes a directory, private for now. One that is there already will do, a link to one will not.
pub(super) fn make_dir(parent: impl std::os::fd::AsFd, name: &[u8]) -> io::Result<()> {
    match rustix::fs::mkdirat(&parent, name, PRIVATE) {
        Err(Errno::EXIST) => {
            open_child_dir(parent.as_fd(), name).map(drop).map_err(io::Error::from)
        }
        made => Ok(made?),
    }
}

/// Makes the directories that lead to a path, where they are missing.
pub(super) fn make_parents(target: &Beneath, path: &[u8]) -> io::Result<()> {
    let (parents, _) = split_last(path);
    let ends = parents.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    for end in ends.chain((!parents.is_empty()).then_some(parents.len())) {
        let (above, name) = split_last(parents.get(..end).unwrap_or_default());
        let dir = target.open_dir(above)?;
        match rustix::fs::mkdirat(&dir, name, Mode::from_raw_mode(ORDINARY)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
    }
    target.open_dir(parents).map(drop)
}

/// What is at a name, if anything is.
pub(super) fn stat_if_there(dir: impl std::os::fd::AsFd, name: &[u8]) -> io::Result<Option<Stat>> {
    match Stat::of_name(dir, name) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_missing_and_empty_targets_take_a_whole_restore() {
        let temp = tempfile::tempdir().unwrap();
        let open = |path: &Path| open_empty(path, Resolution::Kernel).map(drop);
        assert!(open(&temp.path().join("missing/deeper")).is_ok());
        assert!(open(&temp.path().join("missing/deeper")).is_ok(), "empty now");
        std::fs::create_dir(temp.path().join("missing/deeper/lost+found")).unwrap();
        assert!(open(&temp.path().join("missing/deeper")).is_ok(), "as a mount point has it");
        assert!(matches!(open(temp.path()), Err(RestoreError::NotEmpty { .. })));
        std::fs::write(temp.path().join("file"), "").unwrap();
        assert!(matches!(open(&temp.path().join("file")), Err(RestoreError::Target { .. })));
        assert!(open_any(temp.path(), Resolution::Kernel).is_ok());
    }

    #[test]
    fn parents_are_made_but_never_through_links() {
        let temp = tempfile::tempdir().unwrap();
        let outside = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(outside.path(), temp.path().join("out")).unwrap();
        for resolution in [Resolution::Kernel, Resolution::Stepwise] {
            let target = open_any(temp.path(), resolution).unwrap();
            make_parents(&target, b"a/b/c").unwrap();
            make_parents(&target, b"top").unwrap();
            assert!(temp.path().join("a/b").is_dir());
            assert!(make_parents(&target, b"out/x/y").is_err());
            assert!(make_dir(target.dir(), b"out").is_err());
            make_dir(target.dir(), b"a").unwrap();
        }
        assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}
