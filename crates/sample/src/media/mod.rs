//! Valid documents and pictures of about a wanted size, drawn from a seed.
//!
//! Here: complete files as bytes. Not here: names, paths, rows.
//! Invariant: what is made opens in a strict reader, and looks incompressible
//! as real attachments do (entropy-coded pictures, also inside the PDFs).

mod jpeg;
mod pdf;
mod png;

use crate::rng::Rng;

/// The formats that the application accepts and a sample contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Pdf,
    Jpeg,
    Png,
}

impl Format {
    pub(crate) fn mime(self) -> &'static str {
        match self {
            Self::Pdf => "application/pdf",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }

    pub(crate) fn is_image(self) -> bool {
        self != Self::Pdf
    }
}

/// A file of about `target` bytes; never smaller than the format's minimum of about 1 KB.
/// `title` shows on the pages of a PDF.
pub(crate) fn document(format: Format, rng: &mut Rng, target: usize, title: &str) -> Vec<u8> {
    match format {
        Format::Pdf => pdf::encode(rng, target, title),
        Format::Jpeg => jpeg::encode(rng, target).bytes,
        Format::Png => png::encode(rng, target),
    }
}

/// The thumbnail that the application makes for every image.
pub(crate) fn thumbnail(rng: &mut Rng) -> Vec<u8> {
    let target = 1_200 + rng.index(1_200);
    jpeg::encode(rng, target).bytes
}
