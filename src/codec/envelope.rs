//! The envelope around every structure, and the one place where bincode is spelled out.
//!
//! What hostile bytes can make it allocate: bincode counts no elements of a
//! sequence in advance, and serde makes room for at most 1 MiB of them before it
//! has seen any, so nested claims cost at most 1 MiB a level (four levels). Byte
//! strings are borrowed from the input before they are copied. A `String` may
//! claim up to the kind's limit, at most 1 MiB. All else follows bytes that are there.

use bincode::config::{Configuration, Fixint, Limit, LittleEndian};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::codec::{CRITICAL, CodecError, Extension, FORMAT_VERSION, Kind};

const PREFIX_LEN: usize = 4;

/// Little endian, fixed-width integers, lengths as u64, at most `LIMIT` bytes on decoding.
const fn layout<const LIMIT: usize>() -> Configuration<LittleEndian, Fixint, Limit<LIMIT>> {
    bincode::config::standard().with_little_endian().with_fixed_int_encoding().with_limit::<LIMIT>()
}

/// Fields of an enveloped structure that its type alone does not make valid.
pub(super) trait Rules {
    /// The rule that is broken, if one is.
    fn broken_rule(&self) -> Option<&'static str>;

    /// Its own list of extensions and those of its parts.
    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]>;

    /// What makes these fields those of a later version, if something does; asked before they are decoded.
    fn unknown_head(_fields: &[u8]) -> Option<String> {
        None
    }
}

/// Prefix and fields, refused above the limit or when a rule is broken.
pub(super) fn encode<const LIMIT: usize, T: Serialize + Rules>(
    kind: Kind,
    value: &T,
) -> Result<Vec<u8>, CodecError> {
    check(kind, value)?;
    let mut bytes = prefix(kind);
    let fields = bincode::serde::encode_to_vec(value, layout::<LIMIT>())
        .map_err(|error| malformed(kind, error.to_string()))?;
    bytes.extend_from_slice(&fields);
    within_limit(kind, bytes.len())?;
    Ok(bytes)
}

/// The structure that exactly these bytes encode.
pub(super) fn decode<const LIMIT: usize, T: DeserializeOwned + Rules>(
    kind: Kind,
    bytes: &[u8],
) -> Result<T, CodecError> {
    within_limit(kind, bytes.len())?;
    let fields = strip_prefix(kind, bytes)?;
    if let Some(what) = T::unknown_head(fields) {
        return Err(CodecError::TooNew { kind, what });
    }
    let (value, read): (T, usize) = bincode::serde::decode_from_slice(fields, layout::<LIMIT>())
        .map_err(|error| malformed(kind, error.to_string()))?;
    if read != fields.len() {
        return Err(malformed(kind, "bytes after the last field"));
    }
    check(kind, &value)?;
    Ok(value)
}

/// What writers and readers alike refuse.
pub(super) fn check(kind: Kind, value: &impl Rules) -> Result<(), CodecError> {
    for extensions in value.extension_lists() {
        refuse_unknown_critical(kind, extensions)?;
        if !extensions.is_sorted_by(|before, after| before.tag < after.tag) {
            return Err(malformed(kind, "extensions that do not ascend"));
        }
    }
    value.broken_rule().map_or(Ok(()), |rule| Err(malformed(kind, rule)))
}

/// The first bytes of every structure of this kind.
pub(super) fn prefix(kind: Kind) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(&(kind as u16).to_le_bytes());
    bytes.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes
}

/// The list that ends a structure whose other fields are laid out by hand.
pub(super) fn encode_extensions<const LIMIT: usize>(
    kind: Kind,
    extensions: &[Extension],
) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(extensions, layout::<LIMIT>())
        .map_err(|error| malformed(kind, error.to_string()))
}

/// The list that these bytes are; [`check`] looks at what is in it.
pub(super) fn decode_extensions<const LIMIT: usize>(
    kind: Kind,
    bytes: &[u8],
) -> Result<Vec<Extension>, CodecError> {
    let (extensions, read): (Vec<Extension>, usize) =
        bincode::serde::decode_from_slice(bytes, layout::<LIMIT>())
            .map_err(|error| malformed(kind, error.to_string()))?;
    if read != bytes.len() {
        return Err(malformed(kind, "bytes after the last field"));
    }
    Ok(extensions)
}

pub(super) fn malformed(kind: Kind, what: impl Into<String>) -> CodecError {
    CodecError::Malformed { kind, what: what.into() }
}

pub(super) fn within_limit(kind: Kind, len: usize) -> Result<(), CodecError> {
    let limit = kind.limit_bytes();
    if len > limit { Err(CodecError::TooLarge { kind, len, limit }) } else { Ok(()) }
}

pub(super) fn strip_prefix(kind: Kind, bytes: &[u8]) -> Result<&[u8], CodecError> {
    let (prefix, fields) =
        bytes.split_at_checked(PREFIX_LEN).ok_or_else(|| malformed(kind, "too short"))?;
    if prefix[..2] != (kind as u16).to_le_bytes() {
        return Err(malformed(kind, "another kind of structure"));
    }
    let version = u16::from_le_bytes([prefix[2], prefix[3]]);
    if version != FORMAT_VERSION {
        return Err(CodecError::TooNew { kind, what: format!("version {version}") });
    }
    Ok(fields)
}

fn refuse_unknown_critical(kind: Kind, extensions: &[Extension]) -> Result<(), CodecError> {
    match extensions.iter().find(|extension| extension.tag & CRITICAL != 0) {
        Some(extension) => {
            Err(CodecError::TooNew { kind, what: format!("critical tag {:#010x}", extension.tag) })
        }
        None => Ok(()),
    }
}

/// Implements [`Durable`](super::Durable) for a structure whose fields bincode lays out.
macro_rules! durable {
    ($type:ty, $kind:expr) => {
        impl $crate::codec::Durable for $type {
            const KIND: $crate::codec::Kind = $kind;

            fn encode(&self) -> Result<Vec<u8>, $crate::codec::CodecError> {
                $crate::codec::envelope::encode::<{ $kind.limit_bytes() }, Self>($kind, self)
            }

            fn decode(bytes: &[u8]) -> Result<Self, $crate::codec::CodecError> {
                $crate::codec::envelope::decode::<{ $kind.limit_bytes() }, Self>($kind, bytes)
            }
        }
    };
}

pub(super) use durable;
