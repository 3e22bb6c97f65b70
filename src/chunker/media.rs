//! Files that are compressed already, recognised by their first bytes.
//!
//! A wrong answer costs space or time, never content: it decides where a file
//! is cut and whether compressing it is worth trying. What is here is part of
//! the format only in that a change makes files be stored again once.

/// Bytes of a file's head that are enough to recognise it.
pub const HEAD_BYTES: usize = 32;

/// How much of a recognised file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// All but headers: pictures, sound, compressed streams.
    Dense,
    /// As its writer chose, part by part: a PDF, a ZIP, a film container.
    Mixed,
}

/// What the file that begins with `head` is, if it is compressed media.
pub fn recognise(head: &[u8]) -> Option<Media> {
    SIGNATURES
        .iter()
        .find(|signature| signature.matches(head))
        .map(|signature| signature.media)
        .or_else(|| is_bzip2(head).then_some(Media::Dense))
}

/// True when the head says that compressing the file will gain nothing. Where
/// it says less ([`Media::Mixed`]), the bytes of each chunk have to tell.
pub fn looks_compressed(head: &[u8]) -> bool {
    recognise(head) == Some(Media::Dense)
}

/// Fixed bytes at fixed places: `first` at 0 and `second` at `second_at`.
struct Signature {
    media: Media,
    first: &'static [u8],
    second_at: usize,
    second: &'static [u8],
}

impl Signature {
    fn matches(&self, head: &[u8]) -> bool {
        let second = head.get(self.second_at..).unwrap_or_default();
        head.starts_with(self.first) && second.starts_with(self.second)
    }
}

const fn dense(first: &'static [u8]) -> Signature {
    Signature { media: Media::Dense, first, second_at: 0, second: b"" }
}

const fn mixed(first: &'static [u8]) -> Signature {
    Signature { media: Media::Mixed, first, second_at: 0, second: b"" }
}

const fn riff(media: Media, form: &'static [u8]) -> Signature {
    Signature { media, first: b"RIFF", second_at: 8, second: form }
}

const SIGNATURES: &[Signature] = &[
    // Pictures.
    dense(b"\xff\xd8\xff"),
    dense(b"\x89PNG\r\n\x1a\n"),
    dense(b"GIF87a"),
    dense(b"GIF89a"),
    riff(Media::Dense, b"WEBP"),
    dense(b"\xff\x0a"), // JPEG XL, bare
    dense(b"\0\0\0\x0cJXL \r\n\x87\n"),
    dense(b"\0\0\0\x0cjP  \r\n\x87\n"),
    // Documents, archives and packages, each member compressed or not.
    mixed(b"%PDF-"),
    mixed(b"PK\x03\x04"),
    mixed(b"PK\x05\x06"),
    mixed(b"PK\x07\x08"),
    mixed(b"MSCF\0\0\0\0"),
    mixed(b"!<arch>\ndebian-binary"),
    mixed(b"\xed\xab\xee\xdb"), // rpm
    // Compressed streams and archives.
    dense(b"\x1f\x8b\x08"),         // gzip
    dense(b"\x1f\x9d"),             // compress
    dense(b"\x28\xb5\x2f\xfd"),     // Zstandard
    dense(b"\x04\x22\x4d\x18"),     // LZ4 frame
    dense(b"\xfd7zXZ\0"),           // xz
    dense(b"LZIP\x01"),             // lzip
    dense(b"7z\xbc\xaf\x27\x1c"),   // 7-Zip
    dense(b"Rar!\x1a\x07"),         // RAR
    dense(b"age-encryption.org/v"), // encrypted, so as dense as it gets
    // Sound.
    dense(b"ID3"),
    dense(b"\xff\xfb"),
    dense(b"\xff\xfa"),
    dense(b"\xff\xf3"),
    dense(b"\xff\xf2"),
    dense(b"\xff\xf1"), // AAC in ADTS frames
    dense(b"\xff\xf9"),
    dense(b"OggS"),
    dense(b"fLaC"),
    // Films, and pictures in the same containers: MP4, MOV, HEIC, AVIF; Matroska, WebM; others.
    Signature { media: Media::Mixed, first: b"", second_at: 4, second: b"ftyp" },
    mixed(b"\x1a\x45\xdf\xa3"),
    riff(Media::Mixed, b"AVI "),
    mixed(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"), // ASF
    mixed(b"FLV\x01"),
    // Fonts.
    dense(b"wOFF"),
    dense(b"wOF2"),
];

/// `BZh`, a level, then the first block or the end of an empty stream. The level
/// is the one place where a signature needs a range.
fn is_bzip2(head: &[u8]) -> bool {
    let block = head.get(4..).unwrap_or_default();
    head.starts_with(b"BZh")
        && matches!(head.get(3), Some(b'1'..=b'9'))
        && (block.starts_with(b"\x31\x41\x59\x26\x53\x59")
            || block.starts_with(b"\x17\x72\x45\x38\x50\x90"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_promised_head_is_enough_for_every_signature() {
        for signature in SIGNATURES {
            let end = signature.first.len().max(signature.second_at + signature.second.len());
            assert!(end <= HEAD_BYTES, "{}", signature.first.escape_ascii());
        }
    }

    #[test]
    fn media_are_recognised() {
        let dense: &[&[u8]] = &[
            b"\xff\xd8\xff\xe1\0\x18Exif",
            b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR",
            b"GIF89a\x01\0",
            b"RIFF\x24\0\0\0WEBPVP8 ",
            b"\x1f\x8b\x08\0\0\0\0\0",
            b"\x28\xb5\x2f\xfd\x04",
            b"\xfd7zXZ\0\0\x04",
            b"BZh91AY&SY",
            b"BZh1\x17\x72\x45\x38\x50\x90\0\0",
            b"7z\xbc\xaf\x27\x1c\0\x04",
            b"Rar!\x1a\x07\x01\0",
            b"ID3\x04\0",
            b"\xff\xfb\x90\x64",
            b"OggS\0\x02",
            b"fLaC\0\0\0\x22",
            b"wOF2\0\x01\0\0",
        ];
        for head in dense {
            assert_eq!(recognise(head), Some(Media::Dense), "{}", head.escape_ascii());
            assert!(looks_compressed(head));
        }
        let mixed: &[&[u8]] = &[
            b"%PDF-1.4\n%\xe2\xe3",
            b"PK\x03\x04\x14\0\x06\0",
            b"\0\0\0\x18ftypheic",
            b"\0\0\0\x20ftypisom",
            b"\x1a\x45\xdf\xa3\x9fB\x86\x81",
            b"RIFF\x24\0\0\0AVI LIST",
        ];
        for head in mixed {
            assert_eq!(recognise(head), Some(Media::Mixed), "{}", head.escape_ascii());
            assert!(!looks_compressed(head));
        }
    }

    #[test]
    fn everything_else_and_every_cut_off_head_is_not() {
        let others: &[&[u8]] = &[
            b"",
            b"\xff",
            b"\xff\xfeu\0t\0f\0",
            b"RIFF",
            b"RIFF\x24\0\0\0WAVEfmt ",
            b"BZh",
            b"BZhello, world",
            b"BZh9 not a block",
            b"SQLite format 3\0",
            b"\x7fELF\x02\x01\x01",
            b"PKI certificates",
            b"ftyp",
            b"%PD",
            b"{\"a\": 1}",
        ];
        for head in others {
            assert_eq!(recognise(head), None, "{}", head.escape_ascii());
        }
    }
}
