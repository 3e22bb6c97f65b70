//! Sizes of files and functions.

use super::ratchet::Ratchet;
use crate::report::Report;
use crate::source::Tree;

/// Above this a file has more than one subject. Test modules do not count.
pub(super) const FILE_LINES: usize = 600;

/// Above this a file is worth a second look.
const FILE_LINES_AIM: usize = 300;

/// Above this a function does not fit on a screen. Blank lines and comments do not count.
pub(super) const FUNCTION_LINES: usize = 70;

/// No file is too long, except those that the ratchet names.
pub(super) fn files(tree: &Tree, report: &mut Report) {
    let ratchet = Ratchet::of(tree);
    for (path, source) in tree.sources() {
        let lines = source.production_lines();
        if lines > ratchet.file(path).unwrap_or(FILE_LINES) {
            report.fail(
                path,
                0,
                format!("{lines} lines outside tests, at most {FILE_LINES}: split it by subject"),
            );
        } else if lines > FILE_LINES_AIM {
            report.note(format!("{path}: {lines} lines outside tests, aim at {FILE_LINES_AIM}"));
        }
    }
}

/// No function is too long, except those that the ratchet names.
pub(super) fn functions(tree: &Tree, report: &mut Report) {
    let ratchet = Ratchet::of(tree);
    for (path, source) in tree.sources() {
        for function in &source.outline.functions {
            let lines = function.code_lines;
            if lines > ratchet.function(path, &function.name).unwrap_or(FUNCTION_LINES) {
                let message = format!(
                    "`{}` has {lines} lines of code, at most {FUNCTION_LINES}",
                    function.name
                );
                report.fail(path, function.line, message);
            }
        }
    }
}

/// A file of one line too many.
pub(super) const LONG_FILE: &str = repeated(&[b'\n'; FILE_LINES + 1]);

/// A function of one line too many: its own two lines and the statements.
pub(super) const LONG_FUNCTION: &str = repeated(&FUNCTION_BYTES);

const FUNCTION_BYTES: [u8; FUNCTION_LINES * 3 + 10] = {
    let mut bytes = [b' '; FUNCTION_LINES * 3 + 10];
    let head = b"fn f() {\n";
    let mut at = 0;
    while at < head.len() {
        bytes[at] = head[at];
        at += 1;
    }
    while at + 3 < bytes.len() {
        bytes[at] = b'g';
        bytes[at + 1] = b';';
        bytes[at + 2] = b'\n';
        at += 3;
    }
    bytes[bytes.len() - 1] = b'}';
    bytes
};

const fn repeated(bytes: &'static [u8]) -> &'static str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => panic!("invariant: ASCII"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(rule: fn(&Tree, &mut Report), files: &[(&str, &str)]) -> (usize, usize) {
        let mut report = Report::default();
        rule(&Tree::of(files), &mut report);
        (report.findings().count(), report.notes().count())
    }

    #[test]
    fn the_limit_itself_is_allowed() {
        assert_eq!(findings(files, &[("src/a.rs", &"\n".repeat(600))]), (0, 1));
        assert_eq!(findings(files, &[("src/a.rs", &"\n".repeat(601))]), (1, 0));
        assert_eq!(findings(files, &[("src/a.rs", &"\n".repeat(300))]), (0, 0));
        let function =
            |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n// why\n\n".repeat(lines - 2));
        assert_eq!(findings(functions, &[("src/a.rs", &function(70))]), (0, 0));
        assert_eq!(findings(functions, &[("src/a.rs", &function(71))]), (1, 0));
    }

    #[test]
    fn tests_at_the_bottom_do_not_count() {
        let text =
            format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", "\n".repeat(299), "\n".repeat(900));
        assert_eq!(findings(files, &[("src/a.rs", &text)]), (0, 0));
    }

    #[test]
    fn what_the_ratchet_names_may_be_as_long_as_it_says() {
        let long = "\n".repeat(650);
        let with = |limit: &str| {
            findings(files, &[("src/a.rs", &long), (super::super::ratchet::FILE, limit)]).0
        };
        assert_eq!(with("file src/a.rs 650"), 0);
        assert_eq!(with("file src/a.rs 640"), 1);
        assert_eq!(with("file src/b.rs 650"), 1);
    }
}
