//! Numbers of variable length: seven bits a byte, the lowest first, the top bit says
//! that more follow. At most five bytes, and never more than needed.

/// Appends `value`.
pub(super) fn put(out: &mut Vec<u8>, mut value: u32) {
    while let low @ 0x80.. = value {
        out.push(u8::try_from(low & 0x7f).expect("invariant: seven bits") | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).expect("invariant: below 128"));
}

/// Takes a number off the front of `bytes`; none if it is cut short, longer than
/// needed or above 32 bits.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u32> {
    // Most numbers are short.
    if let Some((&byte @ ..0x80, rest)) = bytes.split_first() {
        *bytes = rest;
        return Some(u32::from(byte));
    }
    let mut value = 0_u32;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u32::from(byte & 0x7f);
        if (bits << shift) >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return (byte != 0 || shift == 0).then_some(value);
        }
    }
    None
}

/// A number with a sign as one without: small in either direction stays small.
pub(super) fn fold(value: i32) -> u32 {
    (value.cast_unsigned() << 1) ^ (value >> 31).cast_unsigned()
}

/// The inverse of [`fold`].
pub(super) fn unfold(value: u32) -> i32 {
    (value >> 1).cast_signed() ^ -(value & 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_number_comes_back(value: u32, signed: i32, tail: Vec<u8>) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            prop_assert!(bytes.len() <= 5);
            bytes.extend(&tail);
            let mut rest = bytes.as_slice();
            prop_assert_eq!(take(&mut rest), Some(value));
            prop_assert_eq!(rest, tail.as_slice());
            prop_assert_eq!(unfold(fold(signed)), signed);
        }
    }

    #[test]
    fn long_forms_and_large_numbers_are_refused() {
        for bytes in [&[][..], &[0x80], &[0x80, 0], &[0xff, 0xff, 0xff, 0xff, 0x10], &[0xff; 6]] {
            assert_eq!(take(&mut &*bytes), None, "{bytes:?}");
        }
        assert_eq!(take(&mut &[0xff, 0xff, 0xff, 0xff, 0x0f][..]), Some(u32::MAX));
    }
}
