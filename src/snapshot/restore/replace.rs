//! Putting a named path into its place, and what was there out of it.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

use crate::snapshot::beneath::{Beneath, Resolution, open_child_dir, split_last};
use crate::snapshot::restore::error::RestoreError;
use crate::snapshot::restore::report::RestoreReport;
use crate::snapshot::restore::run::NamedPathRestore;
use crate::snapshot::restore::target::{make_parents, stat_if_there};
use crate::snapshot::source::metadata::proc_path;

/// What `SQLite` keeps beside a database. A stale log, left there, would be applied to the restored file.
const SIDE_FILES: [&[u8]; 3] = [b"-wal", b"-shm", b"-journal"];

/// The place of a named path: the directory that it is in, and its name there.
pub(super) struct NamedPath {
    dir: OwnedFd,
    dir_path: PathBuf,
    name: Vec<u8>,
    /// What is there may be moved aside.
    overwrite: bool,
    staging_name: Vec<u8>,
    replaced_name: Vec<u8>,
}

impl NamedPath {
    /// Looks at the place. What is there is an error, unless it may be moved aside.
    pub(super) fn prepare(
        target: &Beneath,
        named: &NamedPathRestore<'_>,
    ) -> Result<Self, RestoreError> {
        let (parent, name) = split_last(named.at);
        let dir_path = named.target.join(OsStr::from_bytes(parent));
        let fail = |source: io::Error| RestoreError::Target { path: dir_path.clone(), source };
        make_parents(target, named.at).map_err(fail)?;
        // Not a path descriptor: what happens in the directory is synced through it.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let dir = target.open(parent, flags, Mode::empty()).map_err(fail)?;
        let named_by = |what: &str| format!(".larder-{what}-{}", named.time).into_bytes();
        let (staging_name, replaced_name) = (named_by("restoring"), named_by("replaced"));
        let (name, overwrite) = (name.to_vec(), named.overwrite);
        let place = Self { dir, dir_path, name, overwrite, staging_name, replaced_name };
        place.in_the_way()?;
        Ok(place)
    }

    /// The last component of the path.
    pub(super) fn name(&self) -> &[u8] {
        &self.name
    }

