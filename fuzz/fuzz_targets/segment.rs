//! Any bytes as a segment of a page patch: decoding ends in filled pages or an error.
//!
//! An input is the size of pages, how many have an old image, the length of what old images look like, that, and the segment.

#![no_main]

use larder::delta::decode::{Segment, decode_segment};
use libfuzzer_sys::fuzz_target;

/// Old images that there are; page numbers beyond take turns with them.
const IMAGES: usize = 4;

fuzz_target!(|input: &[u8]| {
    let [size, below, length, rest @ ..] = input else { return };
    let (seed, bytes) = rest.split_at(rest.len().min(usize::from(*length) * 8));
    let (page_bytes, below) = (512_u32 << (size % 8), u32::from(*below));
    let images = images(seed, page_bytes as usize);
    let old = |number: u32| (number <= below).then(|| &images[number as usize % IMAGES][..]);
    if let Ok(segment) = Segment::parse(bytes, page_bytes) {
        let again = Segment::with_index(bytes, &segment.index()).expect("the same bytes");
        let (mut maker, mut other) = (segment.maker(), again.maker());
        for place in 0..segment.page_count() {
            let old = |_, number| old(number);
            assert_eq!(maker.page(place, old), other.page(place, old));
        }
    }
    if let Ok(pages) = decode_segment(bytes, page_bytes, old) {
        assert!(pages.iter().all(|(_, image)| image.len() == page_bytes as usize));
        assert!(pages.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
});

/// Images that look like pages of a tree now and then: their bytes come from the input.
fn images(seed: &[u8], page_bytes: usize) -> Vec<Vec<u8>> {
    let byte = |at: usize| seed.get(at % seed.len().max(1)).copied().unwrap_or_default();
    (0..IMAGES).map(|image| (image..image + page_bytes).map(byte).collect()).collect()
}
