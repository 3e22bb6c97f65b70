//! Many threads in one session, those of a pool among them.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use larder::codec::pack::PackClass;
use larder::id::BlobType;
use larder::repo::blobs::{BlobWrite, Compression, NewBlob};
use larder::repo::facts::Facts;
use larder::repo::repository::Repository;
use larder::repo::session::{Session, claim_source};
use larder::repo::space::MinFree;
use larder_testkit::host::TestHost;
use larder_testkit::sim_disk::SimDisk;
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::rig::{backend, check_all, fresh, host, open};

/// A trailer or segment of so many blobs is long enough to be worth hashing on several threads.
const BLOBS_A_PACK: u32 = 5_000;

/// Packs that are sealed while the pool is at work.
const ROUNDS: u32 = 8;

/// Those of the pool included.
const BLOBS: u32 = 3 * ROUNDS * BLOBS_A_PACK;

fn put(session: &Session<'_>, number: u32) {
    let plain = number.to_le_bytes();
    let blob = NewBlob {
        blob_type: BlobType::Data,
        class: PackClass::Data,
        compression: Compression::Never,
        plain: &plain,
    };
    session.put(blob).unwrap();
}

fn with_session(disk: &SimDisk, work: impl FnOnce(&Session<'_>)) {
    let repository: Repository = open(backend(disk.clone())).unwrap();
    let (facts, host): (_, TestHost) = (Facts::read(&repository).unwrap(), host(1));
    let held = claim_source(&repository, "shelf").unwrap();
    let min_free = MinFree { asked_bytes: Some(0) };
    work(&Session::begin(&repository, &facts, held, min_free, &host).unwrap());
}

/// The threads of the pool that all share put, and a thread that is none of them puts and seals. Would hashing a trailer or a segment
/// need the pool while it holds the session, it would wait for threads that wait for it.
fn put_on_the_pool_and_seal_beside_it(disk: &SimDisk) {
    with_session(disk, |session| {
        let sealed = |round: u32| round * BLOBS_A_PACK..(round + 1) * BLOBS_A_PACK;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for round in 0..ROUNDS {
                    sealed(round).for_each(|number| put(session, number));
                    session.keep().unwrap();
                }
            });
            scope.spawn(|| {
                let of_the_pool = ROUNDS * BLOBS_A_PACK..BLOBS;
                of_the_pool.into_par_iter().for_each(|number| put(session, number));
            });
        });
        session.keep().unwrap();
    });
}

#[test]
fn a_session_never_waits_for_the_pool_that_waits_for_it() {
    let disk = Arc::new(fresh());
    let (done, waiting) = sync_channel(1);
    // A thread that nobody joins: if it stands still, the test shall not.
    let aside = rayon::ThreadPoolBuilder::new().num_threads(1).panic_handler(drop).build().unwrap();
    let theirs = Arc::clone(&disk);
    aside.spawn(move || {
        put_on_the_pool_and_seal_beside_it(&theirs);
        done.send(()).unwrap();
    });
    match waiting.recv_timeout(Duration::from_mins(2)) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("the session stands still"),
        Err(RecvTimeoutError::Disconnected) => panic!("a thread panicked"),
    }
    let report = check_all(&open(backend(SimDisk::clone(&disk))).unwrap()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.data.unwrap().blobs, u64::from(BLOBS));
}
