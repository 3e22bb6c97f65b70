//! Characters, line ends, names.

use crate::report::Report;
use crate::source::Tree;

/// Sources are ASCII: what looks like a letter is that letter. Prose may have more.
pub(super) fn ascii(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.texts().filter(|(path, _)| !is_prose(path)) {
        for (index, line) in text.lines().enumerate() {
            if let Some(character) = line.chars().find(|character| !character.is_ascii()) {
                report.fail(
                    path,
                    index + 1,
                    format!("{character:?} is not ASCII: write {}", character.escape_unicode()),
                );
            }
        }
    }
}

fn is_prose(path: &str) -> bool {
    std::path::Path::new(path).extension().is_some_and(|extension| extension == "md")
}

/// No line ends in a blank.
pub(super) fn trailing_whitespace(tree: &Tree, report: &mut Report) {
    for (path, text) in tree.texts() {
        for (index, line) in text.split('\n').enumerate() {
            if line.ends_with([' ', '\t', '\r']) {
                report.fail(path, index + 1, "trailing whitespace");
            }
        }
    }
}

/// A `mod.rs` and a crate root open with what lives there.
pub(super) fn module_docs(tree: &Tree, report: &mut Report) {
    for (path, source) in tree.sources() {
        let file = path.rsplit('/').next().unwrap_or(path);
        if matches!(file, "mod.rs" | "lib.rs" | "main.rs") && !source.text.starts_with("//! ") {
            report.fail(path, 1, "begin with `//!`: what lives here, what does not, the invariant");
        }
    }
}

/// Names under which everything and therefore nothing belongs.
const NAMES_FOR_ANYTHING: [&str; 6] = ["common", "helpers", "manager", "misc", "util", "utils"];

/// Every directory and file is named for what it holds.
pub(super) fn names(tree: &Tree, report: &mut Report) {
    for path in tree.paths() {
        let stems = path.split('/').map(|part| part.strip_suffix(".rs").unwrap_or(part));
        if let Some(name) = stems.into_iter().find(|stem| NAMES_FOR_ANYTHING.contains(stem)) {
            report.fail(path, 0, format!("`{name}` says nothing: name what it holds"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(&Tree, &mut Report), path: &str, text: &str) -> Vec<usize> {
        let mut report = Report::default();
        rule(&Tree::of(&[(path, text)]), &mut report);
        report.findings().map(|finding| finding.line).collect()
    }

    #[test]
    fn places_are_exact() {
        assert_eq!(lines(ascii, "src/a.rs", "a\n\u{2013}\n"), [2]);
        assert_eq!(lines(ascii, "docs/a.md", "\u{2013}"), Vec::<usize>::new());
        assert_eq!(lines(trailing_whitespace, "a.toml", "a\nb\t\nc \n"), [2, 3]);
        assert_eq!(lines(trailing_whitespace, "a.toml", "a\r\n"), [1]);
        assert_eq!(lines(module_docs, "src/a.rs", "fn f() {}"), Vec::<usize>::new());
        assert_eq!(lines(module_docs, "src/a/mod.rs", "//! A.\n"), Vec::<usize>::new());
        assert_eq!(lines(names, "tests/common/mod.rs", ""), [0]);
        assert_eq!(lines(names, "src/utils.rs", ""), [0]);
        assert_eq!(lines(names, "src/utility.rs", ""), Vec::<usize>::new());
    }
}
