//! Private directories that end with their owner, also when that is killed.
//!
//! A directory is locked while its owner lives, and whoever makes the next one
//! beside it removes those that nobody holds. Nothing that lives is ever
//! removed: an owner that finds its directory gone before it had the lock makes
//! another one.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// How often a directory is made anew because somebody swept it away before it was locked.
const ATTEMPTS: usize = 8;

/// A directory 0700 that goes when this is dropped.
#[derive(Debug)]
pub struct PrivateDir {
    dir: TempDir,
    // Held, never read. None where the file system has no locks: there nothing is swept either.
    _lock: Option<File>,
}

impl PrivateDir {
    /// Makes one in `parent`, and removes those of dead owners whose names begin alike.
    pub fn create_in(parent: &Path, prefix: &str) -> io::Result<Self> {
        sweep(parent, prefix);
        for _ in 0..ATTEMPTS {
            let dir = tempfile::Builder::new()
                .prefix(prefix)
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(parent)?;
            match lock(dir.path()) {
                Ok(Some(lock)) => return Ok(Self { dir, _lock: Some(lock) }),
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(_) => return Ok(Self { dir, _lock: None }),
            }
        }
        Err(io::Error::other("every private directory was swept away by somebody else"))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Removes it with all that is in it.
    pub fn close(self) -> io::Result<()> {
        self.dir.close()
    }
}

/// The lock of a directory that is still there; `None` when it is somebody else's or gone.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let flags = rustix::fs::OFlags::DIRECTORY | rustix::fs::OFlags::NOFOLLOW;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let dir = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    match fs2::FileExt::try_lock_exclusive(&dir) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
        Err(error) => return Err(error),
    }
    let (here, locked) = (fs::symlink_metadata(path)?, dir.metadata()?);
    let same = (here.dev(), here.ino()) == (locked.dev(), locked.ino());
    Ok(same.then_some(dir))
}

/// Removes what dead owners have left. Only housekeeping: its failures are nobody's trouble.
fn sweep(parent: &Path, prefix: &str) {
    for path in left_over(parent, prefix) {
        if let Ok(Some(_lock)) = lock(&path) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Directories of ours by name; those of other users are theirs to remove.
fn left_over(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let uid = rustix::process::geteuid().as_raw();
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let named = entries.filter_map(Result::ok).filter(|entry| {
        let name = entry.file_name();
        let is_ours = || entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == uid);
        name.as_encoded_bytes().starts_with(prefix.as_bytes()) && is_ours()
    });
    named.map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PREFIX: &str = ".private-";

    #[test]
    fn the_living_keep_theirs_and_the_dead_lose_theirs() {
        let parent = tempfile::tempdir().unwrap();
        let living = PrivateDir::create_in(parent.path(), PREFIX).unwrap();
        let dead = parent.path().join(".private-dead");
        fs::create_dir(&dead).unwrap();
        fs::write(dead.join("copy"), "secret").unwrap();
        let other = parent.path().join("other");
        fs::create_dir(&other).unwrap();
        let next = PrivateDir::create_in(parent.path(), PREFIX).unwrap();
        assert!(living.path().exists() && next.path().exists() && other.exists());
        assert!(!dead.exists());
        assert_eq!(fs::metadata(next.path()).unwrap().mode() & 0o777, 0o700);
    }

    #[test]
    fn what_only_looks_like_one_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let target = parent.path().join("target");
        fs::create_dir(&target).unwrap();
        fs::write(target.join("file"), "kept").unwrap();
        std::os::unix::fs::symlink(&target, parent.path().join(".private-link")).unwrap();
        fs::write(parent.path().join(".private-file"), "kept").unwrap();
        PrivateDir::create_in(parent.path(), PREFIX).unwrap().close().unwrap();
        assert!(target.join("file").exists());
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 3);
    }

    #[test]
    fn a_directory_that_was_swept_before_it_was_locked_is_not_taken_for_locked() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join(".private-raced");
        fs::create_dir(&path).unwrap();
        let held = lock(&path).unwrap().unwrap();
        assert!(lock(&path).unwrap().is_none());
        drop(held);
        fs::remove_dir(&path).unwrap();
        assert_eq!(lock(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
