//! The list of files and functions that are too long, by name. It may only shrink.

use super::size::{FILE_LINES, FUNCTION_LINES};
use crate::report::Report;
use crate::source::Tree;

/// Where the list is kept.
pub(super) const FILE: &str = "xtask/tidy.txt";

/// How many entries the list may have. Lower it whenever one goes; raising it is what a review must see.
const MOST_ENTRIES: usize = 0;

/// `file PATH LINES` or `function PATH NAME LINES`.
#[derive(Debug, PartialEq, Eq)]
enum Entry<'a> {
    File { path: &'a str, lines: usize },
    Function { path: &'a str, name: &'a str, lines: usize },
    Malformed,
}

/// The list.
#[derive(Debug)]
pub(super) struct Ratchet<'a> {
    /// With the line of each entry.
    entries: Vec<(usize, Entry<'a>)>,
}

impl<'a> Ratchet<'a> {
    /// The tree's list; empty when there is none.
    pub(super) fn of(tree: &'a Tree) -> Self {
        let lines = tree.text(FILE).unwrap_or_default().lines().enumerate();
        let entries = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        Self { entries: entries.map(|(index, line)| (index + 1, parse(line))).collect() }
    }

    /// The lines that this file may have.
    pub(super) fn file(&self, wanted: &str) -> Option<usize> {
        self.entries.iter().find_map(|(_, entry)| match entry {
            Entry::File { path, lines } if *path == wanted => Some(*lines),
            _ => None,
        })
    }

    /// The lines that this function may have.
    pub(super) fn function(&self, wanted: &str, wanted_name: &str) -> Option<usize> {
        self.entries.iter().find_map(|(_, entry)| match entry {
            Entry::Function { path, name, lines } if *path == wanted && *name == wanted_name => {
                Some(*lines)
            }
            _ => None,
        })
    }
}

fn parse(line: &str) -> Entry<'_> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let entry = match words.as_slice() {
        ["file", path, lines] => lines.parse().map(|lines| Entry::File { path, lines }),
        ["function", path, name, lines] => {
            lines.parse().map(|lines| Entry::Function { path, name, lines })
        }
        _ => return Entry::Malformed,
    };
    entry.unwrap_or(Entry::Malformed)
}

/// Entries are as small as the sources allow, and not too many.
pub(super) fn only_shrinks(tree: &Tree, report: &mut Report) {
    let ratchet = Ratchet::of(tree);
    for (line, entry) in &ratchet.entries {
        let (recorded, actual, limit) = match entry {
            Entry::File { path, lines } => (*lines, file_lines(tree, path), FILE_LINES),
            Entry::Function { path, name, lines } => {
                (*lines, function_lines(tree, path, name), FUNCTION_LINES)
            }
            Entry::Malformed => {
                report.fail(FILE, *line, "write `file PATH LINES` or `function PATH NAME LINES`");
                continue;
            }
        };
        match actual {
            Some(actual) if actual > limit && actual < recorded => {
                report.fail(FILE, *line, format!("it has {actual} lines now: lower the entry"));
            }
            Some(actual) if actual > limit => {}
            _ => report.fail(FILE, *line, "no longer too long, or gone: remove the entry"),
        }
    }
    if ratchet.entries.len() > MOST_ENTRIES {
        report.fail(
            FILE,
            0,
            format!(
                "{} entries, at most {MOST_ENTRIES}: the list only shrinks",
                ratchet.entries.len()
            ),
        );
    }
}

fn file_lines(tree: &Tree, path: &str) -> Option<usize> {
    Some(tree.source(path)?.production_lines())
}

fn function_lines(tree: &Tree, path: &str, name: &str) -> Option<usize> {
    let functions = &tree.source(path)?.outline.functions;
    functions
        .iter()
        .filter(|function| function.name == name)
        .map(|function| function.code_lines)
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(list: &str) -> String {
        let long = "\n".repeat(650);
        let mut report = Report::default();
        only_shrinks(
            &Tree::of(&[("src/a.rs", &long), ("src/b.rs", "fn f() {}"), (FILE, list)]),
            &mut report,
        );
        report.findings().map(|finding| finding.message.as_str()).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn entries_follow_the_sources_down() {
        assert!(messages("file src/a.rs 660").contains("650 lines now"));
        assert!(messages("file src/gone.rs 660").contains("remove"));
        assert!(messages("file src/b.rs 660").contains("remove"));
        assert!(messages("function src/b.rs f 80").contains("remove"));
        assert!(messages("function src/b.rs 80").contains("write `file"));
        assert!(messages("# nothing\n").is_empty());
    }
}
