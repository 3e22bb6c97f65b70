//! What forgetting a snapshot and pruning costs.
//!
//! `... --bench prune -- REPO [SNAPSHOT]` forgets one snapshot of a repository, the middle one of its newest source if none is named,
//! and prunes: on copies whose objects are hard links, so that the repository itself stays. `... -- synthetic [PLACES]` marks and
//! settles an index of so many live blobs, in eight segments.

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::BTreeSet;
use std::error::Error;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use larder::codec::index::{Place, SegmentBuilder};
use larder::codec::pack::Encoding;
use larder::id::{BlobId, BlobType, PackId, SnapshotId};
use larder::observe::Unobserved;
use larder::ops::catalog::Catalog;
use larder::ops::open::open_local;
use larder::ops::prune::{outlook, prune};
use larder::repo::backend::memory::MemoryBackend;
use larder::repo::forget::forget;
use larder::repo::index::Index;
use larder::repo::layout;
use larder::repo::prune::live::{Live as _, LiveSet, Packs};
use larder::repo::prune::{PruneOptions, PruneReport};
use larder::repo::repository::{InitOptions, Repository};
use larder_benches::host::BenchHost;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Copies of a repository that are measured.
const ROUNDS: usize = 7;

/// Segments of the synthetic index: as many as a repository is kept at.
const SEGMENTS: u64 = 8;

/// Blobs in a pack of the synthetic index.
const OF_A_PACK: u64 = 1000;

/// The system's allocator, and how much is asked of it at most.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static HIGHEST: AtomicUsize = AtomicUsize::new(0);

#[expect(unsafe_code, reason = "an allocator is made of unsafe functions; these only count")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        HIGHEST.fetch_max(held, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the pointer came from `alloc` above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["synthetic"] => synthetic(1_000_000),
        ["synthetic", places] => synthetic(places.parse()?),
        [repo] => real(Path::new(repo), None),
        [repo, snapshot] => real(Path::new(repo), Some(snapshot.parse()?)),
        _ => {
            println!("prune: REPO [SNAPSHOT], or synthetic [PLACES]; see the head of the file");
            Ok(())
        }
    }
}

/// Marks every blob of an index, and settles.
fn synthetic(blobs: u64) -> Outcome<()> {
    let backend = Arc::new(MemoryBackend::default());
    let repository = Repository::init(backend, "memory", InitOptions::default(), &BenchHost)?;
    let ids: Vec<BlobId> = (0..blobs)
        .map(|number| repository.keys().blob_id(BlobType::Data, &number.to_le_bytes()))
        .collect();
    let packs = list(&repository, &ids)?;
    let index = Index::load(repository.backend(), repository.keys())?;
    for round in 0..3 {
        let before = HELD.load(Ordering::Relaxed);
        HIGHEST.store(before, Ordering::Relaxed);
        let began = Instant::now();
        let mut live = LiveSet::new(&index, &packs)?;
        for id in &ids {
            live.live(BlobType::Data, id)?;
        }
        let marked = began.elapsed();
        let settling = Instant::now();
        let settled = black_box(live.settle(&BTreeSet::new())?);
        let memory = HIGHEST.load(Ordering::Relaxed) - before;
        println!(
            "{blobs} blobs, {} packs, round {round}: mark {} ms, settle {} ms, {} ms in all; {memory} bytes, {:.2} bits a place",
            settled.packs.len(),
            marked.as_millis(),
            settling.elapsed().as_millis(),
            began.elapsed().as_millis(),
            per(memory as u64 * 8, blobs),
        );
    }
    Ok(())
}

