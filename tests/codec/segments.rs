//! Index segments against a plain map, against every damaged byte, and against forged but well-sealed pages.

use std::collections::BTreeMap;

use larder::codec::index::{
    BlobKey, KEY_LEN, MAX_SEGMENT_ENTRIES, PAGE_LEN, PageDamage, Place, SegmentBuilder,
    SegmentView, key_of,
};
use larder::codec::pack::Encoding;
use larder::id::{BlobId, BlobType, PackId};
use proptest::prelude::*;

use super::allocation::measured;
use super::mutations::{ROUNDS, Seeded, mutated};
use super::samples::{keys, long_segment, repository, segment};

const PACK_LEN: u64 = 1 << 40;

fn pack(number: u8) -> PackId {
    PackId::from_bytes([number; 32])
}

/// Few ids and few places, so that they meet.
fn listed() -> impl Strategy<Value = (BlobId, Place)> {
    let id = (any::<u8>(), 0_u8..3).prop_map(|(first, last)| {
        let mut id = [7; 32];
        (id[0], id[KEY_LEN - 1]) = (first, last);
        BlobId::from_bytes(id)
    });
    let blob_type = proptest::sample::select(BlobType::ALL.to_vec());
    (id, blob_type, 0_u8..4, 0_u64..5, any::<bool>()).prop_map(
        |(id, blob_type, number, offset, raw)| {
            let (encoding, plain_len) =
                if raw { (Encoding::Raw, 10) } else { (Encoding::Zstd, 99) };
            (
                id,
                Place {
                    pack: pack(number),
                    offset,
                    stored_len: 10,
                    plain_len,
                    blob_type,
                    encoding,
                },
            )
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_segment_is_a_map_of_sets(listed in prop::collection::vec(listed(), 0..400)) {
        let mut builder = SegmentBuilder::new(repository());
        for number in [2, 0, 3, 1] {
            builder.add_pack(pack(number), PACK_LEN).unwrap();
        }
        let mut model: BTreeMap<BlobKey, Vec<Place>> = BTreeMap::new();
        for (id, place) in &listed {
            builder.add(id, place).unwrap();
            model.entry(key_of(id)).or_default().push(*place);
        }
        for places in model.values_mut() {
            places.sort_unstable();
            places.dedup();
        }
        let bytes = builder.finish(&keys());
        let view = SegmentView::open(bytes.as_slice(), &keys()).unwrap();
        for (id, _) in &listed {
            for blob_type in BlobType::ALL {
                let mut expected = model[&key_of(id)].clone();
                expected.retain(|place| place.blob_type == blob_type);
                prop_assert_eq!(view.lookup(blob_type, id), Ok(expected));
            }
        }
        let all: Vec<(BlobKey, Place)> = view.iter().map(Result::unwrap).collect();
        let expected: Vec<_> =
            model.iter().flat_map(|(key, places)| places.iter().map(|place| (*key, *place))).collect();
        prop_assert_eq!(all.len() as u64, view.entry_count());
        prop_assert_eq!(all, expected);
        prop_assert_eq!(view.verify_all(), vec![]);
    }
}

/// The place, or the damage that hides it; never another answer.
fn answers_truly(bytes: &[u8], listed: &[(BlobId, Place)]) -> usize {
    let Ok(view) = SegmentView::open(bytes, &keys()) else { return listed.len() };
    let mut hidden = 0;
    for (id, place) in listed {
        match view.lookup(BlobType::Data, id) {
            Ok(places) => assert_eq!(places, [*place]),
            Err(PageDamage { page, .. }) => {
                assert!(page < bytes.len() as u64 / PAGE_LEN as u64);
                hidden += 1;
            }
        }
    }
    hidden
}

#[test]
fn every_inverted_byte_is_noticed() {
    let (sound, listed) = long_segment(300);
    assert_eq!(sound.len(), 4 * (PAGE_LEN + 16) + 32);
    assert_eq!(answers_truly(&sound, &listed), 0);
    // All of the page checks and the footer, and of the pages as many bytes as take a second.
    let pages = (0..4 * PAGE_LEN).step_by(7);
    for at in pages.chain(4 * PAGE_LEN..sound.len()) {
        let mut bytes = sound.clone();
        bytes[at] = !bytes[at];
        answers_truly(&bytes, &listed[..10]);
        let noticed = SegmentView::open(bytes.as_slice(), &keys())
            .map_or(true, |view| !view.verify_all().is_empty());
        assert!(noticed, "byte {at}");
    }
}

#[test]
fn every_truncation_is_refused() {
    let (sound, _) = long_segment(300);
    for len in 0..sound.len() {
        assert!(SegmentView::open(&sound[..len], &keys()).is_err(), "{len} bytes");
    }
    let longer = [sound.as_slice(), &[0]].concat();
    assert!(SegmentView::open(longer.as_slice(), &keys()).is_err());
}

#[test]
fn another_repository_has_other_checks() {
    let other = larder::id::HashKeys::of_repository(&larder::id::RepositoryId::from_bytes([9; 32]));
    assert!(SegmentView::open(segment().as_slice(), &other).is_err());
}

/// Computes every check anew, as someone with the repository's keys can.
fn reseal(bytes: &mut [u8]) {
    let pages = bytes.len().saturating_sub(32) / (PAGE_LEN + 16);
    if pages == 0 || pages * (PAGE_LEN + 16) + 32 != bytes.len() {
        return;
    }
    let tables = pages * PAGE_LEN;
    let (pages, tail) = bytes.split_at_mut(tables);
    for (page, check) in pages.chunks_exact(PAGE_LEN).zip(tail.chunks_exact_mut(16)) {
        check.copy_from_slice(keys().check(page).as_bytes());
    }
    let (covered, check) = tail.split_at_mut(tail.len() - 16);
    check.copy_from_slice(keys().check(covered).as_bytes());
}

/// Everything a reader can ask; places must make sense whatever they say.
fn ask_everything(bytes: &[u8]) -> bool {
    let Ok(view) = SegmentView::open(bytes, &keys()) else { return false };
    let lengths: BTreeMap<PackId, u64> = view.packs().filter_map(Result::ok).collect();
    for (key, place) in view.iter().take(MAX_SEGMENT_ENTRIES).filter_map(Result::ok) {
        assert!(
            place.offset + u64::from(place.stored_len) <= lengths.values().copied().max().unwrap()
        );
        let _ = view.find(&key);
    }
    for first in [0x00, 0x40, 0xff] {
        let _ = view.lookup(BlobType::Data, &BlobId::from_bytes([first; 32]));
    }
    view.verify_all().is_empty()
}

#[test]
fn forged_pages_never_panic() {
    let samples = [segment(), long_segment(20).0];
    let mut sound = 0;
    for round in 0..ROUNDS {
        let mut random = Seeded::new(round);
        let mut bytes = mutated(&samples, &mut random);
        // One in two: what a broken disk does. The other: what a malicious writer does.
        if round % 2 == 0 {
            reseal(&mut bytes);
        }
        let (whole, cost) = measured(|| ask_everything(&bytes));
        sound += u64::from(whole);
        assert!(cost.peak_bytes < 64 * 1024, "round {round}: {cost:?}");
    }
    // Forged ids, lengths and packs are sound to look at; the pack's trailer decides about them.
    assert!(sound > 0 && sound < ROUNDS / 2, "{sound} of {ROUNDS}");
}

#[test]
fn forged_tables_are_named_by_page() {
    let (sound, listed) = long_segment(300);
    let forge = |at: usize, with: &[u8]| {
        let mut bytes = sound.clone();
        bytes[at..at + with.len()].copy_from_slice(with);
        reseal(&mut bytes);
        bytes
    };
    let fan = forge(64, &u32::MAX.to_le_bytes());
    let view = SegmentView::open(fan.as_slice(), &keys()).unwrap();
    assert_eq!(view.verify_all()[0], PageDamage { page: 0, what: "impossible fan-out" });

    let places_at = (64_usize + 257 * 4).next_multiple_of(16) + 300 * 16;
    let wild = forge(places_at + 4, &u64::MAX.to_le_bytes());
    let view = SegmentView::open(wild.as_slice(), &keys()).unwrap();
    let (first, damage) = (view.iter().next().unwrap(), view.verify_all());
    assert_eq!(first.unwrap_err().what, "a place beyond the end of its pack");
    assert_eq!(damage.len(), 1);
    assert_eq!(damage[0].page, (places_at / PAGE_LEN) as u64);

    let keys_at = (64_usize + 257 * 4).next_multiple_of(16);
    let swapped = forge(keys_at, &[0xff; KEY_LEN]);
    let view = SegmentView::open(swapped.as_slice(), &keys()).unwrap();
    assert_eq!(view.verify_all()[0].page, 0);
    let found =
        listed.iter().filter(|(id, _)| !view.lookup(BlobType::Data, id).unwrap().is_empty());
    assert_eq!(found.count(), 299);
}

#[test]
fn a_header_with_impossible_counts_is_refused() {
    for (at, value) in
        [(10, 7_u64), (10, 25), (16, 1 << 29), (16, u64::MAX), (16, 0), (12, u64::from(u32::MAX))]
    {
        let mut bytes = segment();
        let width = if at == 16 { 8 } else { 2 };
        bytes[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
        reseal(&mut bytes);
        let refused = SegmentView::open(bytes.as_slice(), &keys())
            .map_or(true, |view| !view.verify_all().is_empty());
        assert!(refused, "{value} at {at}");
    }
}
