//! Many nights of random changes against a plain model: every kept state.

use larder::codec::version::{MAX_LAYERS, SPARE_PAGES};
use larder::id::BlobId;
use larder::snapshot::version::page::PageReader;
use larder_testkit::memory_blobs::MemoryBlobs;
use larder_testkit::seed::Seeded;
use proptest::prelude::*;

use super::{HOUR_NS, Pages, at, len_of, made, record_of, store};

/// What a night does to a database.
#[derive(Debug, Clone)]
enum Night {
    Nothing,
    /// A few bytes of some pages.
    Edit(Vec<(u32, u16, u8)>),
    Grow(u32),
    Shrink(u32),
    /// Pages change places, as in VACUUM.
    Shuffle(u32),
    /// Everything is written anew with pages of another size.
    Resize,
    /// The state of two nights before comes back.
    Back,
}

fn night() -> impl Strategy<Value = Night> {
    let edit = prop::collection::vec((any::<u32>(), any::<u16>(), any::<u8>()), 1..12);
    prop_oneof![
        1 => Just(Night::Nothing),
        10 => edit.prop_map(Night::Edit),
        3 => (1..20_u32).prop_map(Night::Grow),
        2 => (1..20_u32).prop_map(Night::Shrink),
        1 => any::<u32>().prop_map(Night::Shuffle),
        1 => Just(Night::Resize),
        1 => Just(Night::Back),
    ]
}

impl Night {
    fn change(&self, past: &[Pages], seed: u64) -> Pages {
        let mut now = past.last().unwrap().clone();
        let size = now.size as usize;
        match self {
            Self::Nothing => {}
            Self::Edit(edits) => {
                for (page, offset, value) in edits {
                    let (page, offset) = ((page % now.count()) as usize, *offset as usize % size);
                    now.bytes[page * size + offset] ^= value | 1;
                }
            }
            Self::Grow(pages) => now.bytes.extend(Seeded::new(seed).bytes(*pages as usize * size)),
            Self::Shrink(pages) => {
                let left = now.count().saturating_sub(*pages).max(1) as usize;
                now.bytes.truncate(left * size);
            }
            Self::Shuffle(by) => {
                let turn = (by % now.count()) as usize;
                now.bytes.rotate_left(turn * size);
            }
            Self::Resize => {
                now.size = if now.size == 512 { 1024 } else { 512 };
                let whole = now.bytes.len().div_ceil(1024) * 1024;
                now.bytes.resize(whole, 0);
            }
            Self::Back => now = past.iter().rev().nth(2).unwrap_or(&now).clone(),
        }
        now
    }
}

/// Nights at these distances; the version of each, and what it must give.
fn live(nights: &[Night], hours: i64, first_pages: u32) -> (MemoryBlobs, Vec<BlobId>, Vec<Pages>) {
    let blobs = MemoryBlobs::default();
    let bytes = Seeded::new(1).bytes(first_pages as usize * 512);
    let mut states = vec![Pages { size: 512, bytes }];
    let (mut records, mut time) = (Vec::<BlobId>::new(), 1_795_312_800_000_000_000);
    let mut before = None;
    for (number, night) in (0_u64..).zip(std::iter::once(&Night::Nothing).chain(nights)) {
        let now = night.change(&states, number);
        let newest_first: Vec<_> = records.iter().rev().copied().collect();
        let stored = store((&blobs, &blobs), &now, &newest_first, at(time, before)).unwrap();
        assert_eq!((&stored.damage[..], &stored.notices[..]), (&[][..], &[][..]));
        assert_eq!(len_of(&stored.content), now.bytes.len() as u64);
        records.push(stored.record);
        states.push(now);
        (before, time) = (Some(time), time + hours * HOUR_NS);
    }
    states.remove(0);
    (blobs, records, states)
}

