//! What lies in the directory: every file with its size, and which of them are databases.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::observe::Observer;
use crate::snapshot::beneath::{Resolution, split_last};
use crate::snapshot::source::error::Problem;
use crate::snapshot::source::exclude::Excludes;
use crate::snapshot::source::metadata::ItemKind;
use crate::snapshot::source::walk::{Event, Source, WalkOptions};
use crate::sqlite::header::HEADER_BYTES;
use crate::sqlite::recognise::{recognise_at, side_file_of};

/// So many unreadable things are named.
const NAMED_PROBLEMS: usize = 100;

/// The files of a directory, by path relative to it.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// Files that are neither databases nor beside one, with their bytes.
    pub(super) files: BTreeMap<Vec<u8>, u64>,
    /// Databases.
    pub(super) databases: BTreeMap<Vec<u8>, u64>,
    /// What cannot be read.
    pub(super) unreadable: Vec<(Vec<u8>, String)>,
    pub(super) all_files: u64,
    pub(super) all_bytes: u64,
}

impl Tree {
    /// Walks the directory as a backup does.
    pub(super) fn walk(
        dir: &Path,
        never_enter: &[(u64, u64)],
        observer: &dyn Observer,
    ) -> Result<Self> {
        let source = Source::open(0, dir, Resolution::default())?;
        let excludes = Excludes::new(&[], dir)?;
        let options = WalkOptions {
            excludes: &excludes,
            exclude_caches: false,
            same_file_system: false,
            never_enter,
        };
        let mut tree = Self::default();
        for event in source.walk(options)? {
            if observer.cancelled() {
                return Err(Error::Interrupted);
            }
            match event? {
                Event::Item(item) if item.stat.kind == ItemKind::File => {
                    tree.file(&source, &item.key.path, item.stat.size);
                    observer.advance(1, item.stat.size);
                }
                Event::Problem { key, problem } if !problem.is_ordinary() => {
                    tree.problem(&key.path, &problem);
                }
                _ => {}
            }
        }
        source.still_there()?;
        tree.leave_out_side_files();
        Ok(tree)
    }

    fn file(&mut self, source: &Source, path: &[u8], len: u64) {
        self.all_files += 1;
        self.all_bytes = self.all_bytes.saturating_add(len);
        let mut head = [0; HEADER_BYTES];
        let read = source.open_regular(path).and_then(|(file, _)| {
            rustix::io::pread(&file, &mut head, 0).map_err(|error| Problem::from_io(error.into()))
        });
        match read {
            Ok(read) => {
                let head = head.get(..read).unwrap_or_default();
                let full = below(source.path(), path);
                let list = match recognise_at(head, &full) {
                    Some(_) => &mut self.databases,
                    None => &mut self.files,
                };
                list.insert(path.to_vec(), len);
            }
            Err(problem) if problem.is_ordinary() => {}
            Err(problem) => {
                self.problem(path, &problem);
                self.files.insert(path.to_vec(), len);
            }
        }
    }

    fn problem(&mut self, path: &[u8], problem: &Problem) {
        if self.unreadable.len() < NAMED_PROBLEMS {
            self.unreadable.push((path.to_vec(), problem.to_string()));
        }
    }

    /// What `SQLite` keeps beside a database is part of that.
    fn leave_out_side_files(&mut self) {
        let databases = &self.databases;
        self.files.retain(|path, _| {
            let (parent, name) = split_last(path);
            let main = side_file_of(OsStr::from_bytes(name)).map(OsStrExt::as_bytes);
            main.is_none_or(|main| !databases.contains_key(&join(parent, main)))
        });
    }
}

/// A path below another.
pub(super) fn join(dir: &[u8], name: &[u8]) -> Vec<u8> {
    match (dir, name) {
        (b"", path) | (path, b"") => path.to_vec(),
        (dir, name) => [dir, b"/", name].concat(),
    }
}

/// A path of the tree on disk.
pub(super) fn below(dir: &Path, path: &[u8]) -> PathBuf {
    if path.is_empty() { dir.to_owned() } else { dir.join(OsStr::from_bytes(path)) }
}
