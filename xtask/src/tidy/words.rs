//! Words that the sources must not contain, and crates that have one home.

use crate::report::Report;
use crate::source::{SourceFile, Tree, find_word};

/// Where a word counts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Where {
    /// In code, not in comments and strings; in modules compiled for tests it may stand.
    Code,
    /// In code, test modules included.
    CodeAndTests,
    /// Anywhere in any text file.
    Text,
}

struct Word {
    text: &'static str,
    counts: Where,
    instead: &'static str,
    /// Beginnings of the paths where it may stand.
    homes: &'static [&'static str],
}

/// What runs outside the product or at its rim: there the clock, the environment and the disk are real.
const RIM: &[&str] = &[
    "src/cli/",
    "src/main.rs",
    "crates/sample/",
    "crates/testkit/",
    "xtask/",
    "benches/",
    "tests/",
];

/// The helper process that captures databases measures waits and budgets that nobody could hand to it.
const RIM_AND_HELPER: &[&str] = &[
    "src/sqlite/",
    "src/cli/",
    "src/main.rs",
    "crates/sample/",
    "crates/testkit/",
    "xtask/",
    "benches/",
    "tests/",
];

const OUTSIDE: &[&str] = &["crates/sample/", "crates/testkit/", "xtask/", "benches/", "tests/"];

/// The marks are put together here so that this file does not contain them.
const WORDS: [Word; 14] = [
    Word {
        text: "SystemTime::now",
        counts: Where::Code,
        instead: "the time is an argument, given by the front end",
        homes: RIM,
    },
    Word {
        text: "Instant::now",
        counts: Where::Code,
        instead: "elapsed time comes from the front end, so that no test waits",
        homes: RIM_AND_HELPER,
    },
    Word {
        text: "env::var",
        counts: Where::Code,
        instead: "the environment is read in src/cli and handed down",
        homes: RIM,
    },
    Word {
        text: "env::var_os",
        counts: Where::Code,
        instead: "the environment is read in src/cli and handed down",
        homes: RIM,
    },
    Word {
        text: "env::vars",
        counts: Where::Code,
        instead: "the environment is read in src/cli and handed down",
        homes: RIM,
    },
    Word {
        text: "thread::spawn",
        counts: Where::CodeAndTests,
        instead: "std::thread::scope: a worker's failure must reach whoever started it",
        homes: &[],
    },
    Word {
        text: "fs::write",
        counts: Where::Code,
        instead: "the repository writes through repo::disk; elsewhere create the file, write, sync and check each",
        homes: OUTSIDE,
    },
    Word {
        text: "fs::rename",
        counts: Where::Code,
        instead: "it replaces silently: Disk::rename_noreplace, or rustix's renameat_with",
        homes: OUTSIDE,
    },
    Word {
        text: "todo!",
        counts: Where::CodeAndTests,
        instead: "finish it, or leave it out",
        homes: &[],
    },
    Word {
        text: "unimplemented!",
        counts: Where::CodeAndTests,
        instead: "finish it, or leave it out",
        homes: &[],
    },
    Word {
        text: "dbg!",
        counts: Where::CodeAndTests,
        instead: "an Observer, or nothing",
        homes: &[],
    },
    Word {
        text: concat!("FIX", "ME"),
        counts: Where::Text,
        instead: "fix it, or file an issue",
        homes: &[],
    },
    Word {
        text: concat!("XX", "X"),
        counts: Where::Text,
        instead: "fix it, or file an issue",
        homes: &[],
    },
    Word {
        text: concat!("/wo", "rk/"),
        counts: Where::Text,
        instead: "a path of one machine: make it relative, or an argument",
        homes: &[],
    },
];

/// No banned word stands outside its home.
pub(super) fn banned(tree: &Tree, report: &mut Report) {
    for word in &WORDS {
        if word.counts == Where::Text {
            for (path, text) in tree.texts().filter(|(path, _)| !at_home(path, word.homes)) {
                find_word(text, word.text)
                    .for_each(|at| word.report(path, line_of(text, at), report));
            }
            continue;
        }
        for (path, source) in tree.sources().filter(|(path, _)| !at_home(path, word.homes)) {
            let code = &source.lexed.code;
            for line in find_word(code, word.text).map(|at| line_of(code, at)) {
                if word.counts == Where::CodeAndTests || !source.outline.is_test_line(line) {
                    word.report(path, line, report);
                }
            }
        }
    }
}

impl Word {
    fn report(&self, path: &str, line: usize, report: &mut Report) {
        report.fail(path, line, format!("`{}` is not used here: {}", self.text, self.instead));
    }
}

struct Home {
    krate: &'static str,
    places: &'static [&'static str],
    reason: &'static str,
}

