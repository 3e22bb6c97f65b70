//! Whether a database is still what it was, without reading it.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::codec::ByteString;
use crate::codec::manifest::FileTime;
use crate::codec::snapshot::{DatabaseIdentity, FileIdentity};
use crate::sqlite::recognise::{read_head, side_file};

/// File systems stamp a change with a time this coarse, in the worst case (FAT).
const COARSEST_STAMP_NS: i128 = 2_000_000_000;

/// Looks at a database and its side files as they are on disk now.
///
/// The log counts as much as the database: a commit changes the log alone, and the salts in its header change when
/// it starts over at the same length.
pub fn observe(path: &Path) -> io::Result<DatabaseIdentity> {
    let wal_path = side_file(path, "-wal");
    Ok(DatabaseIdentity {
        main: of(&fs::symlink_metadata(path)?),
        wal: present(&wal_path)?.map(of_log),
        wal_header: ByteString::from(read_head::<32>(&wal_path).unwrap_or_default()),
        journal: present(&side_file(path, "-journal"))?,
    })
}

/// True when every change of these files is older than any stamp could be coarse: a later change would show.
pub fn settled_before(identity: &DatabaseIdentity, now_ns: i64) -> bool {
    let newest = [Some(identity.main), identity.wal, identity.journal]
        .into_iter()
        .flatten()
        .flat_map(|file| [nanoseconds(file.mtime), nanoseconds(file.ctime)])
        .max();
    newest.is_some_and(|newest| newest + COARSEST_STAMP_NS <= i128::from(now_ns))
}

/// The most bytes that a database can come to: every frame of its log may be a new page.
pub fn bytes_of(identity: &DatabaseIdentity) -> u64 {
    [Some(identity.main), identity.wal, identity.journal]
        .into_iter()
        .flatten()
        .fold(0, |sum, file| sum.saturating_add(file.size))
}

/// The identity of a file with this metadata.
pub(super) fn of(metadata: &Metadata) -> FileIdentity {
    FileIdentity {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        mtime: time(metadata.mtime(), metadata.mtime_nsec()),
        ctime: time(metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// A log's change time says nothing: run by root, `SQLite` gives the log to the database's owner at every opening, and
/// with that a new change time. Commits still show in its modification time.
fn of_log(log: FileIdentity) -> FileIdentity {
    FileIdentity { ctime: log.mtime, ..log }
}

fn present(path: &Path) -> io::Result<Option<FileIdentity>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(of(&metadata))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn time(secs: i64, nanos: i64) -> FileTime {
    FileTime { secs, nanos: u32::try_from(nanos).unwrap_or_default() }
}

fn nanoseconds(time: FileTime) -> i128 {
    i128::from(time.secs) * 1_000_000_000 + i128::from(time.nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_database_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.db");
        fs::write(&path, "main").unwrap();
        let alone = observe(&path).unwrap();
        assert_eq!((alone.main.size, alone.wal, alone.journal), (4, None, None));
        fs::write(dir.path().join("a.db-wal"), [1; 40]).unwrap();
        let logged = observe(&path).unwrap();
        assert_eq!(&*logged.wal_header, &[1; 32]);
        fs::write(dir.path().join("a.db-journal"), "j").unwrap();
        let journaled = observe(&path).unwrap();
        assert_eq!(journaled.journal.map(|file| file.size), Some(1));
        assert!(alone != logged && logged != journaled);
        fs::remove_file(&path).unwrap();
        assert_eq!(observe(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_fresh_change_is_not_settled() {
        let stamp = |secs| FileTime { secs, nanos: 5 };
        let file = |ctime| FileIdentity {
            device: 1,
            inode: 2,
            size: 3,
            mtime: stamp(10),
            ctime: stamp(ctime),
        };
        let identity = DatabaseIdentity {
            main: file(10),
            wal: Some(file(20)),
            wal_header: ByteString::default(),
            journal: None,
        };
        assert!(!settled_before(&identity, 22_000_000_004));
        assert!(settled_before(&identity, 22_000_000_005));
    }
}
