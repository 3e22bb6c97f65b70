//! Opening paths strictly beneath a directory: no symbolic link is followed and no `..` is climbed.
//!
//! Both the walk of a source (whose owner may swap a directory for a link while it is read) and the restore
//! (whose paths come from a repository that may be hostile) reach files only through here.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

/// The longest name of one path component, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// The longest path relative to a root, in bytes.
pub const MAX_PATH_BYTES: usize = 4095;

/// Who walks the components of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Resolution {
    /// The kernel (`openat2`); step by step from the first time that it refuses.
    #[default]
    Kernel,
    /// This program, one `O_NOFOLLOW` open a component.
    Stepwise,
}

/// A directory and the way to open what lies beneath it.
#[derive(Debug)]
pub struct Beneath {
    dir: OwnedFd,
    stepwise: AtomicBool,
}

/// Why a path may not be used at all; `None` when it may. The empty path, the root itself, may.
pub fn path_flaw(path: &[u8]) -> Option<&'static str> {
    if path.is_empty() {
        return None;
    }
    if path.len() > MAX_PATH_BYTES {
        return Some("the path is longer than 4,095 bytes");
    }
    component_flaw(path)
}

/// The same for a path of any length: below a directory of its own, a path of the longest kind becomes a longer one.
pub fn component_flaw(path: &[u8]) -> Option<&'static str> {
    path.split(|byte| *byte == b'/').find_map(name_flaw).filter(|_| !path.is_empty())
}

/// Why a name may not be a path component; `None` when it may.
pub fn name_flaw(name: &[u8]) -> Option<&'static str> {
    match name {
        b"" => Some("the path has an empty component"),
        b"." | b".." => Some("the path has a component that is `.` or `..`"),
        _ if name.len() > MAX_NAME_BYTES => Some("the path has a component of more than 255 bytes"),
        _ if name.contains(&0) => Some("the path has a NUL byte"),
        _ if name.contains(&b'/') => Some("a name has a slash in it"),
        _ => None,
    }
}

/// The directory part and the last component of a relative path.
pub fn split_last(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (path.get(..at).unwrap_or_default(), path.get(at + 1..).unwrap_or_default()),
        None => (&[], path),
    }
}

/// True when `path` is `ancestor` or lies in it; whole components count.
pub fn is_at_or_below(path: &[u8], ancestor: &[u8]) -> bool {
    match path.strip_prefix(ancestor) {
        Some(rest) => ancestor.is_empty() || rest.is_empty() || rest.first() == Some(&b'/'),
        None => false,
    }
}

impl Beneath {
    /// Everything under this directory.
    pub fn new(dir: OwnedFd, resolution: Resolution) -> Self {
        Self { dir, stepwise: AtomicBool::new(resolution == Resolution::Stepwise) }
    }

    /// The directory itself.
    pub fn dir(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Opens a path of any length relative to the directory; the empty path opens the directory anew.
    ///
    /// A symbolic link anywhere in it is an error (`ELOOP`, or `ENOTDIR` for a parent), also as its last component
    /// unless `flags` hold `PATH`, which then opens the link itself.
    pub fn open(&self, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        if let Some(flaw) = component_flaw(path) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, flaw));
        }
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        if path.is_empty() {
            return Ok(rustix::fs::openat(&self.dir, c".", flags, mode)?);
        }
        // The system takes no longer path than this at once.
        if path.len() > MAX_PATH_BYTES || self.stepwise.load(Ordering::Relaxed) {
            return Ok(self.open_stepwise(path, flags, mode)?);
        }
        match self.open_resolved(path, flags, mode) {
            // A sandbox refuses unknown system calls with either of these; EPERM may also mean the file.
            Err(Errno::NOSYS | Errno::PERM) => {
                let opened = self.open_stepwise(path, flags, mode)?;
                self.stepwise.store(true, Ordering::Relaxed);
                Ok(opened)
            }
            // The kernel saw a rename beside its walk and cannot tell whether the path escaped.
            Err(Errno::AGAIN) => Ok(self.open_stepwise(path, flags, mode)?),
            opened => Ok(opened?),
        }
    }

    /// Opens a directory of the tree for use as the start of further operations.
    pub fn open_dir(&self, path: &[u8]) -> io::Result<OwnedFd> {
        self.open(path, OFlags::PATH | OFlags::DIRECTORY, Mode::empty())
    }

    fn open_resolved(&self, path: &[u8], flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let resolve =
            ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        rustix::fs::openat2(&self.dir, path, flags, mode, resolve)
    }

    fn open_stepwise(&self, path: &[u8], flags: OFlags, mode: Mode) -> rustix::io::Result<OwnedFd> {
        let (parents, name) = split_last(path);
        let mut here: Option<OwnedFd> = None;
        for component in parents.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            let from = here.as_ref().map_or(self.dir.as_fd(), AsFd::as_fd);
            here = Some(open_child_dir(from, component)?);
        }
        rustix::fs::openat(here.as_ref().map_or(self.dir.as_fd(), AsFd::as_fd), name, flags, mode)
    }
}

