//! Telling code from comments and literals, without a parser.

/// A source text twice, byte for byte as long as the original, newlines kept.
#[derive(Debug)]
pub(crate) struct Lexed {
    /// Comments and the insides of literals are spaces.
    pub(crate) code: String,
    /// Comments are spaces.
    pub(crate) uncommented: String,
}

impl Lexed {
    /// Blanks a Rust source. Text that is not Rust gives some result, never a panic.
    pub(crate) fn new(text: &str) -> Self {
        let mut blanker = Blanker {
            text: text.as_bytes(),
            at: 0,
            code: Vec::with_capacity(text.len()),
            uncommented: Vec::with_capacity(text.len()),
        };
        while blanker.at < blanker.text.len() {
            blanker.step();
        }
        // Only whole comments and literals are blanked and both begin and end at an ASCII byte,
        // except in text that is not Rust, where replacement characters do no harm.
        Self {
            code: String::from_utf8_lossy(&blanker.code).into_owned(),
            uncommented: String::from_utf8_lossy(&blanker.uncommented).into_owned(),
        }
    }
}

struct Blanker<'a> {
    text: &'a [u8],
    at: usize,
    code: Vec<u8>,
    uncommented: Vec<u8>,
}

impl Blanker<'_> {
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        if rest.starts_with(b"//") {
            let len = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
            self.comment(len);
        } else if rest.starts_with(b"/*") {
            self.comment(block_comment_len(rest));
        } else if let Some(len) = self.raw_string_len() {
            self.literal(len);
        } else if rest[0] == b'"' {
            self.literal(quoted_len(rest, b'"'));
        } else if rest[0] == b'\'' && is_char_literal(rest) {
            self.literal(quoted_len(rest, b'\''));
        } else {
            self.copy(1);
        }
    }

    fn comment(&mut self, len: usize) {
        for byte in &self.text[self.at..self.at + len] {
            let blank = blanked(*byte);
            self.code.push(blank);
            self.uncommented.push(blank);
        }
        self.at += len;
    }

    /// Keeps the first and the last byte in `code`, so that a literal stays a token.
    fn literal(&mut self, len: usize) {
        let bytes = &self.text[self.at..self.at + len];
        for (index, byte) in bytes.iter().enumerate() {
            let edge = index == 0 || index + 1 == len;
            self.code.push(if edge { *byte } else { blanked(*byte) });
            self.uncommented.push(*byte);
        }
        self.at += len;
    }

    fn copy(&mut self, len: usize) {
        let bytes = &self.text[self.at..self.at + len];
        self.code.extend_from_slice(bytes);
        self.uncommented.extend_from_slice(bytes);
        self.at += len;
    }

    /// The length of `r"..."`, `r#"..."#` and the like, `b` and `c` prefixes included, if one begins here.
    fn raw_string_len(&self) -> Option<usize> {
        let rest = &self.text[self.at..];
        let after_word = self.at.checked_sub(1).is_some_and(|before| is_word(self.text[before]));
        let prefix =
            [&b"br"[..], b"cr", b"r"].into_iter().find(|prefix| rest.starts_with(prefix))?;
        let hashes = rest[prefix.len()..].iter().take_while(|byte| **byte == b'#').count();
        let open = prefix.len() + hashes;
        if after_word || rest.get(open) != Some(&b'"') {
            return None;
        }
        let mut close = vec![b'"'];
        close.resize(1 + hashes, b'#');
        let body = &rest[open + 1..];
        let end = body.windows(close.len()).position(|window| window == close);
        Some(end.map_or(rest.len(), |end| open + 1 + end + close.len()))
    }
}

fn blanked(byte: u8) -> u8 {
    if byte == b'\n' { b'\n' } else { b' ' }
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Block comments nest.
fn block_comment_len(rest: &[u8]) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    rest.len()
}

/// A quote opens a character, or a lifetime: `'a'` against `'a`.
fn is_char_literal(rest: &[u8]) -> bool {
    match rest.get(1) {
        None => false,
        Some(b'\\') => true,
        Some(first) => {
            let width = match first {
                0..=0x7f => 1,
                0x80..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xff => 4,
            };
            rest.get(1 + width) == Some(&b'\'')
        }
    }
}

