//! The paths that a source file names, in `use` items and anywhere else.

use super::outline::{Inline, Reader, within};

/// A path of two or more segments, or the path of a `use`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathUse {
    /// Its segments; `*` is not one of them.
    pub(crate) segments: Vec<String>,
    /// It ends in `*`.
    pub(crate) glob: bool,
    /// It stands in a `use`.
    pub(crate) import: bool,
    /// Where.
    pub(crate) line: usize,
    /// The inline modules around it, outermost first.
    pub(crate) within: Vec<String>,
}

impl Reader<'_> {
    /// Every path of the file, in source order.
    pub(super) fn paths(&self, inline: &[Inline<'_>]) -> Vec<PathUse> {
        let mut found = Vec::new();
        let mut index = 0;
        while index < self.tokens.len() {
            if self.text(index) == "use" && self.text(index + 1) != "<" {
                let first = found.len();
                index = self.use_tree(index + 1, &mut Vec::new(), &mut found);
                found[first..].iter_mut().for_each(|path| path.within = within(inline, index));
            } else if self.begins_path(index) {
                index = self.inline_path(index, &mut found);
                if let Some(path) = found.last_mut() {
                    path.within = within(inline, index - 1);
                }
            } else {
                index += 1;
            }
        }
        found
    }

    fn begins_path(&self, index: usize) -> bool {
        let continues = index > 0 && matches!(self.text(index - 1), "::" | ".");
        self.is_word(index) && self.text(index + 1) == "::" && !continues
    }

    fn inline_path(&self, start: usize, found: &mut Vec<PathUse>) -> usize {
        let mut segments = vec![self.text(start).to_owned()];
        let mut index = start + 1;
        while self.text(index) == "::" && self.is_word(index + 1) {
            segments.push(self.text(index + 1).to_owned());
            index += 2;
        }
        found.push(self.path(segments, false, start, false));
        index
    }

    fn path(&self, segments: Vec<String>, glob: bool, at: usize, import: bool) -> PathUse {
        PathUse { segments, glob, import, line: self.line(at), within: Vec::new() }
    }

    /// Reads one tree of a `use` at `index` and returns the index after it.
    fn use_tree(
        &self,
        mut index: usize,
        prefix: &mut Vec<String>,
        found: &mut Vec<PathUse>,
    ) -> usize {
        let depth = prefix.len();
        loop {
            match self.text(index) {
                "::" => index += 1,
                "{" => {
                    index = self.use_group(index, prefix, found);
                    break;
                }
                "*" => {
                    found.push(self.path(prefix.clone(), true, index, true));
                    index += 1;
                    break;
                }
                "as" => index += 2,
                _ if self.is_word(index) => {
                    if self.text(index) != "self" || prefix.is_empty() {
                        prefix.push(self.text(index).to_owned());
                    }
                    index += 1;
                }
                _ => {
                    found.push(self.path(prefix.clone(), false, index - 1, true));
                    break;
                }
            }
        }
        prefix.truncate(depth);
        index
    }

    fn use_group(&self, open: usize, prefix: &mut Vec<String>, found: &mut Vec<PathUse>) -> usize {
        let close = self.closing(open);
        let mut index = open + 1;
        while index < close {
            index = match self.text(index) {
                "," => index + 1,
                _ => self.use_tree(index, prefix, found).max(index + 1),
            };
        }
        close + 1
    }
}

#[cfg(test)]
mod tests {
    use super::super::lex::Lexed;
    use super::super::outline::Outline;
    use super::*;

    fn outline(text: &str) -> Outline {
        Outline::new(&Lexed::new(text))
    }

    fn paths(text: &str) -> Vec<String> {
        let shown = |path: &PathUse| {
            let glob = if path.glob { "::*" } else { "" };
            format!("{}{glob}", path.segments.join("::"))
        };
        outline(text).paths.iter().map(shown).collect()
    }

    #[test]
    fn nested_braces_are_unfolded() {
        let text = "use crate::{a::{B, c::{self, D as E}}, f::*};";
        assert_eq!(paths(text), ["crate::a::B", "crate::a::c", "crate::a::c::D", "crate::f::*"]);
    }

    #[test]
    fn plain_uses_and_reexports() {
        assert_eq!(
            paths("pub(crate) use super::b::C;\nuse std::fmt;"),
            ["super::b::C", "std::fmt"]
        );
        assert_eq!(paths("use ::serde::Serialize;"), ["serde::Serialize"]);
        assert_eq!(paths("use super::super::x;"), ["super::super::x"]);
        assert_eq!(paths("use crate::*;"), ["crate::*"]);
        assert_eq!(paths("use self::a::B;"), ["self::a::B"]);
        assert_eq!(paths("use crate::a as b;"), ["crate::a"]);
    }

    #[test]
    fn inline_paths_are_seen_in_types_macros_and_calls() {
        assert_eq!(paths("fn f(x: &crate::a::B<crate::c::D>) {}"), ["crate::a::B", "crate::c::D"]);
        assert_eq!(paths("m!($crate::a::f())"), ["crate::a::f"]);
        assert_eq!(paths("let x = disk::Real::new();"), ["disk::Real::new"]);
        assert_eq!(paths("Vec::<u8>::new()"), ["Vec"]);
        assert_eq!(paths("// crate::a::B\n\"crate::a::B\""), Vec::<String>::new());
        assert_eq!(paths("pub(crate) fn f() -> impl Sized + use<'_> {}"), Vec::<String>::new());
    }

    #[test]
    fn every_line_of_a_group_is_its_own() {
        let found = outline("use crate::{\n    a,\n    b,\n};\n").paths;
        assert_eq!(found.iter().map(|path| path.line).collect::<Vec<_>>(), [2, 3]);
    }
}
