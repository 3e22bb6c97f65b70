//! Getting a snapshot back, whole or in part.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::codec::content::Content;
use crate::codec::manifest::{Entry, EntryKey, EntryKind, Origin};
use crate::error::{Error, Result};
use crate::observe::{Observer, Total};
use crate::ops::paths::{absolute_bytes, find_entry};
use crate::repo::blobs::BlobRead;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::beneath::{Resolution, split_last};
use crate::snapshot::content::read::chunks;
use crate::snapshot::manifest::read::ManifestReader;
use crate::snapshot::restore::contents::Chunked;
use crate::snapshot::restore::error::RestoreError;
use crate::snapshot::restore::plan::Placement;
use crate::snapshot::restore::report::RestoreReport;
use crate::snapshot::restore::run::{
    BATCH_ENTRIES, NamedPathRestore, RestoreOptions, restore_path, restore_tree, sync_file_system,
};

/// What to get back, and where to.
#[derive(Debug, Clone)]
pub struct RestoreRequest {
    /// Paths in the snapshot; none for all of it.
    pub paths: Vec<PathBuf>,
    /// The directory that stands for the root of the source. Without one, a whole snapshot goes to `<source>-<id>` in the current
    /// directory, and a path to its last name there.
    pub target: Option<PathBuf>,
    /// What is in the way of a named path may be moved aside.
    pub overwrite: bool,
    /// The time as text that fits into a file name, for what is moved aside.
    pub time: String,
    /// Threads that write files.
    pub threads: usize,
}

/// One thing that was restored.
#[derive(Debug)]
pub struct Restored {
    /// The path in the snapshot; empty for all of it.
    pub path: PathBuf,
    /// Where it is now.
    pub to: PathBuf,
    /// How it went.
    pub report: RestoreReport,
}

/// Restores what is asked for. Damage and refusals of single entries are in the reports; what they concern is not there under its name.
pub fn restore(
    blobs: &dyn BlobRead,
    snapshot: &Snapshot,
    request: &RestoreRequest,
    observer: &dyn Observer,
) -> Result<Vec<Restored>> {
    let restore = Restore { blobs, snapshot, request, observer };
    if request.paths.is_empty() {
        return Ok(vec![restore.everything()?]);
    }
    // All of them are looked up before the first is touched: a typing error restores nothing.
    let found: Vec<_> = request
        .paths
        .iter()
        .map(|path| find_entry(blobs, snapshot, path))
        .collect::<Result<_>>()?;
    found.iter().zip(&request.paths).map(|(entry, path)| restore.named(entry, path)).collect()
}

struct Restore<'a> {
    blobs: &'a dyn BlobRead,
    snapshot: &'a Snapshot,
    request: &'a RestoreRequest,
    observer: &'a dyn Observer,
}

impl Restore<'_> {
    fn everything(&self) -> Result<Restored> {
        let record = &self.snapshot.record;
        let default = || PathBuf::from(format!("{}-{}", record.source, self.snapshot.id.short()));
        let to = self.request.target.clone().unwrap_or_else(default);
        if self.request.target.is_none() && to.symlink_metadata().is_ok() {
            return Err(RestoreError::Exists { path: to }.into());
        }
        let total =
            Total { items: record.counts.files, bytes: record.counts.bytes, estimated: false };
        let contents = Chunked::new(self.blobs, |content: &Content| {
            chunks(content, self.blobs).map(|placed| Ok(placed?.chunk))
        });
        let entries = self.manifest().entries()?;
        let report =
            restore_tree(entries, &self.placements(), &to, &contents, self.options(Some(total)))?;
        Ok(Restored { path: PathBuf::new(), to, report })
    }

    /// One root goes directly into the target, several under the paths that they had.
    fn placements(&self) -> Vec<Placement> {
        let roots = self.snapshot.record.roots.iter().zip(0_u32..);
        if self.snapshot.record.roots.len() == 1 {
            return vec![Placement::whole_root(0)];
        }
        let under = |path: &[u8]| path.strip_prefix(b"/").unwrap_or(path).to_vec();
        roots
            .map(|(root, number)| Placement {
                root: number,
                from: Vec::new(),
                to: under(&root.path),
            })
            .collect()
    }

    fn named(&self, entry: &Entry, path: &Path) -> Result<Restored> {
        let place = self.place(&entry.key, path)?;
        let contents = Chunked::new(self.blobs, |content: &Content| {
            chunks(content, self.blobs).map(|placed| Ok(placed?.chunk))
        });
        let named = NamedPathRestore {
            root: entry.key.root,
            from: &entry.key.path,
            target: &place.target,
            at: &place.at,
            database: is_database(entry),
            overwrite: self.request.overwrite,
            time: &self.request.time,
        };
        let entries = self.manifest().entries_within(entry.key.clone())?;
        let report = restore_path(entries, &named, &contents, self.options(total_of(entry)))?;
        let to = place.target.join(Path::new(std::ffi::OsStr::from_bytes(&place.at)));
        Ok(Restored { path: path.to_path_buf(), to, report })
    }

    fn place(&self, key: &EntryKey, path: &Path) -> Result<Place> {
        if let Some(target) = &self.request.target {
            if key.path.is_empty() {
                let path = path.display().to_string();
                let what = "is all of the source: name no path to restore it".into();
                return Err(Error::UnfitPath { path, what });
            }
            return Ok(Place { target: target.clone(), at: key.path.to_vec() });
        }
        let absolute = absolute_bytes(self.snapshot, key);
        let (_, name) = split_last(&absolute);
        Ok(Place { target: PathBuf::from("."), at: name.to_vec() })
    }

    fn manifest(&self) -> ManifestReader<'_> {
        ManifestReader::new(self.blobs, self.snapshot.record.manifest)
    }

    fn options(&self, total: Option<Total>) -> RestoreOptions<'_> {
        RestoreOptions {
            threads: self.request.threads.max(1),
            resolution: Resolution::default(),
            observer: self.observer,
            total,
            batch_entries: BATCH_ENTRIES,
            sync: sync_file_system,
        }
    }
}

fn is_database(entry: &Entry) -> bool {
    matches!(&entry.kind, EntryKind::File(file) if file.origin == Origin::Database)
}

/// What there is to do for one file. How much a directory holds is known only when all of it was read.
fn total_of(entry: &Entry) -> Option<Total> {
    match &entry.kind {
        EntryKind::File(file) => Some(Total { items: 1, bytes: file.size, estimated: false }),
        _ => None,
    }
}

/// A place under a directory.
struct Place {
    target: PathBuf,
    at: Vec<u8>,
}
