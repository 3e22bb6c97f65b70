//! Source trees from a seed, with everything in them that a backup has ever stumbled over.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Timespec, Timestamps, Uid, XattrFlags,
};
use rustix::io::Errno;

/// What the machine allowed to be planted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Planted {
    /// Foreign owners: only root can give files away.
    pub owners: bool,
    /// Device nodes: root, outside most containers.
    pub devices: bool,
    /// Extended attributes: on most file systems.
    pub xattrs: bool,
    /// Everything in the tree, the root not counted.
    pub things: usize,
}

/// The most bytes that a path in a tree has.
pub const LONGEST_PATH_BYTES: usize = 4095;

/// Fills an empty directory: names that are not text, with newlines, of 255 bytes; a path of 4,095 bytes; empty files
/// and directories, hard links, dangling links, sparse files, attributes, modes, owners, times, pipes, devices.
pub fn plant(root: &Path, seed: u64) -> io::Result<Planted> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open(root, flags, Mode::empty())?;
    let owners = rustix::process::geteuid().is_root();
    let allowed = Planted { owners, devices: owners, xattrs: true, things: 0 };
    let mut planter =
        Planter { root, numbers: Numbers(seed), things: Vec::new(), planted: allowed };
    planter.names()?;
    planter.files()?;
    planter.deep_path()?;
    planter.links()?;
    planter.sparse_files()?;
    planter.special_files()?;
    planter.finish()
}

/// A small generator of numbers (splitmix64): the same ones for the same seed, on every machine.
#[derive(Debug, Clone)]
pub struct Numbers(pub u64);

