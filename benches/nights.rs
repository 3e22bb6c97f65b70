//! What nights of a live database cost in a repository, and what comes back of them.
//!
//! `... --bench nights -- REPO --add DB RFC3339` saves a state of a database as of that time, and keeps its hash aside.
//! `... --bench nights -- REPO` then says what the nights have cost, what retention would have left alive after each of
//! them, and how long kept nights take to restore, beside the same database stored plainly.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::error::Error;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use larder::codec::Durable as _;
use larder::codec::version::VersionRecord;
use larder::id::{BlobId, BlobType, SnapshotId};
use larder::observe::Unobserved;
use larder::ops::backup::{BackupOptions, BackupReport, backup};
use larder::ops::catalog::Catalog;
use larder::ops::open::{init_local, open_local};
use larder::ops::restore::{RestoreRequest, restore};
use larder::repo::blobs::BlobRead as _;
use larder::repo::error::{Damage, RepoError};
use larder::repo::read::Reader;
use larder::repo::repository::InitOptions;
use larder::repo::snapshots::Snapshot;
use larder::repo::space::MinFree;
use larder::snapshot::reach::{Reach, Reached, Visitor};
use larder::snapshot::version::page::PageReader;
use larder_benches::host::BenchHost;

mod nights {
    pub(crate) mod machine;
    pub(crate) mod retention;
}

use nights::machine::{Copying, usage};
use nights::retention::kept;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// A day, nanoseconds.
const DAY_NS: i64 = 86_400_000_000_000;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [repo, "--add", database, time] => add(Path::new(repo), Path::new(database), time.parse()?),
        [repo, "--restore", night] => restore_one(Path::new(repo), night.parse()?),
        [repo] => report(Path::new(repo)),
        _ => {
            println!("nights: REPO --add DB DAY, or REPO; see the head of the file");
            Ok(())
        }
    }
}

/// Saves one state as the night of this number.
fn add(repo: &Path, database: &Path, day: i64) -> Outcome<()> {
    if !repo.join("config").exists() {
        init_local(repo, InitOptions::default(), &BenchHost)?;
    }
    let before = bytes_below(repo)?;
    let hash = hash_of(database)?;
    let (began, cpu) = (Instant::now(), usage());
    let report = save(repo, database, day)?;
    let (took, cpu) = (began.elapsed(), usage().saturating_sub(cpu));
    let id = report.id.ok_or("nothing was saved")?;
    let mut aside = File::options().create(true).append(true).open(aside(repo))?;
    writeln!(aside, "{day} {id} {hash}")?;
    let new = i64::try_from(bytes_below(repo)?)? - i64::try_from(before)?;
    let opened = open_local(repo)?;
    let catalog = Catalog::open(&opened)?;
    let night = Night::of(&catalog.reader()?, &report)?;
    println!(
        "{day:>4} {new:>9} {:>9} {:>9} {:>3} layers {:>6} pages {:>6.2}x {:>6} ms {:>6} ms CPU {:>4} MiB",
        night.patch_bytes,
        new - i64::try_from(night.patch_bytes)?,
        night.layers,
        night.changed_pages,
        night.stack,
        took.as_millis(),
        cpu.as_millis(),
        nights::machine::peak_anonymous_bytes() >> 20,
    );
    Ok(())
}

fn aside(repo: &Path) -> PathBuf {
    repo.with_extension("hashes")
}

fn save(repo: &Path, database: &Path, day: i64) -> Outcome<BackupReport> {
    let source = tempfile::tempdir()?;
    // The path must stay: it is what a snapshot is of.
    let root = repo.with_extension("source");
    fs::create_dir_all(&root)?;
    fs::copy(database, root.join("partshub.db"))?;
    let options = BackupOptions {
        source: Some("partshub".into()),
        // Sunday, 4 January 2026, 03:00 UTC, and on from there.
        time_ns: Some(1_767_495_600_000_000_000 + day * DAY_NS),
        min_free: MinFree { asked_bytes: Some(0) },
        workers: 2,
        built_in_references: false,
        ..BackupOptions::new(vec![root], source.path().to_owned())
    };
    let capture = Copying { spool_dir: source.path().to_owned() };
    Ok(backup(&open_local(repo)?, &options, &capture, &BenchHost, &Unobserved)?)
}

/// What a version adds.
struct Night {
    patch_bytes: u64,
    changed_pages: u64,
    layers: usize,
    /// Pages of all layers, in databases.
    stack: f64,
}

impl Night {
    fn of(reader: &Reader<'_>, report: &BackupReport) -> Outcome<Self> {
        let record = version_of(reader, report.record.databases[0].version.as_ref())?;
        let mut night = Self {
            patch_bytes: 0,
            changed_pages: 0,
            layers: record.layers.len(),
            stack: to_f64(record.layer_pages()) / f64::from(record.page_count()),
        };
        if let Some(top) = record.layers.last() {
            night.changed_pages = top.changed_pages();
            for segment in &top.segments {
                let place = reader.place(BlobType::PagePatch, &segment.id)?;
                night.patch_bytes += place.map_or(0, |place| u64::from(place.stored_len));
            }
        }
        Ok(night)
    }
}

