//! PNG with stored deflate blocks: every chunk's CRC, the zlib stream, its Adler-32.

/// Decodes everything; returns the number of pixels.
pub(crate) fn pixels(bytes: &[u8]) -> usize {
    let chunks = chunks(bytes.strip_prefix(b"\x89PNG\r\n\x1a\n").unwrap());
    let (kind, header) = chunks[0];
    assert_eq!((kind, header.len(), &header[8..]), (b"IHDR".as_slice(), 13, &[8, 2, 0, 0, 0][..]));
    let side = |at: usize| u32::from_be_bytes(header[at..at + 4].try_into().unwrap()) as usize;
    let (width, height) = (side(0), side(4));
    assert_eq!(chunks.last(), Some(&(b"IEND".as_slice(), b"".as_slice())));
    let stream: Vec<u8> = chunks
        .iter()
        .filter(|(kind, _)| kind == b"IDAT")
        .flat_map(|(_, body)| *body)
        .copied()
        .collect();
    let rows = inflate(&stream);
    assert_eq!(rows.len(), height * (1 + 3 * width));
    assert!(rows.chunks(1 + 3 * width).all(|row| row[0] == 0), "filter type none");
    width * height
}

fn chunks(mut rest: &[u8]) -> Vec<(&[u8], &[u8])> {
    let mut found = Vec::new();
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let (checked, tail) = rest[4..].split_at(4 + length);
        assert_eq!(crc32(checked).to_be_bytes(), tail[..4], "chunk {}", found.len());
        found.push(checked.split_at(4));
        rest = &tail[4..];
    }
    found
}

fn inflate(stream: &[u8]) -> Vec<u8> {
    assert_eq!(u16::from_be_bytes([stream[0], stream[1]]) % 31, 0, "zlib header check");
    assert_eq!(stream[0], 0x78);
    let (mut out, mut rest) = (Vec::new(), &stream[2..]);
    loop {
        let last = rest[0];
        assert!(last <= 1, "a stored block");
        let length = u16::from_le_bytes([rest[1], rest[2]]);
        assert_eq!(!length, u16::from_le_bytes([rest[3], rest[4]]));
        let (block, tail) = rest[5..].split_at(usize::from(length));
        out.extend(block);
        rest = tail;
        if last == 1 {
            break;
        }
    }
    assert_eq!(rest, adler32(&out).to_be_bytes());
    out
}

/// Bit by bit, unlike the encoder's table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

fn adler32(bytes: &[u8]) -> u32 {
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    b << 16 | a
}
