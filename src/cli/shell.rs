//! Words as a shell takes them, so that a hint can be pasted.

use std::borrow::Cow;

/// The word, quoted where a shell would read it otherwise.
pub(crate) fn word(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=+,@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.into();
    }
    format!("'{}'", text.replace('\'', r"'\''")).into()
}

/// Words, each quoted where that is needed.
pub(crate) fn words(all: &[String]) -> String {
    all.iter().map(|text| word(text)).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_needs_it_is_quoted() {
        assert_eq!(word("/srv/app-data_1.db"), "/srv/app-data_1.db");
        assert_eq!(word("two words"), "'two words'");
        assert_eq!(word("it's"), r"'it'\''s'");
        assert_eq!(word(""), "''");
        assert_eq!(word("$HOME"), "'$HOME'");
        assert_eq!(
            words(&["larder".into(), "2026-11-22 14:00".into()]),
            "larder '2026-11-22 14:00'"
        );
    }
}