fn version_of(reader: &Reader<'_>, id: Option<&BlobId>) -> Outcome<VersionRecord> {
    let id = id.ok_or("the database is no version")?;
    Ok(VersionRecord::decode(&reader.get(BlobType::VersionRecord, id)?)?)
}

/// Restores one night a few times, for a profiler to watch.
fn restore_one(repo: &Path, night: usize) -> Outcome<()> {
    let repository = open_local(repo)?;
    let catalog = Catalog::open(&repository)?;
    let reader = catalog.reader()?;
    let snapshot = catalog.listing().snapshots.get(night).ok_or("no such night")?;
    let restored = tempfile::tempdir_in(repo.parent().unwrap_or(Path::new(".")))?;
    let cpu = usage();
    let took = fastest(5, || restore_to(&reader, snapshot, &restored.path().join("x")))?;
    println!("{} ms, {} ms CPU", took.as_millis(), usage().saturating_sub(cpu).as_millis() / 5);
    Ok(())
}

/// All nights, and what comes back.
fn report(repo: &Path) -> Outcome<()> {
    let repository = open_local(repo)?;
    let catalog = Catalog::open(&repository)?;
    let reader = catalog.reader()?;
    let snapshots: Vec<&Snapshot> = catalog.listing().snapshots.iter().collect();
    let growth = growth(&reader, &snapshots)?;
    println!("night  live bytes over the first, kept snapshots");
    for (night, (bytes, kept)) in growth.iter().enumerate() {
        if night % 10 == 0 || night + 1 == growth.len() {
            println!("{night:>5}  {bytes:>12}  {kept:>3}");
        }
    }
    let times: Vec<i64> = snapshots.iter().map(|snapshot| snapshot.record.time_ns).collect();
    let hashes = hashes(repo)?;
    let (mut deepest, mut pages) = (None, 0);
    for at in kept(&times) {
        let snapshot = snapshots[at];
        let record = version_of(&reader, snapshot.record.databases[0].version.as_ref())?;
        let restored = tempfile::tempdir_in(repo.parent().unwrap_or(Path::new(".")))?;
        let cpu = usage();
        let took = fastest(3, || restore_to(&reader, snapshot, &restored.path().join("x")))?;
        let cpu = usage().saturating_sub(cpu) / 3;
        let back = restored.path().join("x/partshub.db");
        if hashes.get(&snapshot.id) != Some(&hash_of(&back)?) {
            return Err(format!("night {at} comes back differently").into());
        }
        let (plain, plain_cpu) = plain_restore(&back, restored.path())?;
        let stack = to_f64(record.layer_pages()) / f64::from(record.page_count());
        println!(
            "restore night {at:>3}: {:>2} layers {stack:>5.2}x pages {:>5} ms, plain {:>5} ms: {:.2}x; CPU {:>5} and {:>5} ms: {:.2}x",
            record.layers.len(),
            took.as_millis(),
            plain.as_millis(),
            took.as_secs_f64() / plain.as_secs_f64(),
            cpu.as_millis(),
            plain_cpu.as_millis(),
            cpu.as_secs_f64() / plain_cpu.as_secs_f64(),
        );
        if record.layer_pages() >= pages {
            pages = record.layer_pages();
            fs::rename(&back, repo.with_extension("deepest"))?;
            deepest = Some((at, record));
        }
    }
    if let Some((at, record)) = deepest {
        let version = snapshots[at].record.databases[0].version.ok_or("no version")?;
        single_pages(&reader, &version, &record, &repo.with_extension("deepest"))?;
    }
    Ok(())
}

/// Bytes alive over those of the first snapshot, after each night, and how many snapshots are.
fn growth(reader: &Reader<'_>, snapshots: &[&Snapshot]) -> Outcome<Vec<(u64, usize)>> {
    let mut needs = Vec::new();
    for snapshot in snapshots {
        let mut needed = Needed { reader, blobs: HashMap::new() };
        Reach::new().walk(reader, &snapshot.record.manifest, &mut needed)?;
        needs.push(needed.blobs);
    }
    let times: Vec<i64> = snapshots.iter().map(|snapshot| snapshot.record.time_ns).collect();
    let mut growth: Vec<(u64, usize)> = Vec::new();
    let first: u64 = needs.first().map_or(0, |blobs| blobs.values().sum());
    // What was forgotten one night does not come back the next.
    let mut alive: Vec<usize> = Vec::new();
    for night in 0..snapshots.len() {
        alive.push(night);
        let of_these: Vec<i64> = alive.iter().map(|at| times[*at]).collect();
        alive = kept(&of_these).into_iter().map(|at| alive[at]).collect();
        let live: HashMap<_, _> = alive.iter().flat_map(|at| &needs[*at]).collect();
        let bytes: u64 = live.values().copied().sum();
        growth.push((bytes.saturating_sub(first), alive.len()));
    }
    Ok(growth)
}

