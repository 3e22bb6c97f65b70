//! Whether a process is working with a database, seen from its locks.

use std::io;
use std::os::fd::AsFd;

use rustix::process::{Flock, FlockType, fcntl_getlk};

/// The byte range in which `SQLite` keeps its locks on a database: pending, reserved, 510 shared.
const LOCK_BYTES: (u64, u64) = (0x4000_0000, 512);

/// True when another process has a lock on this database file: in WAL mode every open connection keeps one, in the other modes
/// whoever is reading or writing at this moment does.
///
/// This process must not have a connection to the file: its own locks are not seen, and go when `file` is closed.
pub fn is_in_use(file: impl AsFd) -> io::Result<bool> {
    let mut lock = Flock::from(FlockType::WriteLock);
    (lock.start, lock.length) = LOCK_BYTES;
    Ok(fcntl_getlk(file, &lock)?.is_some())
}
