//! The machine that the benches run on.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::host::Host;

/// The system's clock and its chance, under one name.
#[derive(Debug)]
pub struct BenchHost;

/// Now, nanoseconds since 1970.
pub fn now_ns() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    i64::try_from(now.as_nanos()).expect("a clock before 2262")
}

impl Host for BenchHost {
    fn now_ns(&self) -> i64 {
        now_ns()
    }

    fn pause(&self, time: Duration) {
        std::thread::sleep(time);
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), now_ns());
        blake3::Hasher::new().update(&random.to_le_bytes()).finalize_xof().fill(buffer);
    }

    fn name(&self) -> String {
        "bench".into()
    }

    fn user(&self) -> String {
        "bench".into()
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn command(&self) -> String {
        "bench".into()
    }
}
