//! Whether a process is working with a database, seen from its locks; and which, seen from its open files.

use std::fs::{self, DirEntry};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Flock, FlockType, fcntl_getlk};

use crate::sqlite::protocol::tame;

/// The byte range in which `SQLite` keeps its locks on a database: pending, reserved, 510 shared.
const LOCK_BYTES: (u64, u64) = (0x4000_0000, 512);

/// A process that has a file open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its number.
    pub pid: u32,
    /// The name of its program, as the system has it: at most 15 bytes. Never its arguments, which may be secret.
    pub command: String,
}

/// True when another process has a lock on this database file: in WAL mode every open connection keeps one, in the other modes
/// whoever is reading or writing at this moment does.
///
/// This process must not have a connection to the file: its own locks are not seen, and go when `file` is closed.
pub fn is_in_use(file: impl AsFd) -> io::Result<bool> {
    let mut lock = Flock::from(FlockType::WriteLock);
    (lock.start, lock.length) = LOCK_BYTES;
    Ok(fcntl_getlk(file, &lock)?.is_some())
}

/// The processes that have this file open, by number, as far as this one may see: those of other users only for root, those of
/// other containers not at all. The file is not opened. Fails when it is not there.
pub fn holders(path: &Path) -> io::Result<Vec<Holder>> {
    let file = fs::metadata(path)?;
    let file = (file.dev(), file.ino());
    let Ok(processes) = fs::read_dir("/proc") else { return Ok(Vec::new()) };
    let mut holders: Vec<Holder> =
        processes.flatten().filter_map(|process| holder(&process, file)).collect();
    holders.sort_unstable();
    Ok(holders)
}

fn holder(process: &DirEntry, file: (u64, u64)) -> Option<Holder> {
    let pid = process.file_name().to_str()?.parse().ok()?;
    let has_it = |descriptor: DirEntry| {
        fs::metadata(descriptor.path()).is_ok_and(|it| (it.dev(), it.ino()) == file)
    };
    let mut descriptors = fs::read_dir(process.path().join("fd")).ok()?.flatten();
    if !descriptors.any(has_it) {
        return None;
    }
    let command = fs::read(process.path().join("comm")).unwrap_or_default();
    Some(Holder { pid, command: tame(String::from_utf8_lossy(&command).trim_end()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn who_has_a_file_open_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        assert_eq!(holders(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, "x").unwrap();
        assert_eq!(holders(&path).unwrap(), []);
        let open = fs::File::open(&path).unwrap();
        let us = std::process::id();
        assert!(holders(&path).unwrap().iter().any(|it| it.pid == us && !it.command.is_empty()));
        // It waits for the end of what never ends, with the file as its standard error.
        let mut child = Command::new("cat").stdin(Stdio::piped()).stderr(open).spawn().unwrap();
        let found = holders(&path).unwrap();
        assert!(
            found.contains(&Holder { pid: child.id(), command: "cat".to_owned() }),
            "{found:?}"
        );
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!(holders(&path).unwrap(), []);
    }
}
