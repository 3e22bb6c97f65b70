//! Which entry of a snapshot a path on the command line means.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use crate::codec::manifest::{Entry, EntryKey};
use crate::error::{Error, Result};
use crate::repo::blobs::BlobRead;
use crate::repo::snapshots::Snapshot;
use crate::snapshot::manifest::read::ManifestReader;

/// The entry at a path: relative to a root of the source, or absolute as it was there. A relative path that several roots hold is an
/// error that lists them.
pub fn find_entry(blobs: &dyn BlobRead, snapshot: &Snapshot, path: &Path) -> Result<Entry> {
    let keys = possible_keys(snapshot, path)?;
    let manifest = ManifestReader::new(blobs, snapshot.record.manifest);
    let mut found = Vec::new();
    for key in keys {
        found.extend(manifest.lookup(&key)?);
    }
    match found.len() {
        0 => Err(Error::NotInSnapshot {
            path: path.display().to_string(),
            snapshot: snapshot.id.short(),
        }),
        1 => Ok(found.remove(0)),
        _ => Err(Error::Usage { what: ambiguous(snapshot, path, &found) }),
    }
}

fn ambiguous(snapshot: &Snapshot, path: &Path, found: &[Entry]) -> String {
    let places: Vec<_> = found.iter().map(|entry| absolute_text(snapshot, &entry.key)).collect();
    format!("{} is in several roots, say which: {}", path.display(), places.join(", "))
}

/// Where an entry was on the source, for people.
pub fn absolute_text(snapshot: &Snapshot, key: &EntryKey) -> String {
    String::from_utf8_lossy(&absolute_bytes(snapshot, key)).into_owned()
}

/// Where an entry was on the source.
pub fn absolute_bytes(snapshot: &Snapshot, key: &EntryKey) -> Vec<u8> {
    let root = usize::try_from(key.root).ok().and_then(|root| snapshot.record.roots.get(root));
    let root: &[u8] = root.map_or(b"", |root| &root.path);
    if key.path.is_empty() {
        return root.to_vec();
    }
    let slash: &[u8] = if root.ends_with(b"/") { b"" } else { b"/" };
    [root, slash, &key.path].concat()
}

fn possible_keys(snapshot: &Snapshot, path: &Path) -> Result<Vec<EntryKey>> {
    let roots = snapshot.record.roots.iter().zip(0_u32..);
    if path.is_absolute() {
        let below = |root: &[u8]| {
            path.strip_prefix(Path::new(OsStr::from_bytes(root))).ok().map(Path::to_path_buf)
        };
        let keys = roots.filter_map(|(root, number)| Some((number, below(&root.path)?)));
        return keys
            .map(|(root, below)| Ok(EntryKey { root, path: clean(&below)?.into() }))
            .collect();
    }
    let relative = clean(path)?;
    Ok(roots.map(|(_, root)| EntryKey { root, path: relative.clone().into() }).collect())
}

/// The path as the manifest writes it: no `.`, no doubled or trailing slashes. `..` has no meaning in a snapshot.
fn clean(path: &Path) -> Result<Vec<u8>> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => parts.push(name.as_bytes()),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                return Err(Error::Usage {
                    what: format!("{}: a path in a snapshot cannot contain `..`", path.display()),
                });
            }
        }
    }
    Ok(parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_never_climb() {
        assert_eq!(clean(Path::new("./a//b/")).unwrap(), b"a/b");
        assert_eq!(clean(Path::new(".")).unwrap(), b"");
        assert_eq!(clean(Path::new("a/../b")).unwrap_err().kind(), crate::error::ErrorKind::Usage);
    }
}
