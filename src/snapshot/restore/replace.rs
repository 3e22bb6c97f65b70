//! Putting a named path into its place, and what was there out of it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
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
use crate::snapshot::source::walk::{REPLACED_PREFIX, RESTORING_PREFIX};
use crate::sqlite::header::has_magic;
use crate::sqlite::in_use::is_in_use;
use crate::sqlite::recognise::SIDE_SUFFIXES;

/// The place of a named path: the directory that it is in, and its name there.
pub(super) struct NamedPath {
    dir: OwnedFd,
    dir_path: PathBuf,
    name: Vec<u8>,
    /// What is there may be moved aside.
    overwrite: bool,
    /// What is put there is a database.
    database: bool,
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
        let named_by = |prefix: &str| format!("{prefix}{}", named.time).into_bytes();
        let (staging_name, replaced_name) = (named_by(RESTORING_PREFIX), named_by(REPLACED_PREFIX));
        let (overwrite, database) = (named.overwrite, named.database);
        let name = name.to_vec();
        let place = Self { dir, dir_path, name, overwrite, database, staging_name, replaced_name };
        place.in_the_way(database)?;
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
    fn in_the_way(&self, is_database: bool) -> Result<Vec<Vec<u8>>, RestoreError> {
        let fail = |source| RestoreError::Target { path: self.dir_path.clone(), source };
        let standing = open_database(self.dir.as_fd(), &self.name);
        let database = is_database || standing.is_some();
        let there = names_in_the_way(&self.dir, &self.name, database).map_err(fail)?;
        if let Some(name) = there.first().filter(|_| !self.overwrite) {
            return Err(RestoreError::Exists { path: self.path_of(name) });
        }
        match standing.map(is_in_use).transpose().map_err(fail)? {
            Some(true) => Err(RestoreError::InUse { path: self.path_of(&self.name) }),
            _ => Ok(there),
        }
    }

    /// What is in the way of what was restored; `None` when nothing was.
    fn look_again(&self, staging: &Beneath) -> Result<Option<Vec<Vec<u8>>>, RestoreError> {
        let fail = |source| RestoreError::Target { path: self.path_of(&self.staging_name), source };
        if stat_if_there(staging.dir(), &self.name).map_err(fail)?.is_none() {
            return Ok(None);
        }
        let database = self.database || open_database(staging.dir(), &self.name).is_some();
        self.in_the_way(database).map(Some)
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
        let database = self.database || open_database(self.dir.as_fd(), &self.name).is_some();
        let there = names_in_the_way(&self.dir, &self.name, database).unwrap_or_default();
        for log in there.iter().filter(|name| **name != self.name) {
            let what = "appeared while the database beside it was put back: stop the application and restore again";
            report.refused.add(log, what);
        }
    }
}

/// The name, and those of what `SQLite` keeps beside a database, as far as they are there. A stale log, left there, would be applied
/// to the restored file; but beside anything else, a file of such a name is somebody's file.
fn names_in_the_way(dir: &OwnedFd, name: &[u8], database: bool) -> io::Result<Vec<Vec<u8>>> {
    let sides = SIDE_SUFFIXES.iter().filter(|_| database);
    let sides = sides.map(|side| [name, side.as_bytes()].concat());
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

/// The file at a name, if it begins as databases do. A FIFO is not waited for, a link not followed; what cannot be read is none.
fn open_database(dir: BorrowedFd<'_>, name: &[u8]) -> Option<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::openat(dir, name, flags, Mode::empty()).ok()?);
    let mut head = Vec::new();
    let is_file = file.metadata().ok()?.is_file();
    (&file).take(16).read_to_end(&mut head).ok().filter(|_| is_file && has_magic(&head))?;
    Some(file)
}

/// Ends a restore of a named path: into its place with it, if it is whole or nothing is given up for it. What `report` says was
/// written is on the disk by now: what is moved aside is not given up for bytes that only memory has.
pub(super) fn settle(
    place: &NamedPath,
    staging: &Beneath,
    report: Result<RestoreReport, RestoreError>,
) -> Result<RestoreReport, RestoreError> {
    let ready = report.and_then(|report| Ok((report, place.look_again(staging)?)));
    let (mut report, in_the_way) = match ready {
        Ok(ready) => ready,
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
    if let Some(in_the_way) = in_the_way {
        if !report.is_complete() && !in_the_way.is_empty() {
            report.left_aside = Some(staged);
            return Ok(report);
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