impl Numbers {
    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..below`; `below` must not be 0.
    pub fn below(&mut self, below: u64) -> u64 {
        self.draw() % below
    }

    /// One of these, which must be some.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = usize::try_from(self.below(choices.len() as u64)).unwrap_or_default();
        choices[at]
    }

    /// So many bytes that no compressor likes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len + 8);
        while bytes.len() < len {
            bytes.extend_from_slice(&self.draw().to_le_bytes());
        }
        bytes.truncate(len);
        bytes
    }
}

struct Thing {
    path: Vec<u8>,
    kind: FileType,
}

struct Planter {
    root: OwnedFd,
    numbers: Numbers,
    things: Vec<Thing>,
    planted: Planted,
}

impl Planter {
    /// Opens the directory that a path is in, one component at a time: the path may be longer than the system takes.
    fn parent<'p>(&self, path: &'p [u8]) -> io::Result<(OwnedFd, &'p [u8])> {
        let mut components: Vec<_> = path.split(|byte| *byte == b'/').collect();
        let name = components.pop().unwrap_or_default();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut dir = rustix::fs::openat(&self.root, c".", flags, Mode::empty())?;
        for component in components {
            dir = rustix::fs::openat(&dir, component, flags, Mode::empty())?;
        }
        Ok((dir, name))
    }

    fn planted(&mut self, path: &[u8], kind: FileType) {
        self.things.push(Thing { path: path.to_vec(), kind });
    }

    fn dir(&mut self, path: &[u8]) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        rustix::fs::mkdirat(parent, name, Mode::RWXU)?;
        self.planted(path, FileType::Directory);
        Ok(())
    }

    fn open_new(&mut self, path: &[u8]) -> io::Result<std::fs::File> {
        let (parent, name) = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = rustix::fs::openat(parent, name, flags, Mode::RUSR | Mode::WUSR)?;
        self.planted(path, FileType::RegularFile);
        Ok(file.into())
    }

    fn file(&mut self, path: &[u8], len: usize) -> io::Result<()> {
        let bytes = self.numbers.bytes(len);
        self.open_new(path)?.write_all_at(&bytes, 0)
    }

    fn names(&mut self) -> io::Result<()> {
        self.dir(b"names")?;
        let odd: [&[u8]; 14] = [
            b"\xff\xfe not text",
            b"new\nline",
            b"\xc3\xa9t\xc3\xa9",
            b"-rf",
            b" blank ",
            b"back\\slash",
            b"quote\"'",
            b"...",
            b"*",
            b"\x01\x7f",
            b"a",
            b"a.b",
            b"a b",
            b"a!",
        ];
        for name in odd {
            let len = self.numbers.below(300);
            self.file(&[b"names/", name].concat(), usize::try_from(len).unwrap_or_default())?;
        }
        self.file(&[&b"names/"[..], &[b'n'; 255]].concat(), 3)?;
        let wide = [&b"names/"[..], &[0xf0; 255]].concat();
        self.dir(&wide[..wide.len() - 1])
    }

    fn files(&mut self) -> io::Result<()> {
        for dir in [&b"empty directory"[..], b"files", b"files/more", b"files/more/even more"] {
            self.dir(dir)?;
        }
        self.file(b"files/empty", 0)?;
        for len in [1, 4095, 4096, 4097, 65_536, 300_000] {
            self.file(format!("files/of {len} bytes").as_bytes(), len)?;
        }
        for number in 0..20 {
            let dir = self.numbers.one_of(&["", "files/", "files/more/", "files/more/even more/"]);
            let len = usize::try_from(self.numbers.below(20_000)).unwrap_or_default();
            self.file(format!("{dir}{number}.bin").as_bytes(), len)?;
        }
        Ok(())
    }

    /// Directories whose path is as long as a path can be, with a file at the very end.
    fn deep_path(&mut self) -> io::Result<()> {
        let mut path = b"deep".to_vec();
        self.dir(&path)?;
        while path.len() + 2 + 200 + 2 < LONGEST_PATH_BYTES {
            path.push(b'/');
            path.extend_from_slice(&[b'd'; 200]);
            self.dir(&path)?;
        }
        let left = LONGEST_PATH_BYTES - path.len() - 1;
        path.push(b'/');
        path.extend(std::iter::repeat_n(b'f', left));
        self.file(&path, 10)
    }

    fn links(&mut self) -> io::Result<()> {
        self.dir(b"links")?;
        let long = [b'l'; 3000];
        let targets: [(&[u8], &[u8]); 6] = [
            (b"links/to a file", b"../files/empty"),
            (b"links/to a directory", b"../files"),
            (b"links/dangling", b"nowhere at all"),
            (b"links/absolute", b"/etc/hostname"),
            (b"links/not text", b"\xff\n\xfe"),
            (b"links/long", &long),
        ];
        for (path, target) in targets {
            let (parent, name) = self.parent(path)?;
            rustix::fs::symlinkat(target, parent, name)?;
            self.planted(path, FileType::Symlink);
        }
        for (from, to) in [
            ("files/of 4097 bytes", "links/second name"),
            ("files/of 4097 bytes", "files/more/third name"),
            ("names/a", "a first name"),
            ("files/empty", "links/of an empty file"),
            ("links/dangling", "links/second name of a link"),
        ] {
            let ((from_dir, from), (to_dir, to)) =
                (self.parent(from.as_bytes())?, self.parent(to.as_bytes())?);
            rustix::fs::linkat(from_dir, from, to_dir, to, AtFlags::empty())?;
        }
        Ok(())
    }

    fn sparse_files(&mut self) -> io::Result<()> {
        self.dir(b"sparse")?;
        self.open_new(b"sparse/nothing but a hole")?.set_len(1 << 20)?;
        let file = self.open_new(b"sparse/hole first")?;
        file.write_all_at(&self.numbers.bytes(5000), 1 << 20)?;
        let file = self.open_new(b"sparse/hole last")?;
        file.write_all_at(&self.numbers.bytes(5000), 0)?;
        file.set_len(32 << 20)?;
        let file = self.open_new(b"sparse/islands")?;
        file.set_len(8 << 20)?;
        for number in 0..8 {
            let at = (number << 20) + (self.numbers.below(200) << 12);
            file.write_all_at(&self.numbers.bytes(4096), at)?;
        }
        Ok(())
    }

    fn special_files(&mut self) -> io::Result<()> {
        self.dir(b"special")?;
        self.node(b"special/pipe", FileType::Fifo, (0, 0))?;
        let nodes: [(&[u8], FileType, (u32, u32)); 3] = [
            (b"special/null", FileType::CharacterDevice, (1, 3)),
            (b"special/far", FileType::CharacterDevice, (511, 70_000)),
            (b"special/loop", FileType::BlockDevice, (7, 200)),
        ];
        for (path, kind, number) in nodes {
            if self.planted.devices {
                self.node(path, kind, number)?;
            }
        }
        Ok(())
    }

    fn node(&mut self, path: &[u8], kind: FileType, (major, minor): (u32, u32)) -> io::Result<()> {
        let (parent, name) = self.parent(path)?;
        let number = rustix::fs::makedev(major, minor);
        match rustix::fs::mknodat(parent, name, kind, Mode::RUSR | Mode::WUSR, number) {
            Ok(()) => self.planted(path, kind),
            Err(Errno::PERM) if kind != FileType::Fifo => self.planted.devices = false,
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Metadata last, deepest first: a mode may close a directory, and every new name changes its time.
    fn finish(mut self) -> io::Result<Planted> {
        let mut things = std::mem::take(&mut self.things);
        self.planted.things = things.len();
        things.sort_by(|a, b| b.path.cmp(&a.path));
        for thing in &things {
            self.set_metadata(thing)?;
        }
        let root = Thing { path: b".".to_vec(), kind: FileType::Directory };
        self.set_metadata(&root)?;
        Ok(self.planted)
    }

    fn set_metadata(&mut self, thing: &Thing) -> io::Result<()> {
        let (parent, name) = self.parent(&thing.path)?;
        if self.planted.owners {
            let (uid, gid) = (
                self.numbers.one_of(&[0, 1000, 65_534]),
                self.numbers.one_of(&[0, 100, 4_000_000]),
            );
            let (uid, gid) = (Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)));
            rustix::fs::chownat(&parent, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        let mut path = format!("/proc/self/fd/{}/", parent.as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        self.set_xattrs(thing, &path)?;
        if thing.kind != FileType::Symlink {
            let mode = Mode::from_raw_mode(self.mode_for(thing.kind));
            rustix::fs::chmodat(CWD, path.as_slice(), mode, AtFlags::empty())?;
        }
        let times = Timestamps { last_access: self.time(), last_modification: self.time() };
        rustix::fs::utimensat(&parent, name, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(())
    }

    /// All of them let their owner read.
    fn mode_for(&mut self, kind: FileType) -> u32 {
        match kind {
            FileType::Directory => self.numbers.one_of(&[0o755, 0o700, 0o555, 0o1777, 0o2755]),
            FileType::RegularFile => {
                self.numbers.one_of(&[0o644, 0o600, 0o444, 0o755, 0o400, 0o4755, 0o2711, 0o6555])
            }
            _ => self.numbers.one_of(&[0o644, 0o600, 0o666]),
        }
    }

    fn set_xattrs(&mut self, thing: &Thing, path: &[u8]) -> io::Result<()> {
        // The system keeps user attributes on files and directories only.
        let takes_any = matches!(thing.kind, FileType::RegularFile | FileType::Directory);
        if !takes_any || !self.planted.xattrs || self.numbers.below(3) != 0 {
            return Ok(());
        }
        for number in 0..=self.numbers.below(3) {
            let len = usize::try_from(self.numbers.below(600)).unwrap_or_default();
            let name = format!("user.larder.{number}");
            match rustix::fs::setxattr(path, name, &self.numbers.bytes(len), XattrFlags::empty()) {
                Ok(()) => {}
                Err(Errno::OPNOTSUPP) => self.planted.xattrs = false,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// From 1901 to 2038 and to the nanosecond: what every file system keeps.
    fn time(&mut self) -> Timespec {
        let secs = i64::try_from(self.numbers.below(1 << 32)).unwrap_or_default() - (1 << 31);
        let nanos = i64::try_from(self.numbers.below(1_000_000_000)).unwrap_or_default();
        Timespec { tv_sec: secs, tv_nsec: nanos }
    }
}
