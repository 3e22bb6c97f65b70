//! Whether a file has the hash that a row says. A hash that was seen to fit is remembered in the file's entry, so that a file that
//! does not change is hashed once.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use sha2::Digest;

use crate::codec::Extension;
use crate::codec::content::Content;
use crate::codec::manifest::{Entry, EntryKey, EntryKind, FileEntry, TAG_BLAKE3, TAG_SHA256};
use crate::codec::snapshot::FileIdentity;
use crate::repo::error::RepoError;
use crate::snapshot::archive::Parent;
use crate::snapshot::archive::references::{identity_of, identity_on_disk};
use crate::snapshot::content::read::{chunks, read_chunk};
use crate::snapshot::manifest::read::ManifestReader;
use crate::snapshot::source::metadata::Stat;
use crate::snapshot::source::walk::Source;

const BUFFER_BYTES: usize = 1 << 20;

/// Hashes that were computed in this run.
#[derive(Debug, Default)]
pub(in crate::snapshot::archive) struct Hashes {
    computed: BTreeMap<EntryKey, Computed>,
}

#[derive(Debug, Clone, Copy)]
struct Computed {
    of: FileIdentity,
    blake3: [u8; 32],
    sha256: [u8; 32],
}

/// Whether bytes have a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::snapshot::archive) enum Fit {
    Fits,
    Differs,
    /// The bytes cannot be had any more.
    Unknown,
}

impl Hashes {
    /// Compares an entry of a file with a hash; reads the file when that was not done before.
    pub(in crate::snapshot::archive) fn compare(
        &mut self,
        (source, parent): (&Source, Option<Parent<'_>>),
        entry: &Entry,
        hash: &[u8; 32],
    ) -> Result<Fit, RepoError> {
        if remembers(entry, hash) {
            return Ok(Fit::Fits);
        }
        let Some(of) = identity_of(entry) else { return Ok(Fit::Unknown) };
        if self.known(&entry.key, &of).is_none() {
            let computed = match from_source(source, &entry.key, of) {
                Some(computed) => Some(computed),
                None => parent.map_or(Ok(None), |parent| from_parent(parent, entry, of))?,
            };
            let Some(computed) = computed else { return Ok(Fit::Unknown) };
            self.computed.insert(entry.key.clone(), computed);
        }
        let fits = self.known(&entry.key, &of).is_some_and(|known| known.tag_of(hash).is_some());
        Ok(if fits { Fit::Fits } else { Fit::Differs })
    }

    /// True when an entry has this hash by what is known already; remembers it in the entry.
    pub(in crate::snapshot::archive) fn confirm(&self, entry: &mut Entry, hash: &[u8; 32]) -> bool {
        if remembers(entry, hash) {
            return true;
        }
        let of = identity_of(entry);
        let tag = of.and_then(|of| self.known(&entry.key, &of)?.tag_of(hash));
        if let Some(tag) = tag {
            entry.extensions.retain(|extension| extension.tag != tag);
            entry.extensions.push(Extension { tag, bytes: hash.as_slice().into() });
            entry.extensions.sort_by_key(|extension| extension.tag);
        }
        tag.is_some()
    }

    fn known(&self, key: &EntryKey, of: &FileIdentity) -> Option<&Computed> {
        self.computed.get(key).filter(|computed| computed.of == *of)
    }
}

impl Computed {
    /// The tag of the algorithm by which the bytes have this hash.
    fn tag_of(&self, hash: &[u8; 32]) -> Option<u32> {
        if self.blake3 == *hash {
            Some(TAG_BLAKE3)
        } else {
            (self.sha256 == *hash).then_some(TAG_SHA256)
        }
    }
}

fn remembers(entry: &Entry, hash: &[u8; 32]) -> bool {
    let mut extensions = entry.extensions.iter();
    extensions.any(|it| [TAG_BLAKE3, TAG_SHA256].contains(&it.tag) && *it.bytes == hash[..])
}

/// Both hashes of a stream of bytes.
#[derive(Default)]
struct Both {
    blake3: blake3::Hasher,
    sha256: sha2::Sha256,
    len: u64,
}

impl Both {
    fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        self.sha256.update(bytes);
        self.len = self.len.saturating_add(bytes.len() as u64);
    }

    fn finish(self, of: FileIdentity) -> Option<Computed> {
        let (blake3, sha256) = (*self.blake3.finalize().as_bytes(), self.sha256.finalize().into());
        (self.len == of.size).then_some(Computed { of, blake3, sha256 })
    }
}

/// Of the file as it is on disk, if that is the state that was saved, before and after the reading.
fn from_source(source: &Source, key: &EntryKey, of: FileIdentity) -> Option<Computed> {
    let (file, stat) = source.open_regular(&key.path).ok()?;
    if identity_on_disk(&stat) != of {
        return None;
    }
    let both = read_all(&file).ok()?;
    let after = Stat::of_fd(&file).ok()?;
    // Its name may have gone meanwhile, and with that the change time: the bytes are those still.
    let same = FileIdentity { ctime: of.ctime, ..identity_on_disk(&after) } == of;
    both.finish(of).filter(|_| same && (after.links == 0 || after.ctime == of.ctime))
}

fn read_all(file: &OwnedFd) -> rustix::io::Result<Both> {
    let (mut both, mut buffer) = (Both::default(), vec![0; BUFFER_BYTES]);
    loop {
        let len = rustix::io::retry_on_intr(|| rustix::io::pread(file, &mut *buffer, both.len))?;
        if len == 0 {
            return Ok(both);
        }
        both.update(buffer.get(..len).unwrap_or_default());
    }
}

/// Of a file that went after it was taken over from the parent. What this run has stored itself cannot be read back yet.
fn from_parent(
    parent: Parent<'_>,
    entry: &Entry,
    of: FileIdentity,
) -> Result<Option<Computed>, RepoError> {
    match same_as_parent(parent, entry) {
        Ok(Some(file)) => match read_back(parent, &file) {
            Ok(both) => Ok(both.finish(of)),
            Err(error) if error.damage().is_some() => Ok(None),
            Err(error) => Err(error),
        },
        Ok(None) => Ok(None),
        Err(error) if error.damage().is_some() => Ok(None),
        Err(error) => Err(error),
    }
}

fn same_as_parent(parent: Parent<'_>, entry: &Entry) -> Result<Option<FileEntry>, RepoError> {
    let before = ManifestReader::new(parent.blobs, parent.manifest).lookup(&entry.key)?;
    Ok(match (&entry.kind, before.map(|before| before.kind)) {
        (EntryKind::File(now), Some(EntryKind::File(before)))
            // A version is no list of chunks: it is not read back for a hash.
            if !matches!(now.content, Content::Version { .. })
                && now.content == before.content
                && before.sparse.is_none() && now.sparse.is_none() =>
        {
            Some(before)
        }
        _ => None,
    })
}

fn read_back(parent: Parent<'_>, file: &FileEntry) -> Result<Both, RepoError> {
    let mut both = Both::default();
    for placed in chunks(&file.content, parent.blobs) {
        both.update(&read_chunk(parent.blobs, &placed?.chunk)?);
    }
    Ok(both)
}
