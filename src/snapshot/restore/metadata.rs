//! Giving restored things their owner, attributes, mode and times.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
};
use rustix::io::Errno;

use crate::codec::ByteString;
use crate::codec::manifest::{Entry, FileTime, Xattr};
use crate::snapshot::source::metadata::proc_path;

/// The bits of a mode that lend privileges to whoever runs the file.
const SET_ID: u32 = 0o6000;

/// Applies the metadata of an entry to the open file or directory. What cannot be applied is returned, in words.
///
/// The order matters: a change of owner clears set-id bits and capabilities, and a mode without write permission
/// keeps attributes from being set.
pub(super) fn apply_to_fd(fd: impl AsFd, entry: &Entry) -> Vec<String> {
    let fd = fd.as_fd();
    let mut notes = Vec::new();
    let owned = note_owner(&mut notes, entry, |uid, gid| rustix::fs::fchown(fd, uid, gid));
    note_xattrs(&mut notes, &entry.xattrs, |xattr| {
        rustix::fs::fsetxattr(fd, &*xattr.name, &xattr.value, XattrFlags::empty())
    });
    note_mode(&mut notes, entry, owned, |mode| rustix::fs::fchmod(fd, mode));
    note_times(&mut notes, entry.mtime, |times| rustix::fs::futimens(fd, times));
    notes
}

