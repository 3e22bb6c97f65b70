//! Style and drift, checked instead of remembered.
//!
//! Here live the checks that look at one fact of the sources each. Not here:
//! imports (`layers`), what rustfmt and clippy already see. Invariant: every
//! check carries an example on which it fails, and is run on that example before
//! it is believed: a check that has gone blind fails the run.

use std::fs;
use std::path::Path;

use crate::Result;
use crate::report::Report;
use crate::source::Tree;

mod docs;
mod ratchet;
mod size;
mod structure;
mod text;
mod words;

/// A rule, and a tree that breaks it.
pub(crate) struct Check {
    /// What is checked.
    pub(crate) name: &'static str,
    /// Looks at the tree.
    pub(crate) run: fn(&Tree, &mut Report),
    /// Files that break the rule.
    pub(crate) failing: &'static [(&'static str, &'static str)],
}

const CHECKS: [Check; 15] = [
    Check { name: "ASCII sources", run: text::ascii, failing: &[("src/a.rs", "// caf\u{e9}")] },
    Check {
        name: "trailing whitespace",
        run: text::trailing_whitespace,
        failing: &[("README.md", "a \nb")],
    },
    Check {
        name: "module docs",
        run: text::module_docs,
        failing: &[("src/a/mod.rs", "use std::fmt;")],
    },
    Check {
        name: "names of directories",
        run: text::names,
        failing: &[("src/helpers/mod.rs", "//! A.")],
    },
    Check { name: "file sizes", run: size::files, failing: &[("src/a.rs", size::LONG_FILE)] },
    Check {
        name: "function sizes",
        run: size::functions,
        failing: &[("src/a.rs", size::LONG_FUNCTION)],
    },
    Check {
        name: "ratchet",
        run: ratchet::only_shrinks,
        failing: &[(ratchet::FILE, "file src/gone.rs 700")],
    },
    Check {
        name: "banned words",
        run: words::banned,
        failing: &[("src/a.rs", "fn f() { todo!() }")],
    },
    Check {
        name: "homes of crates",
        run: words::homes,
        failing: &[("src/repo/a.rs", "use bincode::config;")],
    },
    Check {
        name: "dead files",
        run: structure::dead_files,
        failing: &[("src/lib.rs", ""), ("src/a.rs", "")],
    },
    Check {
        name: "forgotten tests",
        run: structure::one_test_binary,
        failing: &[("Cargo.toml", "[package]\nname = \"larder\"\n"), ("tests/a.rs", "")],
    },
    Check {
        name: "a command for every use case",
        run: structure::commands,
        failing: &[("src/cli/mod.rs", ""), ("src/ops/backup.rs", "")],
    },
    Check {
        name: "decision records",
        run: docs::records,
        failing: &[("docs/adr/1-short.md", "# 1")],
    },
    Check { name: "links", run: docs::links, failing: &[("README.md", "[a](docs/missing.md)")] },
    Check { name: "codec hash", run: docs::codec_hash, failing: &[("docs/format.md", "# Format")] },
];

/// Runs every check.
pub(crate) fn run(tree: &Tree) -> Report {
    run_checks(&CHECKS, tree)
}

/// Runs these checks, each on its failing example first.
pub(crate) fn run_checks(checks: &[Check], tree: &Tree) -> Report {
    let mut report = Report::default();
    for check in checks {
        let mut example = Report::default();
        (check.run)(&Tree::of(check.failing), &mut example);
        if example.findings().next().is_none() {
            report.fail(
                "xtask",
                0,
                format!("the check of {} no longer fails on its own example", check.name),
            );
        }
        (check.run)(tree, &mut report);
    }
    report
}

/// Writes the present hash of `src/codec` into `docs/format.md`.
pub(crate) fn update_codec_hash(root: &Path) -> Result<()> {
    let tree = Tree::load(root)?;
    let text = tree.text(docs::FORMAT).ok_or("docs/format.md does not exist yet")?;
    let updated = docs::with_codec_hash(text, &docs::hash_of_codec(&tree));
    fs::write(root.join(docs::FORMAT), updated)
        .map_err(|error| format!("cannot write docs/format.md: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_fails_on_its_example_and_passes_on_a_sound_tree() {
        let sound = Tree::of(&[
            ("Cargo.toml", "[package]\nname = \"larder\"\nautotests = false\n"),
            ("README.md", "[adr](docs/adr/0001-a.md)\n"),
            ("docs/adr/0001-a.md", "# 1. A\n\n## Context\n\n## Decision\n\n## Consequences\n"),
            ("src/lib.rs", "//! A.\n\npub mod a;\n"),
            ("src/a/mod.rs", "//! A.\n\nfn f() {}\n"),
            ("tests/main.rs", "//! Tests.\n\nmod a;\n"),
            ("tests/a.rs", "//! A.\n"),
        ]);
        let report = run(&sound);
        assert_eq!(report.findings().collect::<Vec<_>>(), Vec::<&crate::report::Finding>::new());
    }

    #[test]
    fn a_blind_check_is_noticed() {
        let blind = Check { name: "nothing", run: |_, _| {}, failing: &[("src/a.rs", "todo!()")] };
        assert_eq!(run_checks(&[blind], &Tree::default()).findings().count(), 1);
    }

    #[test]
    fn no_check_fires_on_the_examples_by_chance() {
        // An example that breaks another rule as well would hide that its own check went blind;
        // each is therefore run with its own check alone, and that the others can pass is shown above.
        for check in &CHECKS {
            let mut report = Report::default();
            (check.run)(&Tree::default(), &mut report);
            assert_eq!(report.findings().count(), 0, "{} fails on an empty tree", check.name);
        }
    }
}
