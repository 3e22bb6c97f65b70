//! What the file system says about a thing, beside its bytes.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, StatxTimestamp};
use rustix::io::Errno;

use crate::codec::ByteString;
use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileTime, Xattr};

/// The largest extended attribute that is stored, in bytes.
pub const MAX_XATTR_BYTES: usize = 64 * 1024;

/// The most that the extended attributes of one thing may take, names included, in bytes: an entry must fit into a node
/// of a manifest with all else that it has.
pub const MAX_XATTRS_BYTES: usize = 96 * 1024;

/// What an attribute takes in a manifest beside its name and value, in bytes.
const XATTR_OVERHEAD_BYTES: usize = 16;

/// What kind of thing a directory entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// The inode behind a name at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: ItemKind,
    /// Permission bits, set-id and sticky bits (07777).
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Length in bytes.
    pub size: u64,
    /// Bytes that are allocated for it.
    pub allocated_bytes: u64,
    /// Last modification.
    pub mtime: FileTime,
    /// Last change of the inode.
    pub ctime: FileTime,
    /// Device that it is on.
    pub device: u64,
    /// Its number there.
    pub inode: u64,
    /// Names that it has.
    pub links: u32,
    /// Major and minor number, of a device.
    pub rdev: (u32, u32),
}

impl Stat {
    /// Of the thing that is open here; `PATH` descriptors will do.
    pub fn of_fd(fd: impl AsFd) -> io::Result<Self> {
        Self::query(fd.as_fd(), b"", AtFlags::EMPTY_PATH)
    }

    /// Of a name in an open directory; a link is described itself.
    pub fn of_name(dir: impl AsFd, name: &[u8]) -> io::Result<Self> {
        Self::query(dir.as_fd(), name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT)
    }

    fn query(dir: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> io::Result<Self> {
        let raw = rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?;
        let kind = kind_of(&raw)
            .ok_or_else(|| io::Error::new(io::ErrorKind::Unsupported, "of no known file type"))?;
        Ok(Self {
            kind,
            mode: u32::from(raw.stx_mode) & 0o7777,
            uid: raw.stx_uid,
            gid: raw.stx_gid,
            size: raw.stx_size,
            allocated_bytes: raw.stx_blocks.saturating_mul(512),
            mtime: time_of(raw.stx_mtime),
            ctime: time_of(raw.stx_ctime),
            device: rustix::fs::makedev(raw.stx_dev_major, raw.stx_dev_minor),
            inode: raw.stx_ino,
            links: raw.stx_nlink,
            rdev: (raw.stx_rdev_major, raw.stx_rdev_minor),
        })
    }

    /// True when the same inode has, as far as can be seen, the same bytes.
    pub fn same_state(&self, other: &Self) -> bool {
        self.kind == other.kind
            && (self.device, self.inode) == (other.device, other.inode)
            && (self.size, self.mtime, self.ctime) == (other.size, other.mtime, other.ctime)
    }
}

fn kind_of(raw: &Statx) -> Option<ItemKind> {
    Some(match FileType::from_raw_mode(u32::from(raw.stx_mode)) {
        FileType::RegularFile => ItemKind::File,
        FileType::Directory => ItemKind::Directory,
        FileType::Symlink => ItemKind::Symlink,
        FileType::Fifo => ItemKind::Fifo,
        FileType::Socket => ItemKind::Socket,
        FileType::CharacterDevice => ItemKind::CharDevice,
        FileType::BlockDevice => ItemKind::BlockDevice,
        FileType::Unknown => return None,
    })
}

fn time_of(raw: StatxTimestamp) -> FileTime {
    FileTime { secs: raw.tv_sec, nanos: raw.tv_nsec }
}

/// The entry of a thing; of a file its archive makes the kind, from what was read.
pub fn entry(key: EntryKey, stat: &Stat, kind: EntryKind, xattrs: Vec<Xattr>) -> Entry {
    Entry {
        key,
        kind,
        mode: stat.mode,
        uid: stat.uid,
        gid: stat.gid,
        mtime: stat.mtime,
        ctime: stat.ctime,
        device: stat.device,
        inode: stat.inode,
        links: stat.links,
        xattrs,
        extensions: Vec::new(),
    }
}

/// What the extended attributes of a thing amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Xattrs {
    /// All of them, sorted by name.
    All(Vec<Xattr>),
    /// More than is stored.
    TooLarge,
}

/// Reads the extended attributes of an open file or directory. None where the file system has none.
pub fn xattrs_of_fd(fd: impl AsFd) -> io::Result<Xattrs> {
    let fd = fd.as_fd();
    collect(
        |list| rustix::fs::flistxattr(fd, list),
        |name, value| rustix::fs::fgetxattr(fd, name, value),
    )
}