fn quoted_len(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() {
        match rest[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    rest.len()
}

/// A word of a blanked text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    /// An identifier or number, `::`, or one character.
    pub(crate) text: &'a str,
    /// Line, from 1.
    pub(crate) line: usize,
    /// Byte offset.
    pub(crate) at: usize,
}

impl Token<'_> {
    /// True for identifiers and keywords (and numbers, which never stand where one is looked for).
    pub(crate) fn is_word(&self) -> bool {
        self.text.bytes().next().is_some_and(is_word)
    }
}

/// The words of [`Lexed::code`].
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while let Some(character) = code[at..].chars().next() {
        let rest = &code[at..];
        let word = rest.bytes().take_while(|byte| is_word(*byte)).count();
        let len = match word {
            0 if rest.starts_with("::") => 2,
            0 => character.len_utf8(),
            len => len,
        };
        if character == '\n' {
            line += 1;
        } else if !character.is_whitespace() {
            found.push(Token { text: &rest[..len], line, at });
        }
        at += len;
    }
    found
}

/// Byte offsets at which `word` stands in `text`, not as a part of a longer word.
pub(crate) fn find_word<'a>(text: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = text.as_bytes();
    let starts_as_word = word.bytes().next().is_some_and(is_word);
    let ends_as_word = word.bytes().last().is_some_and(is_word);
    text.match_indices(word).map(|(at, _)| at).filter(move |at| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        let after = bytes.get(at + word.len());
        !(starts_as_word && before.is_some_and(|byte| is_word(*byte))
            || ends_as_word && after.is_some_and(|byte| is_word(*byte)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> String {
        let lexed = Lexed::new(text);
        assert_eq!(lexed.code.len(), text.len(), "offsets must stay");
        assert_eq!(lexed.uncommented.len(), text.len());
        lexed.code
    }

    #[test]
    fn comments_go_and_lines_stay() {
        assert_eq!(code("a // b\nc"), "a     \nc");
        assert_eq!(
            code("a /* b /* c\n */ d */ e"),
            format!("a{}\n{}e", " ".repeat(10), " ".repeat(9))
        );
        assert_eq!(code("//! doc"), "       ");
    }

    #[test]
    fn literals_lose_their_insides_in_code_only() {
        let lexed = Lexed::new("f(\"x // y\", 'z', b\"q\\\"q\")");
        assert_eq!(lexed.code, "f(\"      \", ' ', b\"    \")");
        assert_eq!(lexed.uncommented, "f(\"x // y\", 'z', b\"q\\\"q\")");
    }

    #[test]
    fn raw_strings_end_at_their_own_hashes() {
        assert_eq!(code("r#\"a\"b\"# + c"), "r      # + c");
        assert_eq!(code("br\"\\\" + c"), "b   \" + c");
        assert_eq!(code("r#type + c"), "r#type + c", "a raw identifier is not a string");
        assert_eq!(code("for\"x\""), "for\" \"", "the r of a word begins nothing");
    }

    #[test]
    fn lifetimes_are_not_characters() {
        assert_eq!(code("fn f<'a>(x: &'a str) { '\\'' }"), "fn f<'a>(x: &'a str) { '  ' }");
        assert_eq!(code("'{' => 1"), "' ' => 1");
    }

    #[test]
    fn unfinished_text_ends_quietly() {
        for text in ["\"abc", "/* abc", "r#\"abc", "'\\", "'", "\"\\"] {
            code(text);
        }
    }

    #[test]
    fn tokens_carry_their_line() {
        let found = tokens("use a::b;\n\nfn c");
        let words: Vec<_> = found.iter().map(|token| (token.text, token.line)).collect();
        let first = [("use", 1), ("a", 1), ("::", 1), ("b", 1), (";", 1)];
        assert_eq!(words[..5], first);
        assert_eq!(words[5..], [("fn", 3), ("c", 3)]);
    }

    #[test]
    fn words_are_whole() {
        let found: Vec<_> =
            find_word("env::var(x); myenv::var; env::vars; env::var", "env::var").collect();
        assert_eq!(found, [0, 36]);
        assert_eq!(find_word("abababab", "abab").count(), 0);
    }
}
