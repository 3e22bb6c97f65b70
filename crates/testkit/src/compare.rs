//! The judge of restores: every difference between two trees, in words.
//!
//! Written without larder's own walk, so that an error there cannot hide itself. Not compared: inode numbers, access
//! and change times, and how many names an inode has outside the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, SeekFrom, Statx, StatxFlags};
use rustix::io::Errno;

/// Holes are compared in units of this many bytes.
const HOLE_UNIT_BYTES: u64 = 4096;

/// Every difference between two directories and all that is in them: content, kind, mode, owner, modification time to
/// the nanosecond, extended attributes, hard-link groups, holes, link targets, device numbers. None: they are equal.
///
/// # Panics
///
/// When one of them cannot be read: then nothing can be said.
pub fn differences(a: &Path, b: &Path) -> Vec<String> {
    let mut comparison = Comparison::default();
    let open = |path: &Path| {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open(path, flags, Mode::empty())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let sides = Sides { a: open(a), b: open(b) };
    let compared = comparison.root(&sides).and_then(|()| comparison.directory(&sides, b""));
    if let Err(error) = compared {
        panic!("{} and {} cannot be compared: {error}", a.display(), b.display());
    }
    comparison.hard_links();
    comparison.found
}

struct Sides {
    a: OwnedFd,
    b: OwnedFd,
}

impl Sides {
    fn open(&self, name: &[u8], flags: OFlags) -> io::Result<Self> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(Self {
            a: rustix::fs::openat(&self.a, name, flags, Mode::empty())?,
            b: rustix::fs::openat(&self.b, name, flags, Mode::empty())?,
        })
    }

    fn each<T>(&self, ask: impl Fn(BorrowedFd<'_>) -> io::Result<T>) -> io::Result<(T, T)> {
        Ok((ask(self.a.as_fd())?, ask(self.b.as_fd())?))
    }
}

/// Paths by the inode that they name.
type Names = BTreeMap<(u32, u32, u64), BTreeSet<Vec<u8>>>;

#[derive(Default)]
struct Comparison {
    found: Vec<String>,
    names: (Names, Names),
}

impl Comparison {
    fn say(&mut self, path: &[u8], what: &str) {
        let path = if path.is_empty() { ".".to_owned() } else { path.escape_ascii().to_string() };
        self.found.push(format!("{path}: {what}"));
    }

    fn differ<T: PartialEq + std::fmt::Debug>(&mut self, path: &[u8], what: &str, (a, b): (T, T)) {
        if a != b {
            self.say(path, &format!("{what} {a:?} and {b:?}"));
        }
    }

    fn root(&mut self, sides: &Sides) -> io::Result<()> {
        let stats = sides.each(|fd| stat(fd, b"", AtFlags::EMPTY_PATH))?;
        self.metadata(b"", &stats);
        let xattrs = sides.each(|fd| xattrs(&in_proc(fd, b".")))?;
        self.differ(b"", "attributes", xattrs);
        Ok(())
    }

    fn directory(&mut self, sides: &Sides, path: &[u8]) -> io::Result<()> {
        let (in_a, in_b) = sides.each(names_in)?;
        for name in in_a.union(&in_b) {
            let below = if path.is_empty() { name.clone() } else { [path, name].join(&b'/') };
            match (in_a.contains(name), in_b.contains(name)) {
                (true, true) => self.thing(sides, name, &below)?,
                (true, false) => self.say(&below, "only in the first"),
                _ => self.say(&below, "only in the second"),
            }
        }
        Ok(())
    }

    fn thing(&mut self, sides: &Sides, name: &[u8], path: &[u8]) -> io::Result<()> {
        let stats = sides.each(|dir| stat(dir, name, AtFlags::SYMLINK_NOFOLLOW))?;
        let kinds = (kind(&stats.0), kind(&stats.1));
        if kinds.0 != kinds.1 {
            self.differ(path, "kind", kinds);
            return Ok(());
        }
        self.metadata(path, &stats);
        let xattrs = sides.each(|dir| xattrs(&in_proc(dir, name)))?;
        self.differ(path, "attributes", xattrs);
        match kinds.0 {
            FileType::Directory => {
                let inner = sides.open(name, OFlags::RDONLY | OFlags::DIRECTORY)?;
                return self.directory(&inner, path);
            }
            FileType::RegularFile => self.file(sides, name, path)?,
            FileType::Symlink => {
                let targets =
                    sides.each(|dir| Ok(rustix::fs::readlinkat(dir, name, Vec::new())?))?;
                self.differ(path, "target", targets);
            }
            FileType::CharacterDevice | FileType::BlockDevice => {
                let number = |stat: &Statx| (stat.stx_rdev_major, stat.stx_rdev_minor);
                self.differ(path, "device", (number(&stats.0), number(&stats.1)));
            }
            _ => {}
        }
        self.note_names(path, &stats);
        Ok(())
    }

    fn metadata(&mut self, path: &[u8], (a, b): &(Statx, Statx)) {
        let mode = |stat: &Statx| format!("{:04o}", stat.stx_mode & 0o7777);
        let owner = |stat: &Statx| (stat.stx_uid, stat.stx_gid);
        let time = |stat: &Statx| (stat.stx_mtime.tv_sec, stat.stx_mtime.tv_nsec);
        self.differ(path, "mode", (mode(a), mode(b)));
        self.differ(path, "owner", (owner(a), owner(b)));
        self.differ(path, "time", (time(a), time(b)));
    }

    fn file(&mut self, sides: &Sides, name: &[u8], path: &[u8]) -> io::Result<()> {
        let files = sides.open(name, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let lengths = files.each(|fd| Ok(stat(fd, b"", AtFlags::EMPTY_PATH)?.stx_size))?;
        if lengths.0 != lengths.1 {
            self.differ(path, "size", lengths);
            return Ok(());
        }
        let holes = files.each(|fd| data_units(fd, lengths.0))?;
        self.differ(path, "data at units", holes);
        if let Some(at) = first_difference(File::from(files.a), File::from(files.b))? {
            self.say(path, &format!("content differs from byte {at} on"));
        }
        Ok(())
    }

    fn note_names(&mut self, path: &[u8], stats: &(Statx, Statx)) {
        for (names, stat) in [(&mut self.names.0, &stats.0), (&mut self.names.1, &stats.1)] {
            let inode = (stat.stx_dev_major, stat.stx_dev_minor, stat.stx_ino);
            names.entry(inode).or_default().insert(path.to_vec());
        }
    }

    fn hard_links(&mut self) {
        let groups = |names: &Names| -> BTreeSet<BTreeSet<Vec<u8>>> {
            names.values().filter(|group| group.len() > 1).cloned().collect()
        };
        let (a, b) = (groups(&self.names.0), groups(&self.names.1));
        for (group, side) in a
            .difference(&b)
            .map(|group| (group, "first"))
            .chain(b.difference(&a).map(|group| (group, "second")))
        {
            let names: Vec<_> = group.iter().map(|name| name.escape_ascii().to_string()).collect();
            self.found.push(format!("{}: one inode only in the {side}", names.join(" = ")));
        }
    }
}

fn stat(dir: BorrowedFd<'_>, name: &[u8], flags: AtFlags) -> io::Result<Statx> {
    Ok(rustix::fs::statx(dir, name, flags, StatxFlags::BASIC_STATS)?)
}

fn kind(stat: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(stat.stx_mode))
}

fn names_in(dir: BorrowedFd<'_>) -> io::Result<BTreeSet<Vec<u8>>> {
    let mut names = BTreeSet::new();
    for entry in rustix::fs::Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.insert(name.to_vec());
        }
    }
    Ok(names)
}

