//! From a tree to entries and back, and what hostile entries cannot do.

mod hostile;
mod named;
mod whole;

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::codec::content::{ChunkRef, Content};
use larder::codec::index::Place;
use larder::codec::manifest::{Entry, EntryKind};
use larder::codec::pack::Encoding;
use larder::id::{BlobId, BlobType, HashKeys, PackId, RepositoryId};
use larder::observe::{Observer, Phase, Total, Unobserved, Warning};
use larder::repo::blobs::BlobRead;
use larder::repo::error::{Damage, RepoError};
use larder::snapshot::beneath::Resolution;
use larder::snapshot::restore::contents::{Chunked, FileContents};
use larder::snapshot::restore::error::RestoreError;
use larder::snapshot::restore::plan::Placement;
use larder::snapshot::restore::report::{Remarks, RestoreReport};
use larder::snapshot::restore::run::{
    BATCH_ENTRIES, RestoreOptions, restore_tree, sync_file_system,
};
use larder::snapshot::source::exclude::Excludes;
use larder::snapshot::source::metadata::ItemKind;
use larder::snapshot::source::read::{ATTEMPTS, ReadPolicy};
use larder::snapshot::source::unchanged::HardLinks;
use larder::snapshot::source::walk::{Event, Source, WalkOptions};

const CHUNK_BYTES: usize = 50_000;

/// Blobs in memory, in packs of a few, in no order that a walk would have.
#[derive(Default)]
struct Blobs {
    by_id: Mutex<HashMap<BlobId, Vec<u8>>>,
    lost: Mutex<HashSet<BlobId>>,
    reads: Mutex<Vec<(PackId, u64)>>,
}

impl Blobs {
    fn put(&self, plain: &[u8]) -> ChunkRef {
        let keys = HashKeys::of_repository(&RepositoryId::from_bytes([3; 32]));
        let id = keys.blob_id(BlobType::Data, plain);
        self.by_id.lock().unwrap().insert(id, plain.to_vec());
        ChunkRef { id, len: plain.len() as u64 }
    }

    fn content(&self, plain: &[u8]) -> Content {
        Content::Inline(plain.chunks(CHUNK_BYTES).map(|chunk| self.put(chunk)).collect())
    }

    fn lose(&self, id: BlobId) {
        self.lost.lock().unwrap().insert(id);
    }

    fn contents(&self) -> impl FileContents + '_ {
        Chunked::new(self, |content: &Content| match content {
            Content::Inline(chunks) => chunks.clone().into_iter().map(Ok),
            Content::List { .. } | Content::Version { .. } => unreachable!("these tests make none"),
        })
    }
}

impl BlobRead for Blobs {
    fn get(&self, blob_type: BlobType, id: &BlobId) -> Result<Vec<u8>, RepoError> {
        let known = self.by_id.lock().unwrap().get(id).cloned();
        let sound = known.filter(|_| !self.lost.lock().unwrap().contains(id));
        let place = self.place(blob_type, id)?.unwrap();
        self.reads.lock().unwrap().push((place.pack, place.offset));
        sound.ok_or(RepoError::Damaged(Damage::Unlisted { blob_type, id: *id }))
    }

    fn place(&self, blob_type: BlobType, id: &BlobId) -> Result<Option<Place>, RepoError> {
        let bytes = id.as_bytes();
        Ok(Some(Place {
            pack: PackId::from_bytes([bytes[0] % 4; 32]),
            offset: u64::from(bytes[1]) << 8 | u64::from(bytes[2]),
            stored_len: 0,
            plain_len: 0,
            blob_type,
            encoding: Encoding::Raw,
        }))
    }
}

/// What an archive does, without a repository.
fn archive(root: &Path, blobs: &Blobs) -> Vec<Entry> {
    let source = Source::open(0, root, Resolution::Kernel).unwrap();
    let excludes = Excludes::default();
    let options = WalkOptions {
        excludes: &excludes,
        exclude_caches: false,
        same_file_system: false,
        never_enter: &[],
    };
    let mut links = HardLinks::default();
    let entries = source.walk(options).unwrap().map(|event| {
        let Event::Item(item) = event.unwrap() else { panic!("not clean") };
        if item.stat.kind != ItemKind::File {
            return source.describe(&item).unwrap().entry;
        }
        if let Some(file) = links.earlier(&item.stat) {
            return source.describe_file(&item, file).unwrap().entry;
        }
        let policy = ReadPolicy { attempts: ATTEMPTS, now_ns: &|| 0 };
        let read = source.read_file(&item.key.path, policy, |bytes| {
            let mut all = Vec::new();
            bytes.read_to_end(&mut all)?;
            Ok::<_, std::io::Error>(blobs.content(&all))
        });
        let described = read.unwrap().unwrap().describe(&item, |content| content);
        if let EntryKind::File(file) = &described.entry.kind {
            links.remember(&item.stat, file.clone());
        }
        described.entry
    });
    entries.collect()
}

/// The usual way.
const USUAL: RestoreOptions<'static> = RestoreOptions {
    threads: 3,
    batch_entries: BATCH_ENTRIES,
    resolution: Resolution::Kernel,
    observer: &Unobserved,
    total: None,
    sync: sync_file_system,
};

/// By both resolutions; all at once, and one entry after the other, so that what an entry makes is there for the next.
fn every_way() -> impl Iterator<Item = RestoreOptions<'static>> {
    [Resolution::Kernel, Resolution::Stepwise].into_iter().flat_map(|resolution| {
        [1, BATCH_ENTRIES].map(|batch_entries| RestoreOptions {
            batch_entries,
            resolution,
            ..USUAL
        })
    })
}

fn whole() -> [Placement; 1] {
    [Placement::whole_root(0)]
}

fn restore(
    entries: &[Entry],
    blobs: &Blobs,
    target: &Path,
    options: RestoreOptions<'_>,
) -> Result<RestoreReport, RestoreError> {
    let entries = entries.iter().cloned().map(Ok);
    restore_tree(entries, &whole(), target, &blobs.contents(), options)
}

fn texts(remarks: &Remarks) -> Vec<String> {
    let text = |path: &[u8], message: &str| format!("{}: {message}", path.escape_ascii());
    remarks.listed().iter().map(|remark| text(&remark.path, &remark.message)).collect()
}

fn assert_clean(report: &RestoreReport) {
    assert!(report.is_complete(), "{:?} {:?}", report.damaged, report.refused);
    assert!(report.notes.is_empty(), "{:?}", texts(&report.notes));
}

/// A directory with a source and room for a target beside it.
struct Yard(tempfile::TempDir);

impl Yard {
    fn new() -> Self {
        let yard = Self(tempfile::tempdir().unwrap());
        fs::create_dir(yard.source()).unwrap();
        yard
    }

    fn source(&self) -> PathBuf {
        self.0.path().join("source")
    }

    fn target(&self) -> PathBuf {
        self.0.path().join("target")
    }

    fn write(&self, path: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.source().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }
}

/// Counts, and asks to stop after so many bytes.
struct Counting {
    items: AtomicU64,
    bytes: AtomicU64,
    stop_after: u64,
}

impl Counting {
    fn until(stop_after: u64) -> Self {
        Self { items: AtomicU64::new(0), bytes: AtomicU64::new(0), stop_after }
    }
}

impl Observer for Counting {
    fn begin(&self, phase: Phase, _: Option<Total>) {
        assert_eq!(phase, Phase::Restore);
    }

    fn advance(&self, items: u64, bytes: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn warn(&self, warning: Warning) {
        panic!("{warning}");
    }

    fn cancelled(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) >= self.stop_after
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
