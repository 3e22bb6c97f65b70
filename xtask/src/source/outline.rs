//! What a source file declares: modules and functions; what it names is in `paths`.

use std::ops::RangeInclusive;

use super::lex::{Lexed, Token, tokens};
use super::paths::PathUse;

/// `mod name;` or `mod name { ... }`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Module {
    /// Its name.
    pub(crate) name: String,
    /// The inline modules around it, outermost first.
    pub(crate) within: Vec<String>,
    /// Where it is declared.
    pub(crate) line: usize,
    /// Its lines from the first attribute on; `None` when its body is in another file.
    pub(crate) body: Option<RangeInclusive<usize>>,
    /// Compiled for tests only.
    pub(crate) test: bool,
    /// The file that a `#[path]` attribute names.
    pub(crate) path: Option<String>,
}

/// A function with a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    /// Its name.
    pub(crate) name: String,
    /// Where it begins.
    pub(crate) line: usize,
    /// Lines from `fn` to the closing brace that hold code.
    pub(crate) code_lines: usize,
}

/// The outline of one file, in source order.
#[derive(Debug, Default)]
pub(crate) struct Outline {
    /// Modules.
    pub(crate) modules: Vec<Module>,
    /// Functions.
    pub(crate) functions: Vec<Function>,
    /// Paths.
    pub(crate) paths: Vec<PathUse>,
}

impl Outline {
    /// Reads a file's outline.
    pub(crate) fn new(lexed: &Lexed) -> Self {
        let reader = Reader { lexed, tokens: tokens(&lexed.code) };
        let inline = reader.inline_modules();
        Self {
            modules: reader.modules(&inline),
            functions: reader.functions(),
            paths: reader.paths(&inline),
        }
    }

    /// The lines of modules that are compiled for tests only.
    pub(crate) fn test_lines(&self) -> impl Iterator<Item = &RangeInclusive<usize>> {
        self.modules.iter().filter(|module| module.test).filter_map(|module| module.body.as_ref())
    }

    /// True when the line belongs to a module that is compiled for tests only.
    pub(crate) fn is_test_line(&self, line: usize) -> bool {
        self.test_lines().any(|lines| lines.contains(&line))
    }
}

/// Reads a file's words.
pub(super) struct Reader<'a> {
    lexed: &'a Lexed,
    pub(super) tokens: Vec<Token<'a>>,
}

/// An inline module's name, and its braces as token indexes.
pub(super) type Inline<'a> = (&'a str, usize, usize);

