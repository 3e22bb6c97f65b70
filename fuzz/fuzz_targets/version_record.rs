//! Any bytes as a version record: one that is accepted is within its bounds and has one encoding.

#![no_main]

use larder::codec::Durable;
use larder::codec::version::VersionRecord;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = VersionRecord::decode(bytes) {
        assert!(record.within_bounds());
        assert_eq!(record.encode().as_deref(), Ok(bytes));
    }
});
