//! Baseline JPEG: every segment, then every Huffman code up to the end of the image.

use std::collections::HashMap;

/// Symbol by (length, code).
type Codes = HashMap<(u8, u16), u8>;

#[derive(Default)]
struct Frame {
    width: usize,
    height: usize,
    dc: Codes,
    ac: Codes,
    quantisers: usize,
}

/// Width and height in pixels.
pub(crate) fn size(bytes: &[u8]) -> (usize, usize) {
    let (frame, _) = frame(bytes);
    (frame.width, frame.height)
}

/// Decodes everything; returns the number of 8 x 8 blocks.
pub(crate) fn blocks(bytes: &[u8]) -> usize {
    let (frame, scan) = frame(bytes);
    let mut bits = Bits::new(scan);
    let units = frame.width.div_ceil(8) * frame.height.div_ceil(8);
    let mut level = [0_i32; 3];
    for _ in 0..units {
        for dc in &mut level {
            block(&mut bits, &frame, dc);
        }
    }
    bits.finish();
    units * 3
}

fn frame(bytes: &[u8]) -> (Frame, &[u8]) {
    let (mut frame, mut rest) = (Frame::default(), bytes.strip_prefix(b"\xff\xd8").unwrap());
    loop {
        let (marker, length) = (rest[1], usize::from(u16::from_be_bytes([rest[2], rest[3]])));
        assert_eq!(rest[0], 0xff);
        let body = &rest[4..2 + length];
        rest = &rest[2 + length..];
        match marker {
            0xe0 => assert!(body.starts_with(b"JFIF\0")),
            0xdb => frame.quantisers += usize::from(body.len() == 65),
            0xc0 => start_of_frame(&mut frame, body),
            0xc4 => huffman(&mut frame, body),
            0xda => return (frame, rest),
            other => panic!("marker {other:02x}"),
        }
    }
}

fn start_of_frame(frame: &mut Frame, body: &[u8]) {
    let pair = |at| usize::from(u16::from_be_bytes([body[at], body[at + 1]]));
    (frame.height, frame.width) = (pair(1), pair(3));
    assert_eq!((body[0], body[5], body.len()), (8, 3, 15), "8 bits, three components");
    assert!(frame.height > 0 && frame.width > 0 && frame.quantisers > 0);
}

fn huffman(frame: &mut Frame, body: &[u8]) {
    let (counts, symbols) = body[1..].split_at(16);
    let (mut code, mut symbols) = (0_u16, symbols.iter());
    let table = if body[0] == 0 { &mut frame.dc } else { &mut frame.ac };
    for (length, count) in (1_u8..).zip(counts) {
        for symbol in symbols.by_ref().take(usize::from(*count)) {
            assert!(u32::from(code) < (1 << length) - 1, "no code of ones only");
            table.insert((length, code), *symbol);
            code += 1;
        }
        code <<= 1;
    }
    assert!(symbols.next().is_none());
}

fn block(bits: &mut Bits<'_>, frame: &Frame, level: &mut i32) {
    let size = bits.symbol(&frame.dc);
    *level += bits.value(size);
    assert!(size <= 11 && level.abs() < 1_024);
    let mut at = 1;
    while at < 64 {
        let symbol = bits.symbol(&frame.ac);
        match (symbol >> 4, symbol & 15) {
            (0, 0) => return,
            (15, 0) => at += 16,
            (run, size) => {
                assert!((1..=10).contains(&size));
                assert_ne!(bits.value(size), 0);
                at += run + 1;
            }
        }
    }
    assert_eq!(at, 64);
}

struct Bits<'a> {
    rest: &'a [u8],
    current: u8,
    left: u8,
}

impl<'a> Bits<'a> {
    fn new(rest: &'a [u8]) -> Self {
        Self { rest, current: 0, left: 0 }
    }

    fn bit(&mut self) -> u16 {
        if self.left == 0 {
            self.current = self.rest[0];
            let stuffed = self.current == 0xff;
            assert!(!stuffed || self.rest[1] == 0, "a marker inside the data");
            self.rest = &self.rest[1 + usize::from(stuffed)..];
            self.left = 8;
        }
        self.left -= 1;
        u16::from(self.current >> self.left & 1)
    }

    fn symbol(&mut self, codes: &Codes) -> u8 {
        let mut code = 0;
        for length in 1..=16 {
            code = code << 1 | self.bit();
            if let Some(symbol) = codes.get(&(length, code)) {
                return *symbol;
            }
        }
        panic!("no such code: {code:016b}");
    }

    fn value(&mut self, size: u8) -> i32 {
        let raw = (0..size).fold(0, |value, _| value << 1 | i32::from(self.bit()));
        if size > 0 && raw >> (size - 1) == 0 { raw - (1 << size) + 1 } else { raw }
    }

    /// Only ones up to the byte's end, then the end of the image and nothing more.
    fn finish(mut self) {
        while self.left > 0 {
            assert_eq!(self.bit(), 1);
        }
        assert_eq!(self.rest, b"\xff\xd9");
    }
}
