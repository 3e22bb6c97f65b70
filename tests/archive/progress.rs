//! What an observer hears while a source is read.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::observe::{Observer, Phase, Total, Warning};

use crate::archive::rig::{NoCapture, Rig, Sink};

#[derive(Default)]
struct Heard {
    items: AtomicU64,
    bytes: AtomicU64,
    largest_step: AtomicU64,
}

impl Observer for Heard {
    fn begin(&self, _: Phase, _: Option<Total>) {}

    fn advance(&self, items: u64, bytes: u64) {
        self.items.fetch_add(items, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.largest_step.fetch_max(bytes, Ordering::Relaxed);
    }

    fn warn(&self, _: Warning) {}
}

#[test]
fn bytes_are_told_while_a_large_file_is_read_and_add_up() {
    const MIB: u64 = 1 << 20;
    let (rig, sink, heard) = (Rig::new(), Sink::new(), Heard::default());
    let large: Vec<u8> = (0..40 * MIB).map(|n| (n ^ (n >> 11)).to_le_bytes()[0]).collect();
    fs::write(rig.path("large"), &large).unwrap();
    fs::write(rig.path("small"), "small").unwrap();
    fs::hard_link(rig.path("large"), rig.path("name")).unwrap();
    fs::File::create(rig.path("hollow")).unwrap().set_len(3 * MIB).unwrap();
    rig.archive(&sink, (&|| 1, &NoCapture), &heard).unwrap();
    assert_eq!(heard.items.load(Ordering::Relaxed), 4);
    let whole = 2 * 40 * MIB + 5 + 3 * MIB;
    assert_eq!(heard.bytes.load(Ordering::Relaxed), whole);
    // The other name of the large file is told at once: nothing of it is read.
    assert_eq!(heard.largest_step.load(Ordering::Relaxed), 40 * MIB);
    fs::remove_file(rig.path("name")).unwrap();
    let (sink, heard) = (Sink::new(), Heard::default());
    rig.archive(&sink, (&|| 1, &NoCapture), &heard).unwrap();
    let largest = heard.largest_step.load(Ordering::Relaxed);
    assert!(largest <= 16 * MIB, "a step of {largest} bytes");
}
