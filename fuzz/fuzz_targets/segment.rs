//! Any bytes as a segment of a page patch: decoding ends in filled pages or an error.

#![no_main]

use larder::delta::decode::{Segment, decode_segment};
use larder::delta::error::DeltaError;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, u32, Vec<u8>)| {
    let (size, below, bytes) = input;
    let page_bytes = 512_u32 << (size % 8);
    // Old images that look like pages of a tree now and then: their bytes come from the input.
    let old = |number: u32, image: &mut [u8]| -> Result<bool, DeltaError> {
        for (at, byte) in image.iter_mut().enumerate() {
            let from = (at + number as usize) % bytes.len().max(1);
            *byte = bytes.get(from).copied().unwrap_or_default();
        }
        Ok(number <= below)
    };
    if let Ok(segment) = Segment::parse(&bytes, page_bytes) {
        let again = Segment::with_index(&bytes, &segment.index()).expect("the same bytes");
        for place in 0..segment.page_count() {
            assert_eq!(segment.page(place, old).ok(), again.page(place, old).ok());
        }
    }
    if let Ok(pages) = decode_segment(&bytes, page_bytes, old) {
        assert!(pages.iter().all(|(_, image)| image.len() == page_bytes as usize));
        assert!(pages.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
});
