//! Names as a terminal may show them.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Bytes as text without anything that a terminal would obey: control characters, characters that turn the direction
/// of reading, and bytes that are no text become `\n`, `\x1b`, `\u{202e}`, `\xff`.
pub(crate) fn printable(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| c == '\\' || is_unsafe(c)) => text.into(),
        _ => escaped(bytes).into(),
    }
}

/// A message in one line, whatever the names in it: a line break in a path must not look like the beginning of another message.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len() + 8);
    text.chars().for_each(|c| push(&mut line, c));
    line.into()
}

/// The text with the first eight digits of each id of 64: enough to find it, few enough to read.
pub(crate) fn shorten_ids(text: &str) -> String {
    const DIGITS: usize = 64;
    let is_id = |word: &str| word.len() == DIGITS && word.bytes().all(|b| b.is_ascii_hexdigit());
    let between = |c: char| !c.is_ascii_alphanumeric();
    text.split_inclusive(between)
        .map(|part| {
            let word = part.trim_end_matches(between);
            if is_id(word) {
                format!("{}{}", &word[..8], &part[word.len()..])
            } else {
                part.to_owned()
            }
        })
        .collect()
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 8);
    for part in bytes.utf8_chunks() {
        for c in part.valid().chars() {
            if c == '\\' { text.push_str("\\\\") } else { push(&mut text, c) }
        }
        for byte in part.invalid() {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

fn push(text: &mut String, c: char) {
    match c {
        '\n' => text.push_str("\\n"),
        '\t' => text.push_str("\\t"),
        '\r' => text.push_str("\\r"),
        c if u32::from(c) < 0x80 && is_unsafe(c) => {
            let _ = write!(text, "\\x{:02x}", u32::from(c));
        }
        c if is_unsafe(c) => {
            let _ = write!(text, "\\u{{{:x}}}", u32::from(c));
        }
        c => text.push(c),
    }
}

fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_spelt_out() {
        assert_eq!(printable(b"plain name.pdf"), "plain name.pdf");
        assert_eq!(printable("caf\u{e9}".as_bytes()), "caf\u{e9}");
        assert_eq!(printable(b"a\nb\x1b[31m\\"), "a\\nb\\x1b[31m\\\\");
        assert_eq!(printable(b"\xff\xfe.txt"), "\\xff\\xfe.txt");
        assert_eq!(printable("a\u{202e}b".as_bytes()), "a\\u{202e}b");
    }

    #[test]
    fn ids_are_shortened_where_they_stand_alone() {
        let id = "7b94a8e5".repeat(8);
        let text = format!("packs/{id}: blob {id} (pack {id}, offset 5)");
        assert_eq!(shorten_ids(&text), "packs/7b94a8e5: blob 7b94a8e5 (pack 7b94a8e5, offset 5)");
        assert_eq!(shorten_ids(&format!("{id}0")), format!("{id}0"));
    }

    #[test]
    fn a_message_stays_one_line() {
        assert_eq!(one_line("one\ntwo\x07"), "one\\ntwo\\x07");
        assert!(matches!(one_line("calm \\ text"), Cow::Borrowed(_)));
    }
}