impl<'a> Reader<'a> {
    /// The word at `index`; empty behind the end.
    pub(super) fn text(&self, index: usize) -> &'a str {
        self.tokens.get(index).map_or("", |token| token.text)
    }

    /// True when an identifier or keyword stands there.
    pub(super) fn is_word(&self, index: usize) -> bool {
        self.tokens.get(index).is_some_and(Token::is_word)
    }

    /// The line of a word.
    pub(super) fn line(&self, index: usize) -> usize {
        self.tokens.get(index).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    /// Where `mod name` begins, for both kinds.
    fn module_starts(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.tokens.len()).filter(|index| {
            self.text(*index) == "mod"
                && self.is_word(index + 1)
                && matches!(self.text(index + 2), "{" | ";")
        })
    }

    fn inline_modules(&self) -> Vec<Inline<'a>> {
        self.module_starts()
            .filter(|index| self.text(index + 2) == "{")
            .map(|index| (self.text(index + 1), index + 2, self.closing(index + 2)))
            .collect()
    }

    fn modules(&self, inline: &[Inline<'_>]) -> Vec<Module> {
        self.module_starts().map(|index| self.module(index, inline)).collect()
    }

    fn module(&self, index: usize, inline: &[Inline<'_>]) -> Module {
        let attributes = self.attributes_before(index);
        let first = attributes.last().map_or(index, |attribute| attribute.start);
        let open = index + 2;
        let is_inline = self.text(open) == "{";
        Module {
            name: self.text(index + 1).to_owned(),
            within: within(inline, index),
            line: self.line(index),
            body: is_inline.then(|| self.line(first)..=self.line(self.closing(open))),
            test: attributes.iter().any(|attribute| self.is_test_only(attribute.clone())),
            path: attributes.into_iter().find_map(|attribute| self.path_attribute(attribute)),
        }
    }

    /// The index of the brace, bracket or parenthesis that closes the one at `open`.
    pub(super) fn closing(&self, open: usize) -> usize {
        let (opening, closing) = match self.text(open) {
            "{" => ("{", "}"),
            "[" => ("[", "]"),
            _ => ("(", ")"),
        };
        let mut depth = 0_usize;
        for index in open..self.tokens.len() {
            if self.text(index) == opening {
                depth += 1;
            } else if self.text(index) == closing {
                depth -= 1;
                if depth == 0 {
                    return index;
                }
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    /// The insides of the attributes in front of an item, nearest first, as token ranges.
    fn attributes_before(&self, item: usize) -> Vec<std::ops::Range<usize>> {
        let mut found = Vec::new();
        let mut end = self.before_visibility(item);
        while end > 0 && self.text(end - 1) == "]" {
            let Some(open) = self.opening_bracket(end - 1) else { break };
            found.push(open + 1..end - 1);
            end = open.saturating_sub(1);
        }
        found
    }

    fn before_visibility(&self, item: usize) -> usize {
        if item > 0 && self.text(item - 1) == ")" {
            let open = (0..item).rev().find(|index| self.text(*index) == "(").unwrap_or(item);
            return open.saturating_sub(1);
        }
        if item > 0 && self.text(item - 1) == "pub" { item - 1 } else { item }
    }

    fn opening_bracket(&self, close: usize) -> Option<usize> {
        let mut depth = 0_usize;
        for index in (0..=close).rev() {
            match self.text(index) {
                "]" => depth += 1,
                "[" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(index);
            }
        }
        None
    }

    fn is_test_only(&self, mut attribute: std::ops::Range<usize>) -> bool {
        let mut words = attribute.clone().map(|index| self.text(index));
        let negated = attribute.any(|index| self.text(index) == "not");
        words.next() == Some("cfg") && words.any(|word| word == "test") && !negated
    }

    fn path_attribute(&self, attribute: std::ops::Range<usize>) -> Option<String> {
        if self.text(attribute.start) != "path" {
            return None;
        }
        let start = self.tokens.get(attribute.start)?.at;
        let value = self.lexed.uncommented.get(start..)?.split('"').nth(1)?;
        Some(value.to_owned())
    }

    fn functions(&self) -> Vec<Function> {
        let has_code: Vec<bool> =
            self.lexed.code.lines().map(|line| !line.trim().is_empty()).collect();
        let mut found = Vec::new();
        for index in 0..self.tokens.len() {
            if self.text(index) != "fn" || !self.is_word(index + 1) {
                continue;
            }
            let Some(open) = self.body_of(index) else { continue };
            let lines = self.line(index)..=self.line(self.closing(open));
            let code_lines =
                lines.clone().filter(|line| has_code.get(line - 1) == Some(&true)).count();
            found.push(Function {
                name: self.text(index + 1).to_owned(),
                line: *lines.start(),
                code_lines,
            });
        }
        found
    }

    /// The brace that opens a function's body; `None` for a declaration without one.
    fn body_of(&self, function: usize) -> Option<usize> {
        let mut index = function + 2;
        while index < self.tokens.len() {
            match self.text(index) {
                "(" | "[" => index = self.closing(index),
                // A block as a generic argument: `-> Fixed<{ N }>`.
                "{" if self.text(index - 1) == "<" => index = self.closing(index),
                "{" => return Some(index),
                ";" => return None,
                _ => {}
            }
            index += 1;
        }
        None
    }
}

/// The inline modules around a word, outermost first.
pub(super) fn within(inline: &[Inline<'_>], index: usize) -> Vec<String> {
    inline
        .iter()
        .filter(|(_, open, close)| *open < index && index < *close)
        .map(|(name, _, _)| (*name).to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(text: &str) -> Outline {
        Outline::new(&Lexed::new(text))
    }

    #[test]
    fn modules_know_where_they_are_and_whether_they_are_tests() {
        let text = "pub mod a;\n#[cfg(test)]\nmod tests {\n    mod deep { use x::y; }\n}\n#[cfg(not(test))]\nmod real;";
        let found = outline(text);
        let names: Vec<_> =
            found.modules.iter().map(|module| (module.name.as_str(), module.test)).collect();
        assert_eq!(names, [("a", false), ("tests", true), ("deep", false), ("real", false)]);
        assert_eq!(found.modules[1].body, Some(2..=5));
        assert_eq!(found.modules[2].within, ["tests"]);
        assert_eq!(found.paths[0].within, ["tests", "deep"]);
        assert!(found.is_test_line(4) && !found.is_test_line(1));
    }

    #[test]
    fn attributes_are_read_through_visibility() {
        let found = outline("#[cfg(all(test, unix))]\n#[path = \"other.rs\"]\npub(super) mod a;");
        assert!(found.modules[0].test);
        assert_eq!(found.modules[0].path.as_deref(), Some("other.rs"));
    }

    #[test]
    fn functions_are_measured_in_lines_of_code() {
        let text = "trait T { fn declared(&self); }\nfn f(x: [u8; { 2 }]) -> A<{ N }>\n{\n    // why\n\n    g();\n}\n";
        let found = outline(text).functions;
        assert_eq!(found, [Function { name: "f".to_owned(), line: 2, code_lines: 4 }]);
    }

    #[test]
    fn function_pointers_are_not_functions() {
        assert!(outline("type F = fn(u8) -> u8; let x = fn_name {};").functions.is_empty());
    }
}
