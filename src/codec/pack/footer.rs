//! The last bytes of a pack: how to find everything else in it.

use crate::codec::{CodecError, FORMAT_VERSION, Kind};
use crate::id::Check;

/// The last [`Footer::LEN`] bytes of a pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Footer {
    /// Length of the trailer, which lies directly before the footer.
    pub trailer_len: u32,
    /// Length of the header, at the start of the pack.
    pub header_len: u32,
    /// Checksum of the header as stored.
    pub header_check: Check,
}

impl Footer {
    /// Length in bytes: magic (8), version (u16), reserved (u16, zero), trailer length, header length, header check.
    pub const LEN: usize = 36;

    /// Begins a footer.
    pub const MAGIC: [u8; 8] = *b"LARDPACK";

    /// The bytes of the footer; refuses lengths that no header or trailer has.
    pub fn encode(&self) -> Result<[u8; Self::LEN], CodecError> {
        self.bounded()?;
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&Self::MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.trailer_len.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.header_len.to_le_bytes());
        bytes[20..].copy_from_slice(self.header_check.as_bytes());
        Ok(bytes)
    }

    /// The footer that these bytes are: the last [`LEN`](Self::LEN) of a pack, or more of its end.
    pub fn decode(end_of_pack: &[u8]) -> Result<Self, CodecError> {
        let bytes: &[u8; Self::LEN] =
            end_of_pack.last_chunk().ok_or_else(|| malformed("shorter than its footer"))?;
        let [m0, m1, m2, m3, m4, m5, m6, m7, v0, v1, r0, r1, rest @ ..] = *bytes;
        if [m0, m1, m2, m3, m4, m5, m6, m7] != Self::MAGIC {
            return Err(malformed("no footer of a pack"));
        }
        let version = u16::from_le_bytes([v0, v1]);
        if version != FORMAT_VERSION {
            let what = format!("pack version {version}");
            return Err(CodecError::TooNew { kind: Kind::PackTrailer, what });
        }
        if [r0, r1] != [0; 2] {
            return Err(malformed("a reserved field is in use"));
        }
        let [t0, t1, t2, t3, h0, h1, h2, h3, check @ ..] = rest;
        let footer = Self {
            trailer_len: u32::from_le_bytes([t0, t1, t2, t3]),
            header_len: u32::from_le_bytes([h0, h1, h2, h3]),
            header_check: Check::from_bytes(check),
        };
        footer.bounded()?;
        Ok(footer)
    }

    fn bounded(&self) -> Result<(), CodecError> {
        for (kind, len) in
            [(Kind::PackHeader, self.header_len), (Kind::PackTrailer, self.trailer_len)]
        {
            let (len, limit) = (len as usize, kind.limit_bytes());
            if len > limit {
                return Err(CodecError::TooLarge { kind, len, limit });
            }
            if len == 0 {
                return Err(malformed("an empty header or trailer"));
            }
        }
        Ok(())
    }

    /// Bytes of trailer and footer together, which name the pack.
    pub fn tail_len(&self) -> usize {
        (self.trailer_len as usize).saturating_add(Self::LEN)
    }
}

fn malformed(what: &str) -> CodecError {
    CodecError::Malformed { kind: Kind::PackTrailer, what: what.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn footer() -> Footer {
        Footer { trailer_len: 78, header_len: 96, header_check: Check::from_bytes([7; 16]) }
    }

    #[test]
    fn round_trips_from_any_longer_end() {
        let mut end = vec![9; 5];
        end.extend_from_slice(&footer().encode().unwrap());
        assert_eq!(Footer::decode(&end), Ok(footer()));
    }

    #[test]
    fn refuses_other_magic_reserved_bits_and_short_ends() {
        let sound = footer().encode().unwrap();
        assert!(matches!(Footer::decode(&sound[1..]), Err(CodecError::Malformed { .. })));
        for at in [0, 7, 10, 11] {
            let mut bytes = sound;
            bytes[at] ^= 1;
            let error = Footer::decode(&bytes).unwrap_err();
            assert!(matches!(error, CodecError::Malformed { .. }), "{at}: {error}");
        }
    }

    #[test]
    fn another_version_is_not_damage() {
        let mut bytes = footer().encode().unwrap();
        bytes[8] = 9;
        assert!(Footer::decode(&bytes).unwrap_err().is_too_new());
    }

    #[test]
    fn lengths_that_cannot_be_are_neither_written_nor_read() {
        for (trailer_len, header_len) in [(0, 96), (78, 0), (78, 4097), (16 * 1024 * 1024 + 1, 96)]
        {
            let footer = Footer { trailer_len, header_len, ..footer() };
            assert!(footer.encode().is_err(), "{footer:?}");
            let mut bytes = self::footer().encode().unwrap();
            bytes[12..16].copy_from_slice(&trailer_len.to_le_bytes());
            bytes[16..20].copy_from_slice(&header_len.to_le_bytes());
            assert!(Footer::decode(&bytes).is_err(), "{footer:?}");
        }
    }
}