/// Reads the extended attributes of a name in an open directory, of a link itself.
pub fn xattrs_of_name(dir: impl AsFd, name: &[u8]) -> io::Result<Xattrs> {
    let path = proc_path(dir.as_fd(), Some(name));
    let path = path.as_slice();
    collect(
        |list| rustix::fs::llistxattr(path, list),
        |name, value| rustix::fs::lgetxattr(path, name, value),
    )
}

/// A path that leads to an open descriptor, or to a name in an open directory, and nowhere else.
///
/// For the calls that take only paths: no component of it but the last can be swapped by anybody.
pub fn proc_path(fd: BorrowedFd<'_>, name: Option<&[u8]>) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}", fd.as_raw_fd()).into_bytes();
    if let Some(name) = name {
        path.push(b'/');
        path.extend_from_slice(name);
    }
    path
}

fn collect(
    list: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
    get: impl Fn(&[u8], &mut [u8]) -> rustix::io::Result<usize>,
) -> io::Result<Xattrs> {
    let mut buffer = [0; 1024];
    let names = match read_growing(&mut buffer, &list) {
        Ok(Some(names)) => names,
        Ok(None) => return Ok(Xattrs::TooLarge),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => return Ok(Xattrs::All(Vec::new())),
        Err(error) => return Err(error.into()),
    };
    let mut total = 0;
    let mut found = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        let value = match read_growing(&mut buffer, |value| get(name, value)) {
            Ok(Some(value)) => value,
            Ok(None) => return Ok(Xattrs::TooLarge),
            // Removed since the listing, or one of those that only some may read.
            Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::PERM) => continue,
            Err(error) => return Err(error.into()),
        };
        total += XATTR_OVERHEAD_BYTES + name.len() + value.len();
        if total > MAX_XATTRS_BYTES {
            return Ok(Xattrs::TooLarge);
        }
        found.push(Xattr { name: name.into(), value: ByteString::from(value) });
    }
    found.sort_unstable();
    Ok(Xattrs::All(found))
}

/// Reads into a small buffer first, nearly always enough, and then into one of the kernel's own limit.
fn read_growing(
    small: &mut [u8],
    read: impl Fn(&mut [u8]) -> rustix::io::Result<usize>,
) -> rustix::io::Result<Option<Vec<u8>>> {
    match read(small) {
        Ok(len) => return Ok(Some(small.get(..len).unwrap_or_default().to_vec())),
        Err(Errno::RANGE) => {}
        Err(error) => return Err(error),
    }
    let mut large = vec![0; MAX_XATTR_BYTES];
    match read(&mut large) {
        Ok(len) => {
            large.truncate(len);
            Ok(Some(large))
        }
        Err(Errno::RANGE | Errno::TOOBIG) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_come_sorted_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        std::fs::write(&path, "x").unwrap();
        let set = |name: &str, value: &[u8]| {
            rustix::fs::setxattr(&path, name, value, rustix::fs::XattrFlags::empty())
        };
        if set("user.b", &[7; 2000]).is_err() {
            return; // a file system without them: nothing to read
        }
        set("user.a", b"").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        let Xattrs::All(by_fd) = xattrs_of_fd(&file).unwrap() else { panic!("too large") };
        let ours: Vec<_> = by_fd.iter().filter(|xattr| xattr.name.starts_with(b"user.")).collect();
        assert_eq!(ours.len(), 2);
        assert_eq!((&*ours[0].name, &*ours[0].value), (&b"user.a"[..], &b""[..]));
        assert_eq!((&*ours[1].name, ours[1].value.len()), (&b"user.b"[..], 2000));
        let parent = std::fs::File::open(dir.path()).unwrap();
        assert_eq!(xattrs_of_name(&parent, b"f").unwrap(), Xattrs::All(by_fd));
    }

    #[test]
    fn too_many_bytes_are_refused_not_truncated() {
        let names: Vec<u8> = (0..20).flat_map(|n| format!("user.{n:02}\0").into_bytes()).collect();
        let list = |into: &mut [u8]| {
            into.get_mut(..names.len()).ok_or(Errno::RANGE)?.copy_from_slice(&names);
            Ok(names.len())
        };
        let full = |_: &[u8], into: &mut [u8]| match into.len() {
            MAX_XATTR_BYTES => Ok(MAX_XATTR_BYTES),
            _ => Err(Errno::RANGE),
        };
        assert_eq!(collect(list, full).unwrap(), Xattrs::TooLarge);
        assert!(collect(list, |_, _| Err(Errno::IO)).is_err());
        assert_eq!(collect(list, |_, _| Err(Errno::RANGE)).unwrap(), Xattrs::TooLarge);
        assert_eq!(collect(|_| Err(Errno::OPNOTSUPP), full).unwrap(), Xattrs::All(Vec::new()));
    }
}