fn assert_all_come_back(blobs: &MemoryBlobs, records: &[BlobId], states: &[Pages]) {
    for (night, (record, state)) in records.iter().zip(states).enumerate() {
        let bytes = made(blobs, record, state.bytes.len() as u64).unwrap();
        assert!(bytes == state.bytes, "night {night} comes back differently");
        let record = record_of(blobs, record);
        assert!(record.within_bounds() && record.layers.len() <= MAX_LAYERS, "night {night}");
        assert_eq!(record.root, *blake3::hash(&state.bytes).as_bytes());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_night_comes_back_whole_and_page_by_page(
        nights in prop::collection::vec(night(), 1..30),
        hours in prop::sample::select(vec![1_i64, 6, 24, 24 * 9]),
        pages in 1..120_u32,
    ) {
        let (blobs, records, states) = live(&nights, hours, pages);
        assert_all_come_back(&blobs, &records, &states);
        for (record, state) in records.iter().zip(&states).step_by(5) {
            let mut reader = PageReader::open(&blobs, record).unwrap();
            // Keeps no image: whatever has layers is made level by level.
            let mut frugal = PageReader::open(&blobs, record).unwrap().keeping(0);
            prop_assert_eq!(reader.page_count(), state.count());
            for number in (1..=state.count()).rev() {
                let page = reader.page(number).unwrap().unwrap();
                prop_assert!(&*page == state.page(number), "page {}", number);
                let page = frugal.page(number).unwrap().unwrap();
                prop_assert!(&*page == state.page(number), "page {} level by level", number);
            }
            prop_assert!(reader.page(0).unwrap().is_none());
            prop_assert!(reader.page(state.count() + 1).unwrap().is_none());
        }
    }
}

#[test]
fn a_night_without_a_change_has_the_version_before() {
    let (blobs, records, _) = live(&[Night::Nothing, Night::Nothing], 24, 50);
    assert!(records.iter().all(|record| *record == records[0]));
    let before = blobs.stored();
    live(&[], 24, 50);
    assert_eq!(blobs.stored(), before);
}

/// Every hour the same pages change: never a calendar's end in time, so only the bounds hold the stack down.
#[test]
fn bounds_hold_whatever_the_calendar_says() {
    let edit = |page: u32| Night::Edit((0..40).map(|n| (page + n, 7, 9)).collect());
    let nights: Vec<_> = (0..150).map(edit).collect();
    // Nine days apart every one ends a week; so the clock stands still instead, and nothing is foreseen.
    let (blobs, records, states) = live(&nights, 0, 400);
    assert_all_come_back(&blobs, &records, &states);
    let depth = |record: &BlobId| record_of(&blobs, record).layers.len();
    assert_eq!(records.iter().map(depth).max(), Some(MAX_LAYERS));
    let pages = |record: &BlobId| record_of(&blobs, record).layer_pages();
    assert!(records.iter().map(pages).max().unwrap() <= 2 * 400 + SPARE_PAGES);
    assert!(records.iter().all(|record| record_of(&blobs, record).base.page_count == 400));
}

#[test]
fn a_stack_of_many_pages_is_cut_at_twice_the_database() {
    let whole = |number: u16| Night::Edit((0..2900).map(|page| (page, number, 9)).collect());
    let (blobs, records, states) = live(&(0..8).map(whole).collect::<Vec<_>>(), 0, 3000);
    assert_all_come_back(&blobs, &records, &states);
    let pages: Vec<_> =
        records.iter().map(|record| record_of(&blobs, record).layer_pages()).collect();
    let most = 2 * 3000 + SPARE_PAGES;
    assert!(pages.iter().all(|pages| *pages <= most), "{pages:?}");
    assert!(pages.iter().any(|pages| *pages > most - 2900), "the room is used: {pages:?}");
}

#[test]
fn a_night_that_changes_nearly_everything_becomes_a_new_base() {
    let blobs = MemoryBlobs::default();
    let states = [1, 2].map(|seed| Pages { size: 512, bytes: Seeded::new(seed).bytes(512 * 90) });
    let first = store((&blobs, &blobs), &states[0], &[], at(0, None)).unwrap();
    let second = store((&blobs, &blobs), &states[1], &[first.record], at(1, None)).unwrap();
    let record = record_of(&blobs, &second.record);
    assert_eq!((record.layers.len(), second.notices.len()), (0, 0));
    assert_ne!(record.base, record_of(&blobs, &first.record).base);
    assert!(made(&blobs, &second.record, 512 * 90).unwrap() == states[1].bytes);
}

/// The newest version cannot be read: the one before it can.
#[test]
fn the_newest_readable_stack_is_gone_on_with() {
    let edit = |page: u32| Night::Edit(vec![(page, 3, 7)]);
    let (blobs, records, states) = live(&[edit(1), edit(2), edit(3)], 0, 60);
    let newest = record_of(&blobs, &records[3]);
    assert_eq!(newest.layers.len(), 3);
    let lost = newest.layers[1].segments[0].id;
    assert!(blobs.lose(larder::id::BlobType::PagePatch, lost));
    let next = edit(4).change(&states, 9);
    let candidates: Vec<_> = records.iter().rev().copied().collect();
    let stored = store((&blobs, &blobs), &next, &candidates, at(9, None)).unwrap();
    assert_eq!(stored.damage.len(), 1, "{:?}", stored.damage);
    assert!(stored.damage[0].to_string().contains(&lost.to_string()), "{:?}", stored.damage);
    let record = record_of(&blobs, &stored.record);
    assert_eq!(record.layers[..1], newest.layers[..1], "upon the last one that has no such layer");
    assert_eq!(record.layers.len(), 2);
    assert!(made(&blobs, &stored.record, next.bytes.len() as u64).unwrap() == next.bytes);
    // Without any that can be read it becomes a base.
    for record in records {
        blobs.lose(larder::id::BlobType::VersionRecord, record);
    }
    let stored = store((&blobs, &blobs), &next, &candidates, at(9, None)).unwrap();
    assert_eq!(stored.damage.len(), 4);
    assert_eq!(record_of(&blobs, &stored.record).layers, []);
}

#[test]
fn a_database_that_shrank_does_not_rest_on_its_long_base() {
    let blobs = MemoryBlobs::default();
    let long = Pages { size: 512, bytes: Seeded::new(9).bytes(512 * 8000) };
    let short = Pages { size: 512, bytes: Seeded::new(10).bytes(512 * 100) };
    let mut last = store((&blobs, &blobs), &long, &[], at(0, None)).unwrap().record;
    for night in 1..5_usize {
        let mut now = short.clone();
        now.bytes[night * 5000] ^= 1;
        let moment = at(i64::try_from(night).unwrap() * 24 * HOUR_NS, None);
        last = store((&blobs, &blobs), &now, &[last], moment).unwrap().record;
        let record = record_of(&blobs, &last);
        assert_eq!((record.base.page_count, record.layers.len()), (100, night - 1));
        assert!(made(&blobs, &last, 512 * 100).unwrap() == now.bytes);
    }
}
