//! A small source on the real file system, and what a snapshot of it must give back.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use larder::codec::manifest::EntryKind;
use larder::error::Result;
use larder::ops::cat::cat;
use larder::ops::catalog::Catalog;
use larder::ops::ls::{Depth, ls};
use larder::repo::snapshots::Snapshot;
use larder_testkit::seed::Seeded;
use tempfile::TempDir;

/// What a path holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Held {
    Directory,
    Symlink(Vec<u8>),
    File(Vec<u8>),
}

/// Mode, seconds and nanoseconds of the last change, and content, by path.
pub(crate) type Content = BTreeMap<Vec<u8>, (u32, i64, i64, Held)>;

/// A source directory.
pub(crate) struct Tree {
    directory: TempDir,
}

impl Tree {
    /// Two text files, an image in a directory, a link, a database, an empty file.
    pub(crate) fn new() -> Self {
        let tree = Self::bare();
        tree.write("note.txt", &b"shelf 7, box 12\n".repeat(20));
        tree.write("sub/photo.bin", &Seeded::new(7).bytes(2500));
        tree.write("sub/old.txt", b"goes away");
        tree.write("empty", b"");
        symlink("note.txt", tree.path().join("link")).unwrap();
        let database = rusqlite::Connection::open(tree.path().join("parts.db")).unwrap();
        let schema = "PRAGMA page_size = 512; CREATE TABLE part (id TEXT PRIMARY KEY, n INTEGER);
                      INSERT INTO part VALUES ('a', 1), ('b', 2);";
        database.execute_batch(schema).unwrap();
        drop(database);
        tree
    }

    /// No entries but the directory itself.
    pub(crate) fn bare() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn root(&self) -> PathBuf {
        self.path().to_path_buf()
    }

    /// Writes a file, making its directories.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    pub(crate) fn remove(&self, path: &str) {
        fs::remove_file(self.path().join(path)).unwrap();
    }

    /// One file changed, one new, one gone, a row more.
    pub(crate) fn change(&self) {
        let database = rusqlite::Connection::open(self.path().join("parts.db")).unwrap();
        database.execute("INSERT INTO part VALUES ('c', 3)", []).unwrap();
        self.write("note.txt", &b"shelf 8, box 1\n".repeat(21));
        self.write("sub/new.bin", &Seeded::new(8).bytes(1200));
        self.remove("sub/old.txt");
    }

    /// What a snapshot taken now must hold.
    pub(crate) fn content(&self) -> Content {
        content_of(self.path())
    }
}

/// Everything in a directory.
pub(crate) fn content_of(root: &Path) -> Content {
    let mut content = Content::new();
    for item in walkdir::WalkDir::new(root) {
        let item = item.unwrap();
        let metadata = item.metadata().unwrap();
        let held = if metadata.is_dir() {
            Held::Directory
        } else if metadata.is_symlink() {
            Held::Symlink(fs::read_link(item.path()).unwrap().as_os_str().as_bytes().to_vec())
        } else {
            Held::File(fs::read(item.path()).unwrap())
        };
        let path = item.path().strip_prefix(root).unwrap().as_os_str().as_bytes();
        let mode = metadata.mode() & 0o7777;
        content.insert(path.to_vec(), (mode, metadata.mtime(), metadata.mtime_nsec(), held));
    }
    content
}

/// Everything that a snapshot holds, read back through the use cases.
pub(crate) fn read_back(catalog: &Catalog<'_>, snapshot: &Snapshot) -> Result<Content> {
    let reader = catalog.reader()?;
    let mut entries = Vec::new();
    let root = path_on_source(snapshot, b"");
    ls(&reader, snapshot, Some(&root), Depth::Everything, |entry| {
        entries.push(entry);
        Ok(())
    })?;
    let mut content = Content::new();
    for entry in entries {
        let held = match &entry.kind {
            EntryKind::Directory => Held::Directory,
            EntryKind::Symlink { target } => Held::Symlink(target.to_vec()),
            EntryKind::File(_) => {
                let mut bytes = Vec::new();
                let path = path_on_source(snapshot, &entry.key.path);
                cat(&reader, snapshot, &path, &std::env::temp_dir(), &mut bytes)?;
                Held::File(bytes)
            }
            other => panic!("the source has no {other:?}"),
        };
        let (secs, nanos) = (entry.mtime.secs, i64::from(entry.mtime.nanos));
        content.insert(entry.key.path.to_vec(), (entry.mode & 0o7777, secs, nanos, held));
    }
    Ok(content)
}

/// Where a path of a snapshot was, which is how it is asked for without doubt.
pub(crate) fn path_on_source(snapshot: &Snapshot, path: &[u8]) -> PathBuf {
    Path::new(OsStr::from_bytes(&snapshot.record.roots[0].path)).join(OsStr::from_bytes(path))
}
