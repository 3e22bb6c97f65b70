//! A host whose clock, randomness and names a test decides; a pause costs no time but on its clock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use larder::host::Host;

/// Ticks a microsecond at every look; random bytes come from a seed and never repeat.
#[derive(Debug)]
pub struct TestHost {
    now_ns: AtomicI64,
    seed: u64,
    drawn: AtomicU64,
    command: Mutex<String>,
}

/// Sunday, 22 November 2026, 02:00 UTC.
pub const START_NS: i64 = 1_795_312_800_000_000_000;

impl TestHost {
    /// A host that starts at [`START_NS`]; equal seeds give equal runs.
    pub fn seeded(seed: u64) -> Self {
        Self {
            now_ns: AtomicI64::new(START_NS),
            seed,
            drawn: AtomicU64::new(0),
            command: Mutex::new("larder backup".to_owned()),
        }
    }

    /// Lets time pass.
    pub fn advance_ns(&self, by: i64) {
        self.now_ns.fetch_add(by, Ordering::Relaxed);
    }
}

impl Host for TestHost {
    fn now_ns(&self) -> i64 {
        self.now_ns.fetch_add(1000, Ordering::Relaxed)
    }

    fn pause(&self, time: Duration) {
        self.advance_ns(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX));
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        for chunk in buffer.chunks_mut(8) {
            let drawn = self.drawn.fetch_add(1, Ordering::Relaxed);
            let word =
                mix(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ mix(drawn)).to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
    }

    fn name(&self) -> String {
        "testhost".to_owned()
    }

    fn user(&self) -> String {
        "tester".to_owned()
    }

    fn pid(&self) -> u32 {
        4711
    }

    fn command(&self) -> String {
        self.command.lock().map(|command| command.clone()).unwrap_or_default()
    }
}

/// The finaliser of `SplitMix64`.
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
