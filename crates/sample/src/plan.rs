//! What the attachments of a sample are: which document, which format, how large.

use crate::media::Format;
use crate::rng::Rng;
use crate::spec::Spec;

/// Of ten attachments in a row: six PDF, three JPEG, one PNG.
const FORMATS: [Format; 10] = [
    Format::Pdf,
    Format::Jpeg,
    Format::Pdf,
    Format::Jpeg,
    Format::Pdf,
    Format::Png,
    Format::Pdf,
    Format::Jpeg,
    Format::Pdf,
    Format::Pdf,
];
/// Every tenth attachment from this one on repeats an earlier PDF.
const DUPLICATE_AT: usize = 6;

/// The format of document number `document`.
pub(crate) fn format_of(document: usize) -> Format {
    FORMATS[document % FORMATS.len()]
}

/// Which document each attachment is, and how large each document is to be.
pub(crate) struct Plan {
    pub(crate) source: Vec<usize>,
    pub(crate) target_bytes: Vec<usize>,
}

impl Plan {
    pub(crate) fn draw(rng: &mut Rng, spec: &Spec) -> Self {
        let weights: Vec<u64> = (0..spec.attachments).map(|_| weight(rng)).collect();
        let source = (0..spec.attachments).map(|index| source(rng, index)).collect::<Vec<_>>();
        let total = source.iter().map(|document| weights[*document]).sum::<u64>().max(1);
        let target = |weight: &u64| {
            let bytes = u128::from(spec.attachment_bytes) * u128::from(*weight) / u128::from(total);
            usize::try_from(bytes).unwrap_or(usize::MAX)
        };
        Self { target_bytes: weights.iter().map(target).collect(), source }
    }
}

/// Sizes are spread over five doublings, as those of real attachments are.
fn weight(rng: &mut Rng) -> u64 {
    (64 + rng.below(64)) << rng.below(5)
}

/// The attachment itself, or an earlier PDF (never the landmark) that it repeats.
fn source(rng: &mut Rng, index: usize) -> usize {
    if index % FORMATS.len() != DUPLICATE_AT {
        return index;
    }
    let earlier: Vec<usize> = (1..index)
        .filter(|other| format_of(*other) == Format::Pdf)
        .filter(|other| other % FORMATS.len() != DUPLICATE_AT)
        .collect();
    if earlier.is_empty() { index } else { earlier[rng.index(earlier.len())] }
}