/// Opens a directory by its name in another one, never through a link.
pub fn open_child_dir(parent: BorrowedFd<'_>, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn both(dir: &std::path::Path) -> [Beneath; 2] {
        [Resolution::Kernel, Resolution::Stepwise].map(|resolution| {
            let dir = rustix::fs::open(dir, OFlags::DIRECTORY, Mode::empty()).unwrap();
            Beneath::new(dir, resolution)
        })
    }

    fn open_read(beneath: &Beneath, path: &[u8]) -> io::Result<OwnedFd> {
        beneath.open(path, OFlags::RDONLY, Mode::empty())
    }

    #[test]
    fn flawed_paths_are_named() {
        let long_name = [b'x'; 256];
        let long_path = b"abcdefg/".repeat(512);
        for bad in [
            &b"/etc"[..],
            b"a//b",
            b"a/",
            b"..",
            b"a/../b",
            b"./a",
            b"a\0b",
            &long_name,
            &long_path,
        ] {
            assert!(path_flaw(bad).is_some(), "{}", bad.escape_ascii());
        }
        for good in [&b""[..], b"a", b"a/b", b"...", b"a\nb", &long_name[..255], &long_path[..4095]]
        {
            assert_eq!(path_flaw(good), None, "{}", good.escape_ascii());
        }
    }

    #[test]
    fn links_are_followed_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(at("real/inner")).unwrap();
        std::fs::write(at("real/inner/file"), "x").unwrap();
        std::os::unix::fs::symlink("real", at("link")).unwrap();
        std::os::unix::fs::symlink("file", at("real/inner/link")).unwrap();
        for beneath in both(dir.path()) {
            assert!(open_read(&beneath, b"real/inner/file").is_ok());
            assert!(open_read(&beneath, b"").is_ok());
            for refused in ["link/inner/file", "real/inner/link", "link", "real/../real/inner/file"]
            {
                assert!(open_read(&beneath, refused.as_bytes()).is_err(), "{refused}");
            }
            assert!(beneath.open_dir(b"link").is_err());
            assert!(beneath.open_dir(b"real/inner").is_ok());
            assert!(beneath.open(b"link", OFlags::PATH, Mode::empty()).is_ok());
        }
    }

    #[test]
    fn paths_split_at_their_last_slash() {
        assert_eq!(split_last(b"a"), (&b""[..], &b"a"[..]));
        assert_eq!(split_last(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split_last(b""), (&b""[..], &b""[..]));
    }

    #[test]
    fn ancestors_are_whole_components() {
        assert!(is_at_or_below(b"a/b", b"a"));
        assert!(is_at_or_below(b"a", b"a"));
        assert!(is_at_or_below(b"a", b""));
        assert!(!is_at_or_below(b"ab", b"a"));
        assert!(!is_at_or_below(b"a", b"a/b"));
    }
}
