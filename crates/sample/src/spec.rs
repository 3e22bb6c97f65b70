//! How large a sample is.

/// What [`make`](crate::make) makes. The same values give the same files and rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Everything random is drawn from this.
    pub seed: u64,
    /// The day on which the sample is "made", in seconds since 1970 UTC; its history lies before it.
    pub start_unix_s: i64,
    /// Rows in `components`.
    pub components: usize,
    /// Rows in `attachments`: 60 % PDF, 30 % JPEG, 10 % PNG. Images have a thumbnail beside them.
    pub attachments: usize,
    /// Bytes of all attachment files together, about.
    pub attachment_bytes: u64,
    /// Rows in `stock_transactions`.
    pub transactions: usize,
}

/// 2026-01-05 00:00 UTC, a Monday.
const START_UNIX_S: i64 = 1_767_571_200;

impl Spec {
    /// A small workshop: a database of 4-5 MB, 158 files, 15 MB.
    pub fn small() -> Self {
        Self {
            seed: 1,
            start_unix_s: START_UNIX_S,
            components: 300,
            attachments: 112,
            attachment_bytes: 15_000_000,
            transactions: 6_500,
        }
    }

    /// As little as shows every kind of row and file: for tests.
    pub fn tiny() -> Self {
        Self {
            seed: 1,
            start_unix_s: START_UNIX_S,
            components: 10,
            attachments: 8,
            attachment_bytes: 60_000,
            transactions: 40,
        }
    }

    /// The same sample from another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }
}
