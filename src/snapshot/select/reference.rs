//! The ways of writing which snapshot is meant.

use std::fmt;
use std::str::FromStr;

use jiff::SignedDuration;
use jiff::civil::{Date, DateTime};

use crate::id::SnapshotId;
use crate::snapshot::select::error::SelectError;

/// The fewest digits of an id that name a snapshot.
const MIN_PREFIX: usize = 4;

/// How a snapshot was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// The newest, or the one so many before it.
    Latest {
        /// How many to go back.
        back: usize,
    },
    /// The one whose id begins with these lower-case digits.
    Id(String),
    /// The newest before this civil time.
    Before {
        /// First moment that is too late: a date stands for its whole day, `14:00` for its whole minute.
        end: DateTime,
        /// As it was written.
        text: String,
    },
    /// The newest that carries this tag.
    Tag(String),
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Latest { back: 0 } => f.write_str("latest"),
            Self::Latest { back } => write!(f, "latest~{back}"),
            Self::Id(prefix) => f.write_str(prefix),
            Self::Before { text, .. } => f.write_str(text),
            Self::Tag(name) => write!(f, "tag:{name}"),
        }
    }
}

impl FromStr for Reference {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let not_one = || SelectError::NotAReference { text: text.to_owned() };
        if let Some(back) = text.strip_prefix("latest") {
            return parse_back(back).map(|back| Self::Latest { back }).ok_or_else(not_one);
        }
        if let Some(name) = text.strip_prefix("tag:") {
            return if name.is_empty() { Err(not_one()) } else { Ok(Self::Tag(name.to_owned())) };
        }
        if let Some(end) = parse_end(text) {
            return Ok(Self::Before { end, text: text.to_owned() });
        }
        let is_id = (MIN_PREFIX..=2 * SnapshotId::LEN).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_id { Ok(Self::Id(text.to_ascii_lowercase())) } else { Err(not_one()) }
    }
}

fn parse_back(text: &str) -> Option<usize> {
    if text.is_empty() {
        return Some(0);
    }
    let digits = text.strip_prefix('~')?;
    // `parse` alone would take "+2".
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// The first moment after what the text names: a day, a minute or a second.
fn parse_end(text: &str) -> Option<DateTime> {
    if let Ok(date) = Date::strptime("%Y-%m-%d", text) {
        return Some(date.tomorrow().ok()?.at(0, 0, 0, 0));
    }
    let text = text.replacen('T', " ", 1);
    let named = |format: &str, secs: i64| {
        let time = DateTime::strptime(format, &text).ok()?;
        time.checked_add(SignedDuration::from_secs(secs)).ok()
    };
    named("%Y-%m-%d %H:%M", 60).or_else(|| named("%Y-%m-%d %H:%M:%S", 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_reference_is_refused() {
        for text in
            ["", "latest~", "latest~+1", "latest2", "tag:", "2026-13-01", "yesterday", "xyz1"]
        {
            let refused = text.parse::<Reference>();
            assert!(
                matches!(refused, Err(SelectError::NotAReference { .. })),
                "{text}: {refused:?}"
            );
        }
    }

    #[test]
    fn references_are_shown_as_they_are_written() {
        for text in [
            "latest",
            "latest~2",
            "7f3a91c2",
            "2026-11-22",
            "2026-11-22 14:00",
            "tag:before upgrade",
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
    }
}
