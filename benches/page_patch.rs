//! What a night of a database costs as page deltas: bytes at several levels, and time.
//!
//! `cargo bench -p larder-benches --bench page_patch -- OLD.db NEW.db [NEXT.db ...]` takes each
//! file against the one before it and compares with the yardstick: the changed pages in one zstd
//! frame that has their old images as prefix.

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::time::{Duration, Instant};

use larder::delta::decode::decode_segment;
use larder::delta::encode::{PageChange, encode_segment};
use larder::delta::grouping::segments;
use larder::delta::shape::PageShape;

type Outcome<T> = Result<T, Box<dyn Error>>;

const LEVELS: [i32; 4] = [3, 9, 15, 19];

fn main() -> Outcome<()> {
    let files: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    if files.len() < 2 {
        println!("page_patch: give two or more states of a database, oldest first");
        return Ok(());
    }
    println!("{}", Night::HEAD);
    let mut sum = Night::default();
    for pair in files.windows(2) {
        let (old, new) = (fs::read(&pair[0])?, fs::read(&pair[1])?);
        let night = Night::measure(&old, &new)?;
        println!("{night}");
        sum.add(&night);
    }
    println!("{sum}");
    println!("mean at level 9: {:.3}x the yardstick", ratio(sum.packed[1], sum.bound));
    Ok(())
}

/// What one night costs.
#[derive(Default)]
struct Night {
    changed: usize,
    segments: usize,
    plain: usize,
    packed: [usize; LEVELS.len()],
    bound: usize,
    encode: Duration,
    compress: Duration,
    decode: Duration,
}

impl std::fmt::Display for Night {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [fast, usual, slow, slowest] = self.packed;
        let [encode, compress, decode] =
            [self.encode, self.compress, self.decode].map(|time| time.as_millis());
        write!(
            out,
            "{:>6} {:>4} {:>8} {fast:>8} {usual:>8} {slow:>8} {slowest:>8} {:>8} {:>6.3} {encode:>7} {compress:>6} {decode:>6}",
            self.changed,
            self.segments,
            self.plain,
            self.bound,
            ratio(usual, self.bound),
        )
    }
}

impl Night {
    const HEAD: &str = " pages segs    plain   zstd-3   zstd-9  zstd-15  zstd-19    bound  ratio  encode zstd-9 decode (ms)";

    fn measure(old: &[u8], new: &[u8]) -> Outcome<Self> {
        let page_bytes = page_bytes(new).ok_or("no database")?;
        let shape = PageShape::new(u32::try_from(page_bytes)?, new[20])?;
        let pages = changes(old, new, page_bytes);
        let mut night = Self { changed: pages.len(), bound: bound(&pages)?, ..Self::default() };
        let start = Instant::now();
        let segments = segments(&pages, shape);
        night.encode = start.elapsed();
        for places in segments {
            let pages: Vec<_> = places.into_iter().map(|place| pages[place]).collect();
            night.add_segment(&pages, shape)?;
        }
        Ok(night)
    }

    fn add_segment(&mut self, pages: &[PageChange<'_>], shape: PageShape) -> Outcome<()> {
        let start = Instant::now();
        let plain = encode_segment(pages, shape)?;
        self.encode += start.elapsed();
        self.segments += 1;
        self.plain += plain.len();
        for (level, packed) in LEVELS.into_iter().zip(&mut self.packed) {
            let start = Instant::now();
            *packed += zstd::bulk::compress(&plain, level)?.len();
            if level == 9 {
                self.compress += start.elapsed();
            }
        }
        let start = Instant::now();
        let made = decode_segment(&plain, u32::try_from(shape.page_bytes())?, |number| {
            let page = pages.binary_search_by_key(&number, |page| page.number);
            pages[page.ok()?].old
        })?;
        self.decode += start.elapsed();
        let made = made.iter().map(|(number, image)| (*number, image.as_slice()));
        if made.ne(pages.iter().map(|page| (page.number, page.new))) {
            return Err("a segment does not decode to what it was made from".into());
        }
        Ok(())
    }

    fn add(&mut self, other: &Self) {
        self.changed += other.changed;
        self.segments += other.segments;
        self.plain += other.plain;
        self.bound += other.bound;
        self.encode += other.encode;
        self.compress += other.compress;
        self.decode += other.decode;
        for (sum, packed) in self.packed.iter_mut().zip(other.packed) {
            *sum += packed;
        }
    }
}

fn page_bytes(database: &[u8]) -> Option<usize> {
    match u16::from_be_bytes(*database.get(16..)?.first_chunk()?) {
        1 => Some(65536),
        bytes => Some(usize::from(bytes)),
    }
}

fn changes<'a>(old: &'a [u8], new: &'a [u8], page_bytes: usize) -> Vec<PageChange<'a>> {
    let mut changes = Vec::new();
    for (number, (at, new)) in (1_u32..).zip(new.chunks_exact(page_bytes).enumerate()) {
        let old = old.get(at * page_bytes..(at + 1) * page_bytes);
        if old != Some(new) {
            changes.push(PageChange { number, old, new });
        }
    }
    changes
}

/// The yardstick at level 9.
fn bound(pages: &[PageChange<'_>]) -> Outcome<usize> {
    let old: Vec<u8> = pages.iter().filter_map(|page| page.old).flatten().copied().collect();
    let mut frame = zstd::stream::Encoder::with_ref_prefix(Vec::new(), 9, &old)?;
    frame.window_log(27)?;
    frame.long_distance_matching(true)?;
    for page in pages {
        frame.write_all(page.new)?;
    }
    Ok(frame.finish()?.len())
}

#[expect(clippy::cast_precision_loss, reason = "a ratio for people")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
