//! How much changed and how much was stored, in words.

use larder::codec::snapshot::Counts;

use crate::cli::output::units::{bytes, count};

/// How many files are new, changed and gone.
pub(super) fn changes(counts: Counts) -> String {
    let parts = [
        (counts.new_files, "new"),
        (counts.changed_files, "changed"),
        (counts.removed_files, "removed"),
    ];
    let said: Vec<String> = parts
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, what)| format!("{} {what}", count(*number)))
        .collect();
    match (said.is_empty(), counts.files) {
        (true, 0) => "there are none".to_owned(),
        (true, _) => "unchanged".to_owned(),
        (false, _) => said.join(", "),
    }
}

/// How much of what a snapshot holds was stored for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// There was nothing to compare with. What is less then is holes, equal files and compression, or a run that was cut off.
    First,
    /// There is an earlier snapshot.
    Later,
    /// Nothing was; this is what would be.
    DryRun,
}

/// How much was stored, beside how much there is.
pub(super) fn stored(counts: Counts, how: Stored) -> String {
    let (new, all) = (bytes(counts.new_stored_bytes), bytes(counts.bytes));
    match how {
        Stored::DryRun if counts.new_stored_bytes == 0 => format!("nothing new for {all}"),
        Stored::DryRun => format!("{new} for {all}"),
        _ if counts.new_stored_bytes == 0 => {
            format!("nothing new; all {all} were already here")
        }
        Stored::First => format!("{new} for {all}"),
        Stored::Later if counts.new_plain_bytes >= counts.bytes => format!("{new} for {all}"),
        Stored::Later => format!("{new} new of {all}; the rest was already here"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_is_said_without_zeros() {
        let counts = Counts { new_files: 3, removed_files: 1_000, ..Counts::default() };
        assert_eq!(changes(counts), "3 new, 1,000 removed");
        assert_eq!(changes(Counts { files: 1, ..Counts::default() }), "unchanged");
        assert_eq!(changes(Counts::default()), "there are none");
    }

    #[test]
    fn what_was_stored_is_compared_with_what_is_there() {
        let counts = |new_plain_bytes, new_stored_bytes| Counts {
            bytes: 998_000_000,
            new_plain_bytes,
            new_stored_bytes,
            ..Counts::default()
        };
        let later = |plain, stored_bytes| stored(counts(plain, stored_bytes), Stored::Later);
        assert_eq!(later(0, 0), "nothing new; all 998 MB were already here");
        assert_eq!(later(4_000_000, 1_900_000), "1.9 MB new of 998 MB; the rest was already here");
        let first = |plain, stored_bytes| stored(counts(plain, stored_bytes), Stored::First);
        assert_eq!(first(800_000_000, 612_000_000), "612 MB for 998 MB");
        assert_eq!(first(4_000_000, 1_900_000), "1.9 MB for 998 MB");
        let dry = |plain, stored_bytes| stored(counts(plain, stored_bytes), Stored::DryRun);
        assert_eq!(dry(4_000_000, 1_900_000), "1.9 MB for 998 MB");
        assert_eq!(dry(0, 0), "nothing new for 998 MB");
    }
}
