//! What lies in a directory of a snapshot.

use std::path::Path;

use crate::codec::manifest::{Entry, EntryKind};
use crate::error::Result;
use crate::ops::paths::find_entry;
use crate::repo::blobs::BlobRead;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::manifest::read::ManifestReader;

/// How far to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// What lies directly in a directory.
    Children,
    /// Everything below it, the directory itself first.
    Everything,
}

/// Hands out the entries at a path, in order: a file itself, a directory's contents. Without a path, the contents of every root.
pub fn ls(
    blobs: &dyn BlobRead,
    snapshot: &Snapshot,
    path: Option<&Path>,
    depth: Depth,
    mut each: impl FnMut(Entry) -> Result<()>,
) -> Result<()> {
    let manifest = ManifestReader::new(blobs, snapshot.record.manifest);
    let tops = match path {
        Some(path) => vec![find_entry(blobs, snapshot, path)?],
        None => roots(&manifest, snapshot)?,
    };
    for top in tops {
        match (&top.kind, depth) {
            (EntryKind::Directory, Depth::Children) => {
                for entry in manifest.children_of(top.key)? {
                    each(entry?)?;
                }
            }
            (EntryKind::Directory, Depth::Everything) => {
                for entry in manifest.entries_within(top.key)? {
                    each(entry?)?;
                }
            }
            _ => each(top)?,
        }
    }
    Ok(())
}

fn roots(manifest: &ManifestReader<'_>, snapshot: &Snapshot) -> Result<Vec<Entry>> {
    let numbers = (0_u32..).take(snapshot.record.roots.len());
    let mut roots = Vec::new();
    for root in numbers {
        roots.extend(
            manifest.lookup(&crate::codec::manifest::EntryKey { root, path: Vec::new().into() })?,
        );
    }
    Ok(roots)
}
