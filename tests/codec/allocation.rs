//! What a call allocates on its own thread: the peak above where it began, and how often it asked.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

thread_local! {
    static LIVE: Cell<i64> = const { Cell::new(0) };
    static PEAK: Cell<i64> = const { Cell::new(0) };
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn note(bytes: i64) {
    // A thread that is ending has no counters any more, and nothing measures it.
    let live = LIVE.try_with(|live| live.replace(live.get() + bytes) + bytes).unwrap_or(0);
    let _ = PEAK.try_with(|peak| peak.set(peak.get().max(live)));
    let _ = CALLS.try_with(|calls| calls.set(calls.get() + u64::from(bytes > 0)));
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[expect(
    unsafe_code,
    reason = "only an allocator can count allocations; each call is handed on as it came"
)]
// SAFETY: `System` keeps the contract, and counting touches no memory of the caller.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(signed(layout.size()));
        // SAFETY: the caller's promise is the one that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        note(-signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Both may exist at once.
        note(signed(new_size));
        note(-signed(layout.size()));
        // SAFETY: as above.
        unsafe { System.realloc(pointer, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a call cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// Bytes that it held at most, beyond those before it.
    pub peak_bytes: i64,
    /// Times that it asked for memory.
    pub calls: u64,
}

/// Runs a call and counts.
pub(crate) fn measured<T>(call: impl FnOnce() -> T) -> (T, Cost) {
    let (live, calls) = (LIVE.get(), CALLS.get());
    PEAK.set(live);
    let result = call();
    (result, Cost { peak_bytes: PEAK.get() - live, calls: CALLS.get() - calls })
}

#[test]
fn an_allocation_is_noticed() {
    let (bytes, cost) = measured(|| vec![1_u8; 100_000]);
    assert_eq!(bytes.len(), 100_000);
    assert!((100_000..101_000).contains(&cost.peak_bytes), "{cost:?}");
    assert_eq!(cost.calls, 1);
}