struct Needed<'a, 'r> {
    reader: &'a Reader<'r>,
    blobs: HashMap<(BlobType, BlobId), u64>,
}

impl Visitor for Needed<'_, '_> {
    fn reached(&mut self, blob: Reached<'_>) {
        let place = self.reader.place(blob.blob_type, &blob.id).ok().flatten();
        let place = place.expect("a blob that a snapshot needs has a place");
        self.blobs.insert((blob.blob_type, blob.id), u64::from(place.stored_len));
    }

    fn unreadable(&mut self, _: Reached<'_>, damage: &Damage) {
        panic!("{damage}");
    }
}

fn restore_to(reader: &Reader<'_>, snapshot: &Snapshot, target: &Path) -> Outcome<()> {
    if target.exists() {
        fs::remove_dir_all(target)?;
    }
    let request = RestoreRequest {
        paths: Vec::new(),
        target: Some(target.to_owned()),
        overwrite: false,
        time: "now".into(),
        threads: 2,
    };
    let began = restore(reader, snapshot, &request, &Unobserved)?;
    let complete = began.iter().all(|it| it.report.is_complete());
    complete.then_some(()).ok_or_else(|| "not restored whole".into())
}

/// The same database stored as nothing but a base, and restored.
fn plain_restore(database: &Path, dir: &Path) -> Outcome<(Duration, Duration)> {
    let repo = dir.join("plain");
    init_local(&repo, InitOptions::default(), &BenchHost)?;
    save(&repo, database, 0)?;
    let repository = open_local(&repo)?;
    let catalog = Catalog::open(&repository)?;
    let reader = catalog.reader()?;
    let snapshot = catalog.listing().snapshots.first().ok_or("no snapshot")?;
    let cpu = usage();
    let took = fastest(3, || restore_to(&reader, snapshot, &dir.join("y")))?;
    Ok((took, usage().saturating_sub(cpu) / 3))
}

fn fastest(times: u32, mut work: impl FnMut() -> Outcome<()>) -> Outcome<Duration> {
    let mut best = Duration::MAX;
    for _ in 0..times {
        let began = Instant::now();
        work()?;
        best = best.min(began.elapsed());
    }
    Ok(best)
}

/// Single pages out of one version, each by itself and one after the other.
fn single_pages(
    reader: &Reader<'_>,
    version: &BlobId,
    record: &VersionRecord,
    whole: &Path,
) -> Outcome<()> {
    let bytes = fs::read(whole)?;
    let page_bytes = record.page_size as usize;
    let numbers: Vec<u32> = (0..1000_u64)
        .map(|n| u32::try_from(n * 7919 % u64::from(record.page_count())).unwrap_or(0) + 1)
        .collect();
    let began = Instant::now();
    let mut pages = PageReader::open(reader, version)?;
    pages.page(numbers[0])?;
    let first = began.elapsed();
    let (mut slowest, mut refused) = (Duration::ZERO, 0_u32);
    for number in &numbers {
        let began = Instant::now();
        let page = match pages.page(*number) {
            Err(RepoError::Unsupported { .. }) => {
                refused += 1;
                continue;
            }
            page => page?.ok_or("the page is not there")?,
        };
        slowest = slowest.max(began.elapsed());
        let at = (*number as usize - 1) * page_bytes;
        if bytes.get(at..at + page_bytes) != Some(&page) {
            return Err(format!("page {number} differs").into());
        }
    }
    println!(
        "one page of {} layers: first {:.1} ms, then {:.2} ms in the mean, {:.1} ms at worst; {refused} of 1000 need the whole",
        record.layers.len(),
        first.as_secs_f64() * 1e3,
        began.elapsed().saturating_sub(first).as_secs_f64() * 1e3 / to_f64(numbers.len() as u64),
        slowest.as_secs_f64() * 1e3,
    );
    Ok(())
}

fn hashes(repo: &Path) -> Outcome<BTreeMap<SnapshotId, String>> {
    let text = fs::read_to_string(aside(repo))?;
    let line = |line: &str| {
        let mut words = line.split(' ').skip(1);
        Some((words.next()?.parse().ok()?, words.next()?.to_owned()))
    };
    Ok(text.lines().filter_map(line).collect())
}

fn hash_of(path: &Path) -> Outcome<String> {
    Ok(blake3::hash(&fs::read(path)?).to_hex().to_string())
}

fn bytes_below(dir: &Path) -> Outcome<u64> {
    let mut bytes = 0;
    let mut seen = BTreeSet::from([dir.to_owned()]);
    while let Some(dir) = seen.pop_first() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            match entry.metadata()? {
                it if it.is_dir() => drop(seen.insert(entry.path())),
                it => bytes += it.len(),
            }
        }
    }
    Ok(bytes)
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn to_f64(number: u64) -> f64 {
    number as f64
}