/// Applies the metadata of an entry to a symbolic link, which has no mode of its own.
pub(super) fn apply_to_link(dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Vec<String> {
    let mut notes = Vec::new();
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    note_owner(&mut notes, entry, |uid, gid| rustix::fs::chownat(dir, name, uid, gid, flags));
    let path = proc_path(dir, Some(name));
    note_xattrs(&mut notes, &entry.xattrs, |xattr| {
        rustix::fs::lsetxattr(path.as_slice(), &*xattr.name, &xattr.value, XattrFlags::empty())
    });
    note_times(&mut notes, entry.mtime, |times| rustix::fs::utimensat(dir, name, times, flags));
    notes
}

/// Applies the metadata of an entry to a pipe or device, which must not be opened in earnest.
pub(super) fn apply_to_special(dir: BorrowedFd<'_>, name: &[u8], entry: &Entry) -> Vec<String> {
    let held = match hold(dir, name) {
        Ok(held) => held,
        Err(error) => return vec![format!("its metadata could not be restored: {error}")],
    };
    // The path leads to the inode that is held, whatever becomes of its name.
    let path = proc_path(held.as_fd(), None);
    let path = path.as_slice();
    let mut notes = Vec::new();
    let owned = note_owner(&mut notes, entry, |uid, gid| {
        rustix::fs::chownat(&held, c"", uid, gid, AtFlags::EMPTY_PATH)
    });
    note_xattrs(&mut notes, &entry.xattrs, |xattr| {
        rustix::fs::setxattr(path, &*xattr.name, &xattr.value, XattrFlags::empty())
    });
    note_mode(&mut notes, entry, owned, |mode| rustix::fs::chmod(path, mode));
    note_times(&mut notes, entry.mtime, |times| {
        rustix::fs::utimensat(CWD, path, times, AtFlags::empty())
    });
    notes
}

fn hold(dir: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// Returns whether the thing has its recorded owner and group now.
fn note_owner(
    notes: &mut Vec<String>,
    entry: &Entry,
    chown: impl Fn(Option<Uid>, Option<Gid>) -> rustix::io::Result<()>,
) -> bool {
    // The highest number means "leave it" to the system, and is nobody's.
    let (uid, gid) = (valid(entry.uid).map(Uid::from_raw), valid(entry.gid).map(Gid::from_raw));
    let changed = match (uid, gid) {
        (Some(_), Some(_)) => chown(uid, gid),
        _ => Err(Errno::INVAL),
    };
    let Err(error) = changed else { return true };
    // A member of the group may at least give it that.
    let _ = gid.map(|gid| chown(None, Some(gid)));
    notes.push(format!("owner {}:{} was not restored: {error}", entry.uid, entry.gid));
    false
}

fn valid(id: u32) -> Option<u32> {
    (id != u32::MAX).then_some(id)
}

fn note_xattrs(
    notes: &mut Vec<String>,
    xattrs: &[Xattr],
    set: impl Fn(&Xattr) -> rustix::io::Result<()>,
) {
    for xattr in xattrs {
        if let Err(error) = set(xattr) {
            notes.push(format!("attribute {} was not restored: {error}", shown(&xattr.name)));
        }
    }
}

fn shown(name: &ByteString) -> String {
    name.escape_ascii().to_string()
}

fn note_mode(
    notes: &mut Vec<String>,
    entry: &Entry,
    owned: bool,
    chmod: impl Fn(Mode) -> rustix::io::Result<()>,
) {
    let mut mode = entry.mode & 0o7777;
    if !owned && mode & SET_ID != 0 {
        // They would lend the privileges of whoever restores, not of the owner.
        mode &= !SET_ID;
        notes.push("its set-id bits were left out with its owner".to_owned());
    }
    if let Err(error) = chmod(Mode::from_raw_mode(mode)) {
        notes.push(format!("mode {:04o} was not restored: {error}", entry.mode));
    }
}

fn note_times(
    notes: &mut Vec<String>,
    mtime: FileTime,
    set: impl Fn(&Timestamps) -> rustix::io::Result<()>,
) {
    let omit = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    let last_modification = Timespec { tv_sec: mtime.secs, tv_nsec: mtime.nanos.into() };
    // Above a billion there are codes with other meanings.
    let valid = mtime.nanos < 1_000_000_000;
    let times = Timestamps { last_access: omit, last_modification };
    let done = if valid { set(&times) } else { Err(Errno::INVAL) };
    if let Err(error) = done {
        notes.push(format!("its time was not restored: {error}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::manifest::{EntryKey, EntryKind};
    use std::cell::Cell;

    fn entry() -> Entry {
        Entry {
            key: EntryKey { root: 0, path: "f".into() },
            kind: EntryKind::Fifo,
            mode: 0o6755,
            uid: 1234,
            gid: 2345,
            mtime: FileTime { secs: 1, nanos: 2 },
            ctime: FileTime::default(),
            device: 0,
            inode: 0,
            links: 1,
            xattrs: Vec::new(),
            extensions: Vec::new(),
        }
    }

    #[test]
    fn without_the_owner_there_are_no_set_id_bits() {
        for (owned, expected, said) in [(true, 0o6755, 0), (false, 0o755, 1)] {
            let (set, mut notes) = (Cell::new(0), Vec::new());
            note_mode(&mut notes, &entry(), owned, |mode| {
                set.set(mode.as_raw_mode());
                Ok(())
            });
            assert_eq!((set.get(), notes.len()), (expected, said));
        }
    }

    #[test]
    fn a_refused_owner_is_said_and_the_group_is_tried_alone() {
        let (calls, mut notes) = (Cell::new(0), Vec::new());
        let owned = note_owner(&mut notes, &entry(), |uid, _| {
            calls.set(calls.get() + 1);
            if uid.is_some() { Err(Errno::PERM) } else { Ok(()) }
        });
        assert!(!owned);
        assert_eq!((calls.get(), notes.len()), (2, 1));
        assert!(notes[0].contains("1234:2345"), "{notes:?}");
    }

    #[test]
    fn numbers_with_another_meaning_never_reach_the_system() {
        let (mut notes, mut hostile) = (Vec::new(), entry());
        hostile.uid = u32::MAX;
        assert!(!note_owner(&mut notes, &hostile, |uid, _| {
            assert!(uid.is_none());
            Ok(())
        }));
        let now = FileTime { secs: 0, nanos: 0x3fff_ffff };
        note_times(&mut notes, now, |_| panic!("set to the present time"));
        assert_eq!(notes.len(), 2);
    }
}
