//! What encoder and decoder must hold: over pages that `SQLite` made and over any bytes.

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use rusqlite::Connection;

use larder::delta::decode::{Segment, decode_segment};
use larder::delta::encode::{PageChange, encode_segment, encode_segments};
use larder::delta::error::DeltaError;
use larder::delta::grouping::segments;
use larder::delta::shape::PageShape;

use crate::delta::reference;

/// Choices, the same for the same seed.
struct Choices(blake3::OutputReader);

impl Choices {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        usize::try_from(u64::from_le_bytes(bytes) % limit as u64).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.0.fill(&mut bytes);
        bytes
    }
}

/// A page of two states, by number.
type Pair = (u32, Option<Vec<u8>>, Vec<u8>);

fn changes(pairs: &[Pair]) -> Vec<PageChange<'_>> {
    let change = |(number, old, new): &'_ Pair| (*number, old.is_some(), new.len());
    assert!(pairs.iter().map(change).is_sorted_by_key(|(number, ..)| number));
    pairs
        .iter()
        .map(|(number, old, new)| PageChange { number: *number, old: old.as_deref(), new })
        .collect()
}

fn old_of<'a>(pairs: &'a [PageChange<'a>]) -> impl Fn(u32) -> Option<&'a [u8]> {
    |number| {
        let place = pairs.binary_search_by_key(&number, |page| page.number).unwrap();
        pairs[place].old
    }
}

/// Encodes, decodes in every way there is, and gives the length of the segment.
fn proved(pages: &[PageChange<'_>], shape: PageShape) -> usize {
    let bytes = encode_segment(pages, shape).unwrap();
    let page_bytes = u32::try_from(shape.page_bytes()).unwrap();
    let made = decode_segment(&bytes, page_bytes, old_of(pages)).unwrap();
    let wanted: Vec<_> = pages.iter().map(|page| (page.number, page.new.to_vec())).collect();
    assert!(made == wanted, "decoded pages differ");
    let old = pages.iter().filter_map(|page| Some((page.number, page.old?.to_vec())));
    let old: BTreeMap<_, _> = old.collect();
    assert!(reference::decode(&bytes, shape.page_bytes(), &old) == wanted, "by the reference");
    let segment = Segment::parse(&bytes, page_bytes).unwrap();
    let (mut maker, old) = (segment.maker(), old_of(pages));
    for (place, number) in segment.numbers().enumerate().step_by(7) {
        let sources = segment.sources(place).unwrap();
        let page = maker.page(place, |_, wanted| {
            assert!(wanted == number || sources.contains(&wanted), "a source that was not said");
            old(wanted)
        });
        assert!(page == Ok(pages[place].new), "page {number} alone");
    }
    bytes.len()
}

fn database(path: &Path, page_bytes: usize) -> Connection {
    let database = Connection::open(path).unwrap();
    let setup = format!(
        "PRAGMA page_size = {page_bytes}; PRAGMA auto_vacuum = INCREMENTAL; PRAGMA synchronous = OFF;
         CREATE TABLE part (id TEXT PRIMARY KEY, name TEXT, stock INTEGER, note BLOB);
         CREATE INDEX part_name ON part (name, stock);
         CREATE TABLE tag (word TEXT PRIMARY KEY, count INTEGER) WITHOUT ROWID;"
    );
    database.execute_batch(&setup).unwrap();
    database
}

/// A day of an application: rows come, change and go, some of them long.
fn live_on(database: &mut Connection, choices: &mut Choices, steps: usize) {
    let transaction = database.transaction().unwrap();
    for _ in 0..steps {
        let id = blake3::hash(&choices.bytes(8)).to_hex();
        let name = format!("part {}", choices.below(300));
        let note = choices.below(40).pow(2);
        let note = choices.bytes(note);
        let stock = i64::try_from(choices.below(1000)).unwrap();
        let rows = "SELECT rowid FROM part WHERE id >= ?1 ORDER BY id LIMIT 1";
        match choices.below(8) {
            0 => {
                transaction.execute(&format!("DELETE FROM part WHERE rowid IN ({rows})"), [&id[..]])
            }
            1 => transaction.execute(
                &format!("UPDATE part SET stock = ?2, name = ?3 WHERE rowid IN ({rows})"),
                (&id[..], stock, &name),
            ),
            2 => transaction.execute(
                "INSERT INTO tag VALUES (?1, 1) ON CONFLICT DO UPDATE SET count = count + 1",
                [&name],
            ),
            3 if stock < 20 => transaction.execute("DELETE FROM tag WHERE word < ?1", [&name]),
            _ => transaction.execute(
                "INSERT INTO part VALUES (?1, ?2, ?3, ?4)",
                (&id[..], &name, stock, &note),
            ),
        }
        .unwrap();
    }
    transaction.commit().unwrap();
}

fn changed_pages(old: &[u8], new: &[u8], page_bytes: usize) -> Vec<Pair> {
    let pairs =
        (1_u32..).zip(new.chunks(page_bytes).enumerate()).filter_map(|(number, (at, new))| {
            let old = old.get(at * page_bytes..(at + 1) * page_bytes);
            (old != Some(new)).then(|| (number, old.map(<[u8]>::to_vec), new.to_vec()))
        });
    pairs.collect()
}

/// The states of a database over some days.
fn days(page_bytes: usize, first: usize, later: &[usize]) -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("parts.db");
    let mut database = database(&path, page_bytes);
    let mut choices = Choices::new(page_bytes as u64);
    let mut states = Vec::new();
    for steps in std::iter::once(&first).chain(later) {
        live_on(&mut database, &mut choices, *steps);
        states.push(std::fs::read(&path).unwrap());
    }
    database.execute_batch("PRAGMA incremental_vacuum(3)").unwrap();
    states.push(std::fs::read(&path).unwrap());
    states
}

#[test]
fn days_of_a_database_come_back_at_every_page_size() {
    for page_bytes in (9..=16).map(|bits| 1_usize << bits) {
        let shape = PageShape::new(u32::try_from(page_bytes).unwrap(), 0).unwrap();
        for states in days(page_bytes, 1500, &[1, 40, 600]).windows(2) {
            for (old, new) in [(&states[0], &states[1]), (&states[1], &states[0])] {
                let pairs = changed_pages(old, new, page_bytes);
                proved(&changes(&pairs), shape);
            }
        }
    }
}

/// Where `SQLite` puts a cell, and what it leaves behind, must be foreseen: a page into
/// which one row went costs little more than the row.
#[test]
fn what_sqlite_does_to_a_page_is_foreseen() {
    let shape = PageShape::new(4096, 0).unwrap();
    let states = days(4096, 4000, &[1; 200]);
    let (mut pages, mut bytes) = (0, 0);
    for states in states.windows(2) {
        let pairs = changed_pages(&states[0], &states[1], 4096);
        let tree = |(_, old, new): &&Pair| {
            old.as_ref().is_some_and(|old| [10, 13].contains(&old[0]) && old[0] == new[0])
        };
        let pairs: Vec<_> = pairs.iter().filter(tree).cloned().collect();
        pages += pairs.len();
        bytes += encode_segment(&changes(&pairs), shape).unwrap().len();
        proved(&changes(&pairs), shape);
    }
    assert!(pages > 300, "{pages} pages");
    // A row has a note of 0 to 1521 bytes, of 500 on average, and its key of 64 twice.
    let a_page = bytes / pages;
    assert!(a_page < 170, "{a_page} bytes a page");
}

#[test]
fn cells_that_move_to_another_page_are_not_written_again() {
    let shape = PageShape::new(4096, 0).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys.db");
    let database = Connection::open(&path).unwrap();
    database.execute_batch("CREATE TABLE tag (word TEXT PRIMARY KEY) WITHOUT ROWID").unwrap();
    let mut insert = database.prepare("INSERT INTO tag VALUES (?1)").unwrap();
    let key = |number: u32| blake3::hash(&number.to_le_bytes()).to_hex().to_string();
    let mut add = |number: u32| assert_eq!(insert.execute([key(number)]), Ok(1));
    (0..600).for_each(&mut add);
    let old = std::fs::read(&path).unwrap();
    (600..700).for_each(&mut add);
    let new = std::fs::read(&path).unwrap();
    assert!(new.len() > old.len(), "no page was split");
    let pairs = changed_pages(&old, &new, 4096);
    let bytes = proved(&changes(&pairs), shape);
    // 100 keys of 64 bytes, and what splits left behind; the pages hold 700 keys.
    assert!(bytes < 100 * 100, "{bytes} bytes for {} pages", pairs.len());
}

#[test]
fn pages_that_exchanged_cells_share_a_segment() {
    let states = days(65536, 4000, &[]);
    let state = &states[0];
    let shape = PageShape::new(512, 0).unwrap();
    // Twice as many pages as one segment holds; those of the second half were in the first.
    let page = |at: usize| state[at * 512 % state.len()..][..512].to_vec();
    let limit = shape.segment_pages();
    let leaf = |number: usize| {
        let mut leaf = vec![0; 512];
        leaf[0] = 10;
        let cells = 8_usize;
        leaf[4] = 8;
        for cell in 0..cells {
            let at = 512 - (cell + 1) * 20;
            leaf[8 + 2 * cell..10 + 2 * cell]
                .copy_from_slice(&u16::try_from(at).unwrap().to_be_bytes());
            leaf[at] = 19;
            leaf[at + 1..at + 20].copy_from_slice(
                &blake3::hash(&(number * 8 + cell).to_le_bytes()).as_bytes()[..19],
            );
        }
        leaf
    };
    let total = limit + 2000;
    let pairs: Vec<Pair> = (0..total)
        .map(|place| {
            let old = if place < 1000 { leaf(place) } else { page(place) };
            let new = if place >= total - 1000 { leaf(total - 1 - place) } else { page(place + 1) };
            (u32::try_from(place).unwrap() + 1, Some(old), new)
        })
        .collect();
    let pages = changes(&pairs);
    let segments = segments(&pages, shape);
    let mut all: Vec<_> = segments.iter().flatten().copied().collect();
    assert!(segments.iter().all(|segment| segment.len() <= limit && segment.is_sorted()));
    all.sort_unstable();
    assert!(all.into_iter().eq(0..total), "every page once");
    let of = |place: usize| segments.iter().position(|segment| segment.contains(&place));
    let together = (0..1000).filter(|place| of(*place) == of(total - 1 - place)).count();
    assert!(together > 850, "{together} of 1000");
}

#[test]
fn no_segment_is_longer_than_asked() {
    let mut choices = Choices::new(3);
    let pairs: Vec<Pair> = (1..=40).map(|number| (number, None, choices.bytes(512))).collect();
    let pages = changes(&pairs);
    let shape = PageShape::new(512, 0).unwrap();
    let mut made = Vec::new();
    encode_segments(&pages, shape, 4000, |bytes| {
        assert!(bytes.len() <= 4000);
        made.extend(decode_segment(&bytes, 512, |_| None)?);
        Ok::<_, DeltaError>(())
    })
    .unwrap();
    made.sort();
    assert!(made.into_iter().eq(pairs.into_iter().map(|(number, _, new)| (number, new))));
}

#[test]
fn what_is_no_set_of_pages_is_refused() {
    let shape = PageShape::new(512, 0).unwrap();
    let page = [0; 512];
    let change = |number, old, new| PageChange { number, old, new };
    let encode = |pages: &[PageChange<'_>]| encode_segment(pages, shape).unwrap_err();
    let order = |number| DeltaError::Order { number };
    assert_eq!(encode(&[change(0, None, &page)]), order(0));
    assert_eq!(encode(&[change(2, None, &page), change(2, None, &page)]), order(2));
    let short = DeltaError::ImageLength { number: 1, expected: 512, actual: 511 };
    assert_eq!(encode(&[change(1, None, &page[1..])]), short);
    assert_eq!(encode(&[change(1, Some(&page[1..]), &page)]), short);
    let limit = shape.segment_pages();
    let many: Vec<_> = (1..).take(limit + 1).map(|number| change(number, None, &page)).collect();
    assert_eq!(encode(&many), DeltaError::TooManyPages { pages: limit as u64 + 1, limit });
    for (page_bytes, reserved) in [(0, 0), (256, 0), (4000, 0), (131_072, 0), (512, 33)] {
        assert!(PageShape::new(page_bytes, reserved).is_err());
    }
}

#[test]
fn a_claim_of_many_pages_or_bytes_is_refused() {
    for claim in [&[0, 0xff, 0xff, 0xff, 0xff, 0x0f][..], &[0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        let mut bytes = claim.to_vec();
        bytes.resize(claim.len() + 14, 0);
        assert!(Segment::parse(&bytes, 4096).is_err());
    }
    assert!(Segment::parse(&[], 4096).is_err());
}

#[test]
fn an_old_image_that_is_missing_is_named() {
    let states = days(4096, 1500, &[300]);
    let pairs = changed_pages(&states[0], &states[1], 4096);
    let pages = changes(&pairs);
    let bytes = encode_segment(&pages, PageShape::new(4096, 0).unwrap()).unwrap();
    let segment = Segment::parse(&bytes, 4096).unwrap();
    let place = (0..pages.len()).find(|place| !segment.sources(*place).unwrap().is_empty());
    let place = place.expect("a page that is made from another");
    let missing = segment.sources(place).unwrap()[0];
    let (mut maker, old) = (segment.maker(), old_of(&pages));
    let made = maker.page(place, |_, number| old(number).filter(|_| number != missing));
    let number = pages[place].number;
    assert_eq!(made, Err(DeltaError::NoOldImage { number, missing }));
    let made = maker.page(place, |_, number| old(number).map(|old| &old[..old.len() - 1]));
    let (expected, actual) = (4096, 4095);
    assert_eq!(made, Err(DeltaError::ImageLength { number: missing, expected, actual }));
}

/// Segments of small pages, and of pages with all kinds of scripts.
fn samples() -> Vec<(u32, Vec<Pair>, Vec<u8>)> {
    let mut samples = Vec::new();
    for page_bytes in [512_u32, 1024, 4096] {
        let shape = PageShape::new(page_bytes, 0).unwrap();
        let states = days(page_bytes as usize, 700, &[3, 60]);
        for states in states.windows(2) {
            let mut pairs = changed_pages(&states[0], &states[1], page_bytes as usize);
            pairs.truncate(24);
            let bytes = encode_segment(&changes(&pairs), shape).unwrap();
            samples.push((page_bytes, pairs, bytes));
        }
    }
    samples
}

fn mutate(bytes: &mut Vec<u8>, choices: &mut Choices) {
    for _ in 0..=choices.below(3) {
        let at = choices.below(bytes.len());
        match choices.below(6) {
            0 => bytes[at] = 0,
            1 => bytes[at] = bytes[at].wrapping_add(1),
            2 => bytes[at] ^= 1 << choices.below(8),
            3 => drop(bytes.remove(at)),
            4 => bytes.insert(at, u8::try_from(choices.below(256)).unwrap()),
            _ => bytes[at] = 0xff,
        }
    }
}

#[test]
fn a_hundred_thousand_damaged_segments_neither_panic_nor_fill_a_page_wrongly() {
    let samples = samples();
    let mut choices = Choices::new(100_000);
    let (mut refused, mut decoded) = (0, 0);
    for round in 0..100_000 {
        let (page_bytes, pairs, bytes) = &samples[round % samples.len()];
        let mut bytes = bytes.clone();
        mutate(&mut bytes, &mut choices);
        let pages = changes(pairs);
        let made = decode_segment(&bytes, *page_bytes, |number| {
            let place = pages.binary_search_by_key(&number, |page| page.number);
            pages[place.ok()?].old
        });
        match made {
            Err(_) => refused += 1,
            Ok(made) => {
                decoded += 1;
                assert!(made.iter().all(|(_, image)| image.len() == *page_bytes as usize));
                assert!(made.is_sorted_by_key(|(number, _)| *number));
            }
        }
    }
    // Both halves must have been tried: damage to literals decodes, and the blob's id tells.
    assert!(refused > 30_000 && decoded > 1_000, "{refused} refused, {decoded} decoded");
}

fn any_page() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0_u8), Just(13), Just(10), any::<u8>()];
    prop_oneof![
        prop::collection::vec(any::<u8>(), 512),
        prop::collection::vec(byte, 512),
        any::<u8>().prop_map(|byte| vec![byte; 512]),
        Just(vec![0; 512]),
    ]
}