/// Lists the blobs in segments, and returns their packs.
fn list(repository: &Repository, ids: &[BlobId]) -> Outcome<Packs> {
    let stage = repository.backend().stage("bench")?;
    let mut packs = Packs::new();
    for segment in 0..SEGMENTS {
        let mut builder = SegmentBuilder::new(*repository.id());
        let of_segment = (0_u64..).zip(ids).filter(|(number, _)| number % SEGMENTS == segment);
        for (place, (_, id)) in (0_u64..).zip(of_segment) {
            let mut pack = [7; 32];
            pack[..8].copy_from_slice(&(place / OF_A_PACK * SEGMENTS + segment).to_be_bytes());
            let pack = PackId::from_bytes(pack);
            let len = 100 + OF_A_PACK * 1000;
            packs.insert(pack, len);
            builder.add_pack(pack, len)?;
            let offset = 100 + place % OF_A_PACK * 1000;
            let (blob_type, encoding) = (BlobType::Data, Encoding::Raw);
            let (stored_len, plain_len) = (1000, 1000);
            builder.add(id, &Place { pack, offset, stored_len, plain_len, blob_type, encoding })?;
        }
        let bytes = builder.finish(repository.keys());
        stage.put(&layout::segment(&repository.keys().segment_id(&bytes)), &bytes)?;
    }
    stage.barrier()?;
    Ok(packs)
}

/// What one round took.
struct Round {
    forget: Duration,
    look: Duration,
    prune: Duration,
    report: PruneReport,
}

/// Which of the times of a round.
type Time = fn(&Round) -> Duration;

fn real(repo: &Path, snapshot: Option<SnapshotId>) -> Outcome<()> {
    let snapshot = match snapshot {
        Some(snapshot) => snapshot,
        None => middle(repo)?,
    };
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let copy = Copied::of(repo)?;
        rounds.push(round(&copy.path, snapshot)?);
    }
    let fastest = |of: Time| rounds.iter().map(of).min().unwrap_or_default();
    let median = |of: Time| {
        let mut all: Vec<Duration> = rounds.iter().map(of).collect();
        all.sort_unstable();
        all.get(ROUNDS / 2).copied().unwrap_or_default()
    };
    let steps: [(&str, Time); 4] = [
        ("forget", |it| it.forget),
        ("mark and plan", |it| it.look),
        ("prune", |it| it.prune),
        ("forget and prune", |it| it.forget + it.prune),
    ];
    for (name, of) in steps {
        let ms = |time: Duration| time.as_secs_f64() * 1000.0;
        println!(
            "{name:<17} median {:>7.1} ms, fastest {:>7.1} ms",
            ms(median(of)),
            ms(fastest(of))
        );
    }
    if let Some(Round { report, .. }) = rounds.last() {
        let plan = &report.plan;
        println!(
            "{} snapshots; {} packs, {} bytes removed; {} bytes freed; {} packs, {} bytes written again: {:.2}x; {} bytes wait",
            report.snapshots,
            report.removed_packs,
            report.removed_bytes,
            plan.freed_bytes,
            plan.rewritten.len(),
            report.written_bytes,
            per(report.written_bytes, plan.freed_bytes),
            plan.waiting_bytes,
        );
    }
    Ok(())
}

fn middle(repo: &Path) -> Outcome<SnapshotId> {
    let repository = open_local(repo)?;
    let catalog = Catalog::open(&repository)?;
    let all = &catalog.listing().snapshots;
    Ok(all.get(all.len() / 2).ok_or("no snapshot")?.id)
}

fn round(repo: &Path, snapshot: SnapshotId) -> Outcome<Round> {
    let began = Instant::now();
    forget(&open_local(repo)?, &[snapshot], &BenchHost)?;
    let forget = began.elapsed();
    let options = PruneOptions::default();
    let began = Instant::now();
    let looked = outlook(&open_local(repo)?, &options, &BenchHost, &Unobserved)?;
    let look = began.elapsed();
    let began = Instant::now();
    let report = prune(&open_local(repo)?, &options, &BenchHost, &Unobserved)?;
    let prune = began.elapsed();
    if looked.plan.gone != report.plan.gone {
        return Err("a prune did not do what it had said".into());
    }
    Ok(Round { forget, look, prune, report })
}

/// A copy whose files are links to the objects, which nobody ever changes.
struct Copied {
    path: PathBuf,
}

impl Copied {
    fn of(repo: &Path) -> Outcome<Self> {
        let path = repo.with_extension("copy");
        let copied = Command::new("cp").arg("-al").arg(repo).arg(&path).status()?;
        if copied.success() { Ok(Self { path }) } else { Err("cannot copy the repository".into()) }
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        // What is left over is in the way of the next copy, which then says so.
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn per(some: u64, of: u64) -> f64 {
    some as f64 / of.max(1) as f64
}
