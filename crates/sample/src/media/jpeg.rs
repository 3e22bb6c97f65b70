//! Baseline JPEG with random coefficients.
//!
//! No picture is transformed: the quantised coefficients themselves are drawn,
//! symbols by the probabilities that the Huffman codes imply. The entropy-coded
//! bits are then uniform, that is, incompressible like a photograph's.

use std::sync::LazyLock;

use crate::rng::Rng;

pub(crate) struct Jpeg {
    pub(crate) bytes: Vec<u8>,
    pub(crate) width: u16,
    pub(crate) height: u16,
}

/// Number of codes of each length 1..=16, then the symbols (ITU-T T.81, annex K.3, luminance).
const DC_COUNTS: [u8; 16] = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];
const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];
const AC_COUNTS: [u8; 16] = [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 0x7d];
#[rustfmt::skip]
const AC_SYMBOLS: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

const END_OF_BLOCK: u8 = 0x00;
const SIXTEEN_ZEROS: u8 = 0xf0;
/// Bits that a symbol is drawn from; rarer codes are not used.
const DRAW_BITS: u8 = 12;
/// Bytes that one unit of 8 x 8 pixels (three blocks) takes, about.
const UNIT_BYTES: usize = 32;
/// Where the two bytes of the height lie: SOI, APP0, one DQT, then SOF0's length and precision.
const HEIGHT_AT: usize = 2 + 18 + 69 + 5;

struct Huffman {
    /// Code and its length in bits, by symbol.
    code: [(u16, u8); 256],
    /// The symbol whose code begins the given `DRAW_BITS` bits.
    drawn: Vec<u8>,
}

static DC: LazyLock<Huffman> = LazyLock::new(|| Huffman::new(&DC_COUNTS, &DC_SYMBOLS));
static AC: LazyLock<Huffman> = LazyLock::new(|| Huffman::new(&AC_COUNTS, &AC_SYMBOLS));

impl Huffman {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Self {
        let mut table = Self { code: [(0, 0); 256], drawn: vec![END_OF_BLOCK; 1 << DRAW_BITS] };
        let (mut code, mut at) = (0_u16, symbols.iter());
        for (length, count) in (1_u8..).zip(counts) {
            for symbol in at.by_ref().take(usize::from(*count)) {
                table.add(*symbol, code, length);
                code += 1;
            }
            code <<= 1;
        }
        table
    }

    fn add(&mut self, symbol: u8, code: u16, length: u8) {
        self.code[usize::from(symbol)] = (code, length);
        if let Some(free) = DRAW_BITS.checked_sub(length) {
            let first = usize::from(code) << free;
            self.drawn[first..first + (1 << free)].fill(symbol);
        }
    }

    fn draw(&self, rng: &mut Rng) -> u8 {
        self.drawn[rng.index(1 << DRAW_BITS)]
    }
}

struct BitWriter {
    out: Vec<u8>,
    pending: u64,
    bits: u8,
}

impl BitWriter {
    fn put(&mut self, value: u16, length: u8) {
        self.pending = (self.pending << length) | u64::from(value);
        self.bits += length;
        while self.bits >= 8 {
            self.bits -= 8;
            let byte = (self.pending >> self.bits).to_le_bytes()[0];
            self.out.push(byte);
            if byte == 0xff {
                // A stuffed zero tells data from a marker.
                self.out.push(0);
            }
        }
    }

    /// Fills the last byte with ones, as the standard asks.
    fn finish(mut self) -> Vec<u8> {
        if self.bits > 0 {
            let fill = 8 - self.bits;
            self.put((1 << fill) - 1, fill);
        }
        self.out
    }
}

/// An RGB picture of about `target` bytes, at least one row of 16 x 8 pixels.
pub(crate) fn encode(rng: &mut Rng, target: usize) -> Jpeg {
    let across = (target / UNIT_BYTES).isqrt().clamp(2, 512);
    let width = u16::try_from(across * 8).expect("invariant: at most 512 units of 8 pixels");
    let mut bits = BitWriter { out: header(width), pending: 0, bits: 0 };
    let mut level = [0_i32; 3];
    let mut height = 0_u16;
    while height == 0 || (bits.out.len() < target && height < 60_000) {
        for _ in 0..across {
            for dc in &mut level {
                block(&mut bits, rng, dc);
            }
        }
        height += 8;
    }
    let mut bytes = bits.finish();
    bytes[HEIGHT_AT..HEIGHT_AT + 2].copy_from_slice(&height.to_be_bytes());
    bytes.extend([0xff, 0xd9]);
    Jpeg { bytes, width, height }
}

/// One 8 x 8 block: the change of its mean level, then the other 63 coefficients.
fn block(bits: &mut BitWriter, rng: &mut Rng, level: &mut i32) {
    let size = DC.draw(rng).min(5);
    let magnitude = i32::from(amplitude(rng, size));
    // Towards the middle, so that the level stays in range however long the picture is.
    let change = if *level > 0 { -magnitude } else { magnitude };
    *level += change;
    put_value(bits, &DC, size, size, change);
    let mut at = 1;
    while at < 64 {
        let symbol = AC.draw(rng);
        let (run, size) = (symbol >> 4, symbol & 15);
        if size == 0 || symbol == SIXTEEN_ZEROS || at + run > 63 {
            put_value(bits, &AC, END_OF_BLOCK, 0, 0);
            return;
        }
        let magnitude = i32::from(amplitude(rng, size));
        let value = if rng.chance(50) { magnitude } else { -magnitude };
        put_value(bits, &AC, symbol, size, value);
        at += run + 1;
    }
}

/// A magnitude that needs exactly `size` bits.
fn amplitude(rng: &mut Rng, size: u8) -> u16 {
    if size == 0 {
        return 0;
    }
    let top = 1_u16 << (size - 1);
    let [low, high, ..] = rng.next().to_le_bytes();
    top | (u16::from_le_bytes([low, high]) & (top - 1))
}

/// The symbol's code, then `value` in `size` bits; a negative one as its ones' complement.
fn put_value(bits: &mut BitWriter, table: &Huffman, symbol: u8, size: u8, value: i32) {
    let (code, length) = table.code[usize::from(symbol)];
    bits.put(code, length);
    let magnitude = u16::try_from(value.unsigned_abs()).expect("invariant: at most 15 bits");
    let mask = (1_u16 << size) - 1;
    bits.put(if value < 0 { !magnitude & mask } else { magnitude }, size);
}

/// Everything before the entropy-coded data; the height is filled in later.
fn header(width: u16) -> Vec<u8> {
    let [w1, w0] = width.to_be_bytes();
    let mut out = vec![0xff, 0xd8];
    segment(&mut out, 0xe0, b"JFIF\0\x01\x01\x00\x00\x01\x00\x01\x00\x00");
    let mut quantisers = vec![0];
    quantisers.extend([4_u8; 64]);
    segment(&mut out, 0xdb, &quantisers);
    // Three components, none subsampled, all with the one quantisation table.
    segment(&mut out, 0xc0, &[8, 0, 0, w1, w0, 3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
    segment(&mut out, 0xc4, &[&[0x00], &DC_COUNTS[..], &DC_SYMBOLS[..]].concat());
    segment(&mut out, 0xc4, &[&[0x10], &AC_COUNTS[..], &AC_SYMBOLS[..]].concat());
    segment(&mut out, 0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 63, 0]);
    out
}

fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    let length = u16::try_from(body.len() + 2).expect("invariant: headers are short");
    out.extend([0xff, marker]);
    out.extend(length.to_be_bytes());
    out.extend(body);
}
