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

/// The pool's threads put and seal: whoever hashes on the pool while it holds the session would wait for those who wait for it,
/// or be given a put to do in its own wait.
fn put_and_seal_on_the_pool(disk: &SimDisk) {
    with_session(disk, |session| {
        (0..6 * BLOBS_A_PACK).into_par_iter().for_each(|number| {
            put(session, number);
            if number % BLOBS_A_PACK == BLOBS_A_PACK / 2 {
                session.keep().unwrap();
            }
        });
        session.keep().unwrap();
    });
}

#[test]
fn a_session_never_waits_for_the_pool_that_waits_for_it() {
    let disk = Arc::new(fresh());
    let (done, waiting) = sync_channel(1);
    // A pool of its own, which nobody joins: threads that stand still must not take the other tests with them.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).panic_handler(drop).build().unwrap();
    let theirs = Arc::clone(&disk);
    pool.spawn(move || {
        put_and_seal_on_the_pool(&theirs);
        done.send(()).unwrap();
    });
    match waiting.recv_timeout(Duration::from_mins(2)) {
        Ok(()) => {}
        Err(RecvTimeoutError::Timeout) => panic!("the session stands still"),
        Err(RecvTimeoutError::Disconnected) => panic!("a thread of the pool panicked"),
    }
    let report = check_all(&open(backend(SimDisk::clone(&disk))).unwrap()).unwrap();
    assert!(report.is_clean(), "{:?}", report.findings);
    assert_eq!(report.data.unwrap().blobs, u64::from(6 * BLOBS_A_PACK));
}
