//! Strict readers of the three formats, written apart from the encoders: they
//! panic on the first byte that a careful viewer could complain about.

pub(crate) mod jpeg;
pub(crate) mod pdf;
pub(crate) mod png;

/// Reads `bytes` by the format that its name says.
pub(crate) fn by_name(name: &str, bytes: &[u8]) {
    match name.rsplit_once('.').unwrap().1 {
        "pdf" => assert!(pdf::pages(bytes) > 0, "{name}"),
        "png" => assert!(png::pixels(bytes) > 0, "{name}"),
        "jpg" => assert!(jpeg::blocks(bytes) > 0, "{name}"),
        other => panic!("{name}: unexpected extension {other}"),
    }
}
