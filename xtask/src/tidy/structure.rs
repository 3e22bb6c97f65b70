//! Files that nobody compiles, tests that nobody runs, use cases that nobody can call.

use crate::report::Report;
use crate::source::{Tree, reachable};

/// Every source is reached from a crate root.
pub(super) fn dead_files(tree: &Tree, report: &mut Report) {
    let reached = reachable(tree, &crate_roots(tree));
    for (path, _) in tree.sources().filter(|(path, _)| !reached.contains_key(*path)) {
        report.fail(path, 0, "no `mod` line leads here: nothing in it is compiled or tested");
    }
}

/// The files at which the compiler begins, over all packages of the repository.
fn crate_roots(tree: &Tree) -> Vec<String> {
    let manifests = tree.paths().filter(|path| path.ends_with("/Cargo.toml"));
    let packages = manifests.map(|path| path.trim_end_matches("Cargo.toml")).chain([""]);
    packages.flat_map(|package| package_roots(tree, package)).collect()
}

/// `package` is empty or ends in a slash.
fn package_roots(tree: &Tree, package: &str) -> Vec<String> {
    let fixed = ["src/lib.rs", "src/main.rs", "build.rs", "tests/main.rs"]
        .map(|file| format!("{package}{file}"));
    // The root package finds no tests and benches by itself: it has one integration binary, and `benches/` is a package.
    let finds: &[&str] = if package.is_empty() {
        &["examples", "src/bin"]
    } else {
        &["benches", "examples", "src/bin", "tests"]
    };
    let discovered = tree.sources().filter_map(|(path, _)| {
        let (directory, file) = path.strip_prefix(package)?.rsplit_once('/')?;
        let above = directory.rsplit_once('/').map_or("", |(above, _)| above);
        let is_root = finds.contains(&directory) || (file == "main.rs" && finds.contains(&above));
        is_root.then(|| path.to_owned())
    });
    let manifest = tree.text(&format!("{package}Cargo.toml")).unwrap_or_default();
    let named = manifest.lines().filter_map(|line| {
        let value =
            line.strip_prefix("path")?.trim_start().strip_prefix('=')?.trim().trim_matches('"');
        value.strip_suffix(".rs").map(|_| format!("{package}{value}"))
    });
    fixed.into_iter().chain(discovered).chain(named).collect()
}

/// The root package links one integration binary. Left to itself, cargo makes one of every file in `tests/`.
pub(super) fn one_test_binary(tree: &Tree, report: &mut Report) {
    let has_tests = tree.sources().any(|(path, _)| path.starts_with("tests/"));
    let Some(manifest) = tree.text("Cargo.toml") else { return };
    if has_tests && !manifest.lines().any(|line| line.trim() == "autotests = false") {
        report.fail(
            "Cargo.toml",
            0,
            "`autotests = false` is missing: each file in tests/ would be linked by itself",
        );
    }
}

/// Files of `src/ops` that are parts of use cases, not use cases.
const NO_COMMAND: [&str; 6] = ["catalog", "naming", "open", "paths", "retention", "spool"];

/// Every use case can be called from the command line.
pub(super) fn commands(tree: &Tree, report: &mut Report) {
    if !tree.exists("src/cli") {
        report.note("skipped: use cases against commands, src/cli does not exist yet");
        return;
    }
    for (path, _) in tree.sources() {
        let Some(name) = use_case(path) else { continue };
        let command = format!("src/cli/commands/{name}");
        let exists = tree
            .source(&format!("{command}.rs"))
            .or(tree.source(&format!("{command}/mod.rs")))
            .is_some();
        if !exists && !NO_COMMAND.contains(&name) {
            report.fail(path, 0, format!("a use case without {command}.rs: nobody can call it"));
        }
    }
}

/// `src/ops/backup.rs` and `src/ops/backup/mod.rs` are the use case `backup`.
fn use_case(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/ops/")?.strip_suffix(".rs")?;
    match inner.split_once('/') {
        None => (inner != "mod").then_some(inner),
        Some((name, "mod")) => Some(name),
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(rule: fn(&Tree, &mut Report), files: &[(&str, &str)]) -> Vec<String> {
        let mut report = Report::default();
        rule(&Tree::of(files), &mut report);
        report.findings().map(|finding| finding.path.clone()).collect()
    }

    #[test]
    fn a_forgotten_file_is_found_wherever_it_is() {
        let files = [
            ("Cargo.toml", "[package]"),
            ("benches/Cargo.toml", "[[bench]]\nname = \"x\"\npath = \"speed/x.rs\""),
            ("benches/lib.rs", ""),
            ("benches/speed/x.rs", ""),
            ("crates/a/Cargo.toml", ""),
            ("crates/a/src/lib.rs", "mod b;"),
            ("crates/a/src/b.rs", ""),
            ("crates/a/src/c.rs", ""),
            ("crates/a/tests/it/main.rs", "mod life;"),
            ("crates/a/tests/it/life.rs", ""),
            ("crates/a/tests/it/lost.rs", ""),
            ("src/main.rs", "mod cli;"),
            ("src/cli/mod.rs", "mod commands;"),
            ("src/cli/commands/mod.rs", ""),
            ("src/cli/commands/init.rs", ""),
            ("tests/main.rs", "mod crash;"),
            ("tests/crash.rs", "mod resumed;"),
            ("tests/crash/resumed.rs", ""),
            ("tests/forgotten.rs", ""),
        ];
        let expected = [
            "benches/lib.rs",
            "crates/a/src/c.rs",
            "crates/a/tests/it/lost.rs",
            "src/cli/commands/init.rs",
            "tests/forgotten.rs",
        ];
        assert_eq!(broken(dead_files, &files), expected);
    }

    #[test]
    fn cargo_is_told_not_to_link_every_test_file() {
        let tests = ("tests/main.rs", "");
        assert_eq!(
            broken(one_test_binary, &[("Cargo.toml", "autotests = true"), tests]),
            ["Cargo.toml"]
        );
        assert!(
            broken(one_test_binary, &[("Cargo.toml", "[package]\nautotests = false"), tests])
                .is_empty()
        );
    }

    #[test]
    fn a_use_case_has_its_command() {
        let with = |command| {
            let files = [
                ("src/ops/mod.rs", ""),
                ("src/ops/check/mod.rs", ""),
                ("src/ops/check/read.rs", ""),
                (command, ""),
            ];
            broken(commands, &files)
        };
        assert!(with("src/cli/commands/check.rs").is_empty());
        assert!(with("src/cli/commands/check/mod.rs").is_empty());
        assert_eq!(with("src/cli/commands/verify.rs"), ["src/ops/check/mod.rs"]);
        assert!(
            broken(commands, &[("src/cli/mod.rs", ""), ("src/ops/open.rs", "")]).is_empty(),
            "a part of others"
        );
        assert!(
            broken(commands, &[("src/ops/check.rs", "")]).is_empty(),
            "said as a note while there is no cli"
        );
    }
}
