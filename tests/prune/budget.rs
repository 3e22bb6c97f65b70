//! What pruning may cost, in counts that no machine changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use larder::codec::index::{Place, SegmentBuilder};
use larder::codec::pack::Encoding;
use larder::id::{BlobId, BlobType, PackId};
use larder::observe::Unobserved;
use larder::ops::prune::outlook;
use larder::repo::backend::memory::MemoryBackend;
use larder::repo::index::Index;
use larder::repo::layout;
use larder::repo::prune::live::{Live, LiveSet, Packs};
use larder::repo::repository::{InitOptions, Repository};
use larder_testkit::sim_disk::SimDisk;

use super::rig::{
    Saved, Tree, backend, host, night, open, options, prune_now, settled, three_nights,
};
use crate::codec::allocation::measured;

const BLOBS: u64 = 100_000;
const OF_A_PACK: u64 = 1000;
const SEGMENTS: u64 = 4;

/// An index of so many blobs, each at one place.
fn index(repository: &Repository, ids: &[BlobId]) -> (Index, Packs) {
    let stage = repository.backend().stage("test").unwrap();
    let mut packs = Packs::new();
    for segment in 0..SEGMENTS {
        let mut builder = SegmentBuilder::new(*repository.id());
        for (number, id) in (0_u64..).zip(ids).filter(|(it, _)| it % SEGMENTS == segment) {
            let mut pack = [7; 32];
            pack[..8].copy_from_slice(&(number / OF_A_PACK * SEGMENTS + segment).to_be_bytes());
            let pack = PackId::from_bytes(pack);
            let len = 100 + OF_A_PACK * 10;
            packs.insert(pack, len);
            builder.add_pack(pack, len).unwrap();
            let place = Place {
                pack,
                offset: 100 + number % OF_A_PACK * 10,
                stored_len: 10,
                plain_len: 10,
                blob_type: BlobType::Data,
                encoding: Encoding::Raw,
            };
            builder.add(id, &place).unwrap();
        }
        let bytes = builder.finish(repository.keys());
        stage.put(&layout::segment(&repository.keys().segment_id(&bytes)), &bytes).unwrap();
    }
    stage.barrier().unwrap();
    (Index::load(repository.backend(), repository.keys()).unwrap(), packs)
}

#[test]
fn what_is_alive_takes_a_bit_a_place_and_a_row_a_pack() {
    let memory = Arc::new(MemoryBackend::default());
    let repository = Repository::init(memory, "memory", InitOptions::default(), &host(0)).unwrap();
    let ids: Vec<BlobId> = (0..BLOBS)
        .map(|number| repository.keys().blob_id(BlobType::Data, &number.to_le_bytes()))
        .collect();
    let (index, packs) = index(&repository, &ids);
    let (settled, cost) = measured(|| {
        let mut live = LiveSet::new(&index, &packs).unwrap();
        for id in &ids {
            live.live(BlobType::Data, id).unwrap();
        }
        live.settle(&BTreeSet::new()).unwrap()
    });
    assert_eq!(settled.packs.len(), packs.len());
    assert!(settled.packs.values().all(|it| it.dead_bytes() == 0 && it.live_bytes > 0));
    let allowed = BLOBS / 8 + packs.len() as u64 * 300 + 4096;
    assert!(u64::try_from(cost.peak_bytes).unwrap() <= allowed, "{} bytes", cost.peak_bytes);
    // Nothing is allocated for a blob that has one place, marking and settling alike.
    assert!(cost.calls < BLOBS / 20, "{} allocations", cost.calls);
}

/// Reads of a prune that changes nothing.
fn reads(disk: &SimDisk) -> u64 {
    let disk = settled(disk);
    let repository = open(backend(disk.clone())).unwrap();
    outlook(&repository, &options(), &host(50), &Unobserved).unwrap();
    disk.reads()
}

#[test]
fn a_manifest_that_many_snapshots_share_is_read_once() {
    let tree = Tree::new();
    let (disk, mut saved, _) = three_nights(&tree);
    let before = reads(&disk);
    for number in 4..14 {
        night(&disk, &tree, number, &mut saved);
    }
    let records = reads(&disk) - before;
    assert!(records <= 10 * 3, "{records} reads for ten more records of the same tree");
}

#[test]
fn a_prune_with_nothing_to_do_looks_and_changes_nothing_but_its_marker() {
    let tree = Tree::new();
    let (disk, mut saved, _) = three_nights(&tree);
    let disk = {
        night(&disk, &tree, 4, &mut Saved::new());
        saved.clear();
        settled(&disk)
    };
    prune_now(backend(disk.clone()), 50).unwrap();
    let log = disk.log();
    let ours = |path: &str| {
        ["tmp", "sessions/", "locks/"].iter().any(|directory| path.starts_with(directory))
    };
    let others: Vec<_> = log.iter().filter(|it| !ours(&it.path)).collect();
    assert!(others.is_empty(), "{others:#?}");
    assert!(log.len() <= 14 && disk.reads() <= 90, "{} changes, {} reads", log.len(), disk.reads());
}
