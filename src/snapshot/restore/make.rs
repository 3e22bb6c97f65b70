//! Making everything that is not a regular file: directories, links, pipes, devices, further names.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::codec::manifest::{Entry, EntryKind};
use crate::snapshot::beneath::{Beneath, split_last};
use crate::snapshot::restore::error::Failure;
use crate::snapshot::restore::links::Made;
use crate::snapshot::restore::metadata::{apply_to_fd, apply_to_link, apply_to_special};
use crate::snapshot::restore::plan::Job;
use crate::snapshot::restore::target::make_dir;
use crate::snapshot::source::metadata::Stat;
use crate::snapshot::trail::Trail;

const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// What became of something that was to be made.
#[derive(Debug)]
pub(super) enum MadeOther {
    /// It is there; what it lacks, and its inode.
    Done { notes: Vec<String>, made: Made },
    /// It is left out, as it must be, for this reason.
    LeftOut(String),
}

/// Makes a directory, which gets its metadata when all that belongs in it is there.
pub(super) fn directory(trail: &mut Trail<'_>, path: &[u8]) -> Result<(), Failure> {
    if path.is_empty() {
        return Ok(());
    }
    let (parent, name) = split_last(path);
    let dir = trail.dir(parent).map_err(|error| Failure::of_target(path, error))?;
    make_dir(dir, name).map_err(|error| Failure::of_target(path, error))
}

/// Gives a directory its metadata; returns what could not be given.
pub(super) fn finish_directory(target: &Beneath, job: &Job) -> Result<Vec<String>, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let dir = target.open(&job.path, flags, Mode::empty());
    let dir = dir.map_err(|error| Failure::of_target(&job.path, error))?;
    Ok(apply_to_fd(dir, &job.entry))
}

/// Makes a symbolic link, a pipe or a device.
pub(super) fn other(trail: &mut Trail<'_>, job: &Job) -> Result<MadeOther, Failure> {
    let refuse = |error: io::Error| Failure::of_target(&job.path, error);
    let (parent, name) = split_last(&job.path);
    let dir = trail.dir(parent).map_err(refuse)?;
    if let Some(reason) = make_node(dir, name, &job.entry.kind).map_err(refuse)? {
        return Ok(MadeOther::LeftOut(reason));
    }
    let notes = match job.entry.kind {
        EntryKind::Symlink { .. } => apply_to_link(dir, name, &job.entry),
        _ => apply_to_special(dir, name, &job.entry),
    };
    let stat = Stat::of_name(dir, name).map_err(refuse)?;
    let made = Made { path: job.path.clone(), device: stat.device, inode: stat.inode };
    Ok(MadeOther::Done { notes, made })
}

/// Returns a reason when it is left out.
fn make_node(dir: BorrowedFd<'_>, name: &[u8], kind: &EntryKind) -> io::Result<Option<String>> {
    let node = |kind, major, minor| {
        rustix::fs::mknodat(dir, name, kind, PRIVATE, rustix::fs::makedev(major, minor))
    };
    let (made, what) = match kind {
        EntryKind::Symlink { target } => (rustix::fs::symlinkat(&**target, dir, name), "link"),
        EntryKind::Fifo => (node(FileType::Fifo, 0, 0), "pipe"),
        EntryKind::CharDevice { major, minor } => {
            (node(FileType::CharacterDevice, *major, *minor), "device")
        }
        EntryKind::BlockDevice { major, minor } => {
            (node(FileType::BlockDevice, *major, *minor), "device")
        }
        EntryKind::Socket => {
            return Ok(Some("a socket; whoever listens there makes it anew".to_owned()));
        }
        EntryKind::File(_) | EntryKind::Directory => return Err(Errno::INVAL.into()),
    };
    match made {
        Ok(()) => Ok(None),
        // Without privileges, in a container, on a file system without such things.
        Err(error @ (Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS)) => {
            Ok(Some(format!("the {what} was not restored: {error}")))
        }
        Err(error) => Err(error.into()),
    }
}

/// Gives a further name to an inode that this run made, and to no other.
pub(super) fn link(target: &Beneath, made: &Made, path: &[u8]) -> Result<(), Failure> {
    let refuse = |error: io::Error| Failure::of_target(path, error);
    let (from_parent, from_name) = split_last(&made.path);
    let (to_parent, to_name) = split_last(path);
    let from = target.open_dir(from_parent).map_err(refuse)?;
    let to = target.open_dir(to_parent).map_err(refuse)?;
    let is_ours = |dir: BorrowedFd<'_>, name: &[u8]| {
        let stat = Stat::of_name(dir, name)?;
        Ok((stat.device, stat.inode) == (made.device, made.inode))
    };
    let swapped = || Failure::Refused("what it should be linked to was exchanged".to_owned());
    if !is_ours(from.as_fd(), from_name).map_err(refuse)? {
        return Err(swapped());
    }
    rustix::fs::linkat(&from, from_name, &to, to_name, AtFlags::empty())
        .map_err(|error| refuse(error.into()))?;
    if is_ours(to.as_fd(), to_name).map_err(refuse)? {
        return Ok(());
    }
    // Exchanged between the look and the call: the wrong name goes again, the inode is untouched.
    rustix::fs::unlinkat(&to, to_name, AtFlags::empty()).map_err(|error| refuse(error.into()))?;
    Err(swapped())
}

/// True for what counts as a file in a report.
pub(super) fn is_file(entry: &Entry) -> bool {
    matches!(entry.kind, EntryKind::File(_))
}