    /// A new private directory on the same file system, in which the path is restored first.
    pub(super) fn staging(&self, resolution: Resolution) -> Result<Beneath, RestoreError> {
        let path = self.path_of(&self.staging_name);
        match rustix::fs::mkdirat(&self.dir, self.staging_name.as_slice(), Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => return Err(RestoreError::Exists { path }),
            Err(error) => return Err(RestoreError::Target { path, source: error.into() }),
        }
        let opened = rustix::fs::openat(
            &self.dir,
            self.staging_name.as_slice(),
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let opened = opened.map_err(|error| RestoreError::Target { path, source: error.into() })?;
        Ok(Beneath::new(opened, resolution))
    }

    fn path_of(&self, name: &[u8]) -> PathBuf {
        self.dir_path.join(OsStr::from_bytes(name))
    }

    /// What is at the place now: an error, unless it may be moved aside. Asked anew each time, because an application that is still
    /// running may begin a log at any moment.
    fn in_the_way(&self) -> Result<Vec<Vec<u8>>, RestoreError> {
        let there = names_in_the_way(&self.dir, &self.name)
            .map_err(|source| RestoreError::Target { path: self.dir_path.clone(), source })?;
        match there.first().filter(|_| !self.overwrite) {
            Some(name) => Err(RestoreError::Exists { path: self.path_of(name) }),
            None => Ok(there),
        }
    }

    /// Moves aside what is in the way, durably before anything takes its place.
    fn make_way(&self, in_the_way: &[Vec<u8>]) -> Result<Option<PathBuf>, RestoreError> {
        if in_the_way.is_empty() {
            return Ok(None);
        }
        let path = self.path_of(&self.replaced_name);
        let fail = |error: Errno| RestoreError::Target { path: path.clone(), source: error.into() };
        match rustix::fs::mkdirat(&self.dir, self.replaced_name.as_slice(), Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(fail(error)),
        }
        let aside = open_child_dir(self.dir.as_fd(), &self.replaced_name).map_err(fail)?;
        for name in in_the_way {
            rename_to_free(self.dir.as_fd(), name, aside.as_fd(), name).map_err(fail)?;
        }
        sync_dir(&aside).map_err(fail)?;
        sync_dir(&self.dir).map_err(fail)?;
        Ok(Some(path))
    }
}

impl NamedPath {
    /// A log that has appeared beside what was just put here is of an application that still runs on what was there before.
    fn look_for_life(&self, report: &mut RestoreReport) {
        let there = names_in_the_way(&self.dir, &self.name).unwrap_or_default();
        for log in there.iter().filter(|name| **name != self.name) {
            let what = "appeared while the database beside it was put back: stop the application and restore again";
            report.refused.add(log, what);
        }
    }
}

fn names_in_the_way(dir: &OwnedFd, name: &[u8]) -> io::Result<Vec<Vec<u8>>> {
    let sides = SIDE_FILES.iter().map(|side| [name, side].concat());
    let mut there = Vec::new();
    for candidate in std::iter::once(name.to_vec()).chain(sides) {
        match stat_if_there(dir, &candidate) {
            Ok(Some(_)) => there.push(candidate),
            Ok(None) => {}
            // A side file of a name of nearly 255 bytes cannot exist.
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => {}
            Err(error) => return Err(error),
        }
    }
    Ok(there)
}

/// Ends a restore of a named path: into its place with it, if it is whole or nothing is given up for it.
pub(super) fn settle(
    place: &NamedPath,
    staging: &Beneath,
    report: Result<RestoreReport, RestoreError>,
) -> Result<RestoreReport, RestoreError> {
    let mut report = match report {
        Ok(report) => report,
        Err(error) => {
            // Nobody asked for half of it. What cannot be removed is only litter, and is named for what it is.
            let path = proc_path(place.dir.as_fd(), Some(&place.staging_name));
            let _ = std::fs::remove_dir_all(OsStr::from_bytes(&path));
            return Err(error);
        }
    };
    let target_error = |path: &Path, error: io::Error| RestoreError::Target {
        path: path.to_path_buf(),
        source: error,
    };
    let staged = place.path_of(&place.staging_name);
    let restored = stat_if_there(staging.dir(), &place.name);
    if restored.map_err(|error| target_error(&staged, error))?.is_some() {
        let in_the_way = place.in_the_way()?;
        if !report.is_complete() && !in_the_way.is_empty() {
            report.left_aside = Some(staged);
            return Ok(report);
        }
        if !in_the_way.is_empty() {
            // What is moved aside is not given up for bytes that only memory has.
            rustix::fs::syncfs(staging.dir())
                .map_err(|error| target_error(&staged, error.into()))?;
        }
        report.replaced = place.make_way(&in_the_way)?;
        rename_to_free(staging.dir(), &place.name, place.dir.as_fd(), &place.name)
            .map_err(|error| target_error(&place.path_of(&place.name), error.into()))?;
        place.look_for_life(&mut report);
    }
    rustix::fs::unlinkat(&place.dir, place.staging_name.as_slice(), AtFlags::REMOVEDIR)
        .and_then(|()| sync_dir(&place.dir))
        .map_err(|error| target_error(&staged, error.into()))?;
    Ok(report)
}

/// Renames, but never onto something.
fn rename_to_free(
    from: BorrowedFd<'_>,
    name: &[u8],
    to: BorrowedFd<'_>,
    new_name: &[u8],
) -> rustix::io::Result<()> {
    match rustix::fs::renameat_with(from, name, to, new_name, RenameFlags::NOREPLACE) {
        // Not every file system can promise it; then a look before has to do.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            match rustix::fs::statat(to, new_name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => Err(Errno::EXIST),
                Err(Errno::NOENT) => rustix::fs::renameat(from, name, to, new_name),
                Err(error) => Err(error),
            }
        }
        renamed => renamed,
    }
}

fn sync_dir(dir: &OwnedFd) -> rustix::io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let open = rustix::fs::openat(dir, c".", flags, Mode::empty())?;
    match rustix::fs::fsync(open) {
        // Some file systems have no such thing; the rename itself was asked for in order.
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(()),
        synced => synced,
    }
}