/// The image after: the same, shifted, another page's, or something else.
fn any_pair() -> impl Strategy<Value = (Option<Vec<u8>>, Vec<u8>)> {
    let shifted = (any_page(), 0_usize..512).prop_map(|(old, by)| {
        let mut new = old.clone();
        new.rotate_left(by);
        (Some(old), new)
    });
    let edited = (any_page(), 0_usize..512, any::<u8>()).prop_map(|(old, at, byte)| {
        let mut new = old.clone();
        new[at] = byte;
        (Some(old), new)
    });
    prop_oneof![shifted, edited, (prop::option::of(any_page()), any_page())]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_pages_come_back(
        pairs in prop::collection::vec(any_pair(), 0..12),
        swap in any::<bool>(),
        reserved in 0_u8..=32,
        gap in 1_u32..1000,
    ) {
        let mut pairs: Vec<Pair> = pairs.into_iter().enumerate().map(|(place, (old, new))| {
            (u32::try_from(place).unwrap() * gap + 1, old, new)
        }).collect();
        if swap && pairs.len() > 1 {
            let last = pairs.len() - 1;
            let new = pairs[0].2.clone();
            pairs[0].2 = std::mem::replace(&mut pairs[last].2, new);
        }
        proved(&changes(&pairs), PageShape::new(512, reserved).unwrap());
    }

    #[test]
    fn any_bytes_are_refused_or_decode(bytes: Vec<u8>) {
        let made = decode_segment(&bytes, 512, |_| Some(&[10; 512]));
        if let Ok(made) = made {
            prop_assert!(made.iter().all(|(_, image)| image.len() == 512));
        }
    }
}