/// Crates that one module hides from the rest.
const HOMES: [Home; 8] = [
    Home {
        krate: "bincode",
        places: &["src/codec/envelope.rs"],
        reason: "it is unmaintained and must stay replaceable",
    },
    Home {
        krate: "memmap2",
        places: &["src/repo/disk/", "src/snapshot/version/pages.rs"],
        reason: "mapped files are the disk's business, and its unsafety; spools are mapped in one place",
    },
    Home {
        krate: "rusqlite",
        places: &["src/sqlite/", "crates/sample/", "crates/testkit/", "benches/", "tests/"],
        reason: "a connection in another process than the helper drops the application's locks",
    },
    Home {
        krate: "fs2",
        places: &[
            "src/repo/disk/",
            "src/repo/backend/",
            "src/sqlite/private_dir.rs",
            "src/sqlite/spool.rs",
            "src/ops/",
            "tests/",
        ],
        reason: "the disk takes the locks and knows its free space, the spool its own; private directories are locked while their owner lives",
    },
    Home {
        krate: "clap",
        places: &["src/cli/", "src/main.rs"],
        reason: "only the binary parses arguments",
    },
    Home { krate: "indicatif", places: &["src/cli/"], reason: "only the binary knows a terminal" },
    Home { krate: "comfy_table", places: &["src/cli/"], reason: "only the binary prints tables" },
    Home {
        krate: "signal_hook",
        places: &["src/cli/", "src/main.rs"],
        reason: "only the binary hears signals",
    },
];

/// Every such crate is named in its home only. Test modules obey too.
pub(super) fn homes(tree: &Tree, report: &mut Report) {
    for Home { krate, places, reason } in &HOMES {
        for (path, source) in tree.sources().filter(|(path, _)| !at_home(path, places)) {
            for line in mentions(source, krate) {
                report.fail(
                    path,
                    line,
                    format!("`{krate}` lives in {}: {reason}", places.join(", ")),
                );
            }
        }
    }
}

/// Lines on which a path leads into the crate. A field or variable of the same name is none.
fn mentions(source: &SourceFile, krate: &str) -> Vec<usize> {
    let first =
        |path: &crate::source::PathUse| path.segments.first().is_some_and(|first| first == krate);
    source.outline.paths.iter().filter(|path| first(path)).map(|path| path.line).collect()
}

fn at_home(path: &str, homes: &[&str]) -> bool {
    homes.iter().any(|home| path.starts_with(home))
}

fn line_of(text: &str, at: usize) -> usize {
    text[..at].matches('\n').count() + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(rule: fn(&Tree, &mut Report), path: &str, text: &str) -> usize {
        let mut report = Report::default();
        rule(&Tree::of(&[(path, text)]), &mut report);
        report.findings().count()
    }

    #[test]
    fn every_word_is_found_outside_its_homes_and_allowed_inside() {
        for word in &WORDS {
            let text = format!("fn f() {{ std::{} }}", word.text);
            assert_eq!(count(banned, "src/ops/backup.rs", &text), 1, "{}", word.text);
            for home in word.homes {
                let path =
                    if home.ends_with('/') { format!("{home}a.rs") } else { (*home).to_owned() };
                assert_eq!(count(banned, &path, &text), 0, "{} in {path}", word.text);
            }
        }
    }

    #[test]
    fn comments_and_strings_may_speak_of_code_but_not_carry_marks() {
        assert_eq!(
            count(banned, "src/a.rs", "// never SystemTime::now\nfn f() { g(\"todo!\") }"),
            0
        );
        assert_eq!(count(banned, "src/a.rs", concat!("// FIX", "ME later")), 1);
        assert_eq!(count(banned, "docs/a.md", concat!("see /wo", "rk/x")), 1);
        assert_eq!(count(banned, "docs/a.md", "mkdtemp XXXXXX, workshop, a/workbench/b"), 0);
    }

    #[test]
    fn test_modules_may_touch_clock_and_disk_but_spawn_nothing() {
        let test = |call: &str| format!("#[cfg(test)]\nmod tests {{ fn f() {{ {call} }} }}");
        assert_eq!(count(banned, "src/a.rs", &test("std::fs::write(p, b)")), 0);
        assert_eq!(count(banned, "src/a.rs", &test("std::thread::spawn(f)")), 1);
        assert_eq!(count(banned, "src/a.rs", "fn f() { scope.spawn(g) }"), 0);
    }

    #[test]
    fn every_crate_has_a_home_and_only_there_is_it_named() {
        for Home { krate, places, .. } in &HOMES {
            let text = format!("fn f() {{ {krate}::g() }}\nuse {krate}::h;");
            assert_eq!(count(homes, "src/web/mod.rs", &text), 2, "{krate}");
            let path = if places[0].ends_with('/') {
                format!("{}a.rs", places[0])
            } else {
                places[0].to_owned()
            };
            assert_eq!(count(homes, &path, &text), 0, "{krate}");
        }
    }

    #[test]
    fn a_crate_in_a_comment_or_as_a_field_is_not_used() {
        assert_eq!(
            count(
                homes,
                "src/codec/mod.rs",
                "//! The only use of bincode::config.\nfn f() { x.fs2; }"
            ),
            0
        );
    }
}
