//! Which files of a source are databases, and which belong to one.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::sqlite::header::{has_magic, is_live_journal, is_log_index, is_wal};

/// What `SQLite` appends to a database's name for the files beside it.
pub const SIDE_SUFFIXES: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Why a file counts as a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recognised {
    /// It begins as databases do.
    ByMagic,
    /// It does not (it is sealed, or empty), but a log or a live journal stands beside it.
    BySideFiles,
}

/// Whether the files beside a candidate have content of their kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SideFiles {
    /// A write-ahead log with a header.
    pub wal: bool,
    /// A rollback journal that may have to be played back.
    pub journal: bool,
}

impl SideFiles {
    /// Looks beside `main`. What is absent, unreadable or not a regular file counts as not there.
    pub fn beside(main: &Path) -> Self {
        let starts = |suffix, is: fn(&[u8]) -> bool| {
            read_head::<8>(&side_file(main, suffix)).is_ok_and(|head| is(&head))
        };
        Self { wal: starts("-wal", is_wal), journal: starts("-journal", is_live_journal) }
    }
}

/// Judges a regular file by its first bytes and by what stands beside it.
pub fn recognise(head: &[u8], beside: SideFiles) -> Option<Recognised> {
    if has_magic(head) {
        return Some(Recognised::ByMagic);
    }
    (beside.wal || beside.journal).then_some(Recognised::BySideFiles)
}

/// Judges a regular file at `path` by its first bytes, and only without the magic by what stands beside it.
pub fn recognise_at(head: &[u8], path: &Path) -> Option<Recognised> {
    if has_magic(head) {
        return Some(Recognised::ByMagic);
    }
    recognise(head, SideFiles::beside(path))
}

/// How much of a side file tells what it is, in bytes: as much as a journal that is done with has of zeros.
pub const SIDE_HEAD_BYTES: usize = 28;

/// True when a file of this name beside a database, with these first [`SIDE_HEAD_BYTES`], is what `SQLite` keeps there or has
/// done with. Anybody may give a file such a name.
pub fn is_side_file(name: &OsStr, head: &[u8]) -> bool {
    let own = match SIDE_SUFFIXES.iter().position(|it| name.as_bytes().ends_with(it.as_bytes())) {
        Some(0) => is_wal(head),
        Some(1) => is_log_index(head),
        Some(2) => is_live_journal(head),
        _ => return false,
    };
    own || head.iter().all(|byte| *byte == 0)
}

/// The name of the database that a file with this name would belong to: `a.db` for `a.db-wal`.
///
/// Such a file is left out of a snapshot only when that database was captured and its bytes are complete without it.
pub fn side_file_of(name: &OsStr) -> Option<&OsStr> {
    let bytes = name.as_bytes();
    let main = SIDE_SUFFIXES.iter().find_map(|suffix| bytes.strip_suffix(suffix.as_bytes()))?;
    (!main.is_empty()).then(|| OsStr::from_bytes(main))
}

/// The path of a database's side file.
pub(super) fn side_file(main: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(main);
    name.push(suffix);
    name.into()
}

/// Opens a file of the source for reading: no symbolic link, and no waiting at a FIFO that took its place.
pub(super) fn open_regular(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
    }
}

/// The first bytes of a file, at most `N`.
pub(super) fn read_head<const N: usize>(path: &Path) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(N);
    open_regular(path)?.take(N as u64).read_to_end(&mut head)?;
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    const WAL_HEAD: [u8; 4] = [0x37, 0x7f, 0x06, 0x83];

    #[test]
    fn magic_comes_first_then_side_files() {
        let wal = SideFiles { wal: true, journal: false };
        let journal = SideFiles { wal: false, journal: true };
        let magic = b"SQLite format 3\0 and more";
        assert_eq!(recognise(magic, SideFiles::default()), Some(Recognised::ByMagic));
        assert_eq!(recognise(magic, wal), Some(Recognised::ByMagic));
        assert_eq!(recognise(b"", wal), Some(Recognised::BySideFiles));
        assert_eq!(recognise(b"sealed", journal), Some(Recognised::BySideFiles));
        assert_eq!(recognise(b"", SideFiles::default()), None);
        assert_eq!(recognise(b"SQLite format 2\0", SideFiles::default()), None);
    }

    #[test]
    fn names_of_side_files_lead_to_their_database() {
        let of = |name: &'static str| side_file_of(OsStr::new(name)).and_then(OsStr::to_str);
        assert_eq!(of("a.db-wal"), Some("a.db"));
        assert_eq!(of("a.db-shm"), Some("a.db"));
        assert_eq!(of("a-wal-journal"), Some("a-wal"));
        for other in ["-wal", "a.db", "a.db-wal2", "a.db-WAL", ""] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(side_file_of(OsStr::from_bytes(b"\xff-shm")), Some(OsStr::from_bytes(b"\xff")));
    }

    #[test]
    fn a_name_makes_no_side_file() {
        let is = |name: &str, head: &[u8]| is_side_file(OsStr::new(name), head);
        for name in ["a-wal", "a-shm", "a-journal"] {
            assert!(is(name, b"") && is(name, &[0; 28]), "{name}");
            for other in [b"notes".as_slice(), b"SQLite format 3\0", b"\0\0\0x"] {
                assert!(!is(name, other), "{name} {other:?}");
            }
        }
        assert!(is("a-wal", &WAL_HEAD) && !is("a-shm", &WAL_HEAD) && !is("a-journal", &WAL_HEAD));
        let index = 3_007_000_u32.to_le_bytes();
        assert!(is("a-shm", &index) && is("a-shm", &index[..3]) && !is("a-wal", &index));
        assert!(!is("a", b""));
    }

    #[test]
    fn only_content_of_the_right_kind_counts() {
        let dir = tempfile::tempdir().unwrap();
        let main = dir.path().join("m");
        assert_eq!(SideFiles::beside(&main), SideFiles::default());
        std::fs::write(dir.path().join("m-wal"), b"notes about a wal").unwrap();
        std::fs::write(dir.path().join("m-journal"), [0; 512]).unwrap();
        assert_eq!(SideFiles::beside(&main), SideFiles::default());
        std::fs::write(dir.path().join("m-wal"), WAL_HEAD).unwrap();
        assert_eq!(SideFiles::beside(&main), SideFiles { wal: true, journal: false });
        std::fs::remove_file(dir.path().join("m-wal")).unwrap();
        std::os::unix::fs::symlink("m-journal", dir.path().join("m-wal")).unwrap();
        assert!(!SideFiles::beside(&main).wal);
    }
}