fn in_proc(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

/// Extended attributes by name; those of the security modules, which the system sets itself, aside.
fn xattrs(path: &(impl AsRef<[u8]> + ?Sized)) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let path = path.as_ref();
    let mut buffer = vec![0; 64 * 1024];
    let len = match rustix::fs::llistxattr(path, buffer.as_mut_slice()) {
        Ok(len) => len,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let names = buffer.get(..len).unwrap_or_default().to_vec();
    let mut found = BTreeMap::new();
    for name in names.split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        if name == b"security.selinux" {
            continue;
        }
        let len = rustix::fs::lgetxattr(path, name, buffer.as_mut_slice())?;
        let value = buffer.get(..len).unwrap_or_default().to_vec();
        found.insert(name.escape_ascii().to_string(), value);
    }
    Ok(found)
}

/// Ranges of units that hold data, merged.
fn data_units(fd: BorrowedFd<'_>, size: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut ranges: Vec<(u64, u64)> = Vec::new();
    let mut at = 0;
    while at < size {
        let start = match rustix::fs::seek(fd, SeekFrom::Data(at)) {
            Ok(start) => start,
            Err(Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        at = rustix::fs::seek(fd, SeekFrom::Hole(start))?;
        let range = (start / HOLE_UNIT_BYTES, at.div_ceil(HOLE_UNIT_BYTES));
        match ranges.last_mut() {
            Some(last) if last.1 >= range.0 => last.1 = range.1,
            _ => ranges.push(range),
        }
    }
    rustix::fs::seek(fd, SeekFrom::Start(0))?;
    Ok(ranges)
}

fn first_difference(mut a: File, mut b: File) -> io::Result<Option<u64>> {
    let (mut of_a, mut of_b) = (vec![0; 64 * 1024], vec![0; 64 * 1024]);
    let mut at = 0_u64;
    loop {
        let len = a.read(&mut of_a)?;
        let (ours, theirs) = (&of_a[..len], &mut of_b[..len]);
        b.read_exact(theirs)?;
        if let Some(here) = ours.iter().zip(theirs.iter()).position(|(ours, theirs)| ours != theirs)
        {
            return Ok(Some(at + here as u64));
        }
        if len == 0 {
            return Ok(None);
        }
        at += len as u64;
    }
}
