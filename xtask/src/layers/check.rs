//! Paths against the table.

use crate::layers::table::{ROOMS, Room, room_of};
use crate::report::Report;
use crate::source::{Outline, PathUse, Tree};

/// No path leads upward or sideways.
pub(super) fn imports(tree: &Tree, report: &mut Report) {
    for (path, module, outline) in library_and_binary(tree) {
        // The roots declare the rooms; what they re-export is checked where it is imported.
        let Some(own) = room_of(&module) else { continue };
        for used in &outline.paths {
            let Some(target) = resolve(used, &module, outline) else { continue };
            if let Some(message) = broken_wall(own, &target) {
                report.fail(path, used.line, message);
            }
        }
    }
}

/// The rule that an import breaks, if it breaks one.
fn broken_wall(own: &Room, target: &[String]) -> Option<String> {
    let shown = format!("crate::{}", target.join("::"));
    let Some(room) = room_of(target) else {
        let first = target.first()?;
        return Some(format!(
            "`{shown}`: `{first}` is no room of the table; import from the module that defines the item, never through the crate root"
        ));
    };
    let (own_name, name) = (own.name(), room.name());
    if own_name == name || own.may_import.contains(&name.as_str()) {
        return None;
    }
    let allowed =
        if own.may_import.is_empty() { "no room".to_owned() } else { own.may_import.join(", ") };
    Some(format!("`{shown}`: {own_name} must not import {name}; it may import {allowed}"))
}

/// One form of import: from the crate root down, or from the parent in a test module.
pub(super) fn forms(tree: &Tree, report: &mut Report) {
    for (path, module, outline) in library_and_binary(tree) {
        for used in &outline.paths {
            let begins_at_root = used.segments.first().is_some_and(|first| first == "crate");
            if used.segments.starts_with(&["super".to_owned(), "super".to_owned()]) {
                report.fail(path, used.line, "`super::super`: write the path from `crate::` down");
            }
            if used.import && begins_at_root && used.segments.len() == 1 {
                let form = if used.glob { "use crate::*" } else { "use crate as" };
                report.fail(path, used.line, format!("`{form}`: name the module and the item"));
            }
            let in_test = outline.is_test_line(used.line);
            if used.glob && !in_test && resolve(used, &module, outline).is_some() {
                report.fail(
                    path,
                    used.line,
                    "a glob import hides which items cross the wall: name them",
                );
            }
        }
    }
}

/// Every top module is in the table, in the table's order, and `cli` is the binary's.
pub(super) fn rooms(tree: &Tree, report: &mut Report) {
    let library = top_modules(tree, "src/lib.rs");
    let binary = top_modules(tree, "src/main.rs");
    for (name, line) in &library {
        if name == "cli" {
            report.fail(
                "src/lib.rs",
                *line,
                "`mod cli` belongs to main.rs: the library must not call it",
            );
        }
        if room_of(&[name]).is_none() {
            report.fail(
                "src/lib.rs",
                *line,
                format!("`{name}` is missing from the table in xtask/src/layers/table.rs"),
            );
        }
    }
    for (name, line) in binary.iter().filter(|(name, _)| name != "cli") {
        report.fail("src/main.rs", *line, format!("`{name}`: `cli` is the binary's only room"));
    }
    in_order(&library, report);
    for room in ROOMS.iter().filter(|room| room.path.len() == 1) {
        if !library.iter().chain(&binary).any(|(name, _)| *name == room.path[0]) {
            report.note(format!("room `{}` is in the table and not built yet", room.name()));
        }
    }
}

/// `lib.rs` promises its readers the order of the layers.
fn in_order(library: &[(String, usize)], report: &mut Report) {
    let rank = |name: &str| ROOMS.iter().position(|room| room.path == [name]);
    let ranked: Vec<_> =
        library.iter().filter_map(|(name, line)| Some((rank(name)?, name, line))).collect();
    for pair in ranked.windows(2) {
        if let [(before, earlier, _), (after, name, line)] = pair
            && before > after
        {
            report.fail(
                "src/lib.rs",
                **line,
                format!("`{name}` is a lower layer than `{earlier}` above it"),
            );
        }
    }
}

/// Top-level module declarations of a crate root, with their lines.
fn top_modules(tree: &Tree, root: &str) -> Vec<(String, usize)> {
    let modules =
        tree.source(root).map(|source| source.outline.modules.as_slice()).unwrap_or_default();
    let top = modules.iter().filter(|module| module.within.is_empty() && !module.test);
    top.map(|module| (module.name.clone(), module.line)).collect()
}

/// The sources of the root package with their module paths.
fn library_and_binary(tree: &Tree) -> impl Iterator<Item = (&str, Vec<String>, &Outline)> {
    tree.sources().filter_map(|(path, source)| Some((path, module_path(path)?, &source.outline)))
}

/// `src/repo/disk/real.rs` is `repo::disk::real`; `None` outside `src/`.
fn module_path(path: &str) -> Option<Vec<String>> {
    let stem = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let mut parts: Vec<String> = stem.split('/').map(str::to_owned).collect();
    let is_root = parts.len() == 1 && matches!(stem, "lib" | "main");
    if is_root || parts.last().is_some_and(|last| last == "mod") {
        parts.pop();
    }
    Some(parts)
}

/// The path from the crate root down; `None` when it does not lead into this crate.
fn resolve(used: &PathUse, module: &[String], outline: &Outline) -> Option<Vec<String>> {
    let (first, rest) = used.segments.split_first()?;
    let mut base: Vec<String> = module.iter().chain(&used.within).cloned().collect();
    match first.as_str() {
        "crate" => base.clear(),
        "self" => {}
        "super" => {
            base.pop();
            let ups = rest.iter().take_while(|segment| *segment == "super").count();
            base.truncate(base.len().saturating_sub(ups));
        }
        name if is_child(name, &used.within, outline) => base.push(name.to_owned()),
        _ => return None,
    }
    base.extend(rest.iter().filter(|segment| *segment != "super").cloned());
    Some(base)
}

fn is_child(name: &str, within: &[String], outline: &Outline) -> bool {
    outline.modules.iter().any(|module| module.name == name && module.within == within)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&Tree, &mut Report);

    fn messages(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
        let mut report = Report::default();
        rule(&Tree::of(files), &mut report);
        report.findings().map(|finding| finding.message.clone()).collect()
    }

    fn refused(path: &str, text: &str) -> bool {
        !messages(imports, &[(path, text)]).is_empty()
    }

    #[test]
    fn downward_passes_upward_and_sideways_do_not() {
        assert!(!refused("src/repo/index/mod.rs", "use crate::{codec::index::Place, id::BlobId};"));
        assert!(refused("src/codec/pack.rs", "use crate::repo::error::RepoError;"));
        assert!(refused("src/codec/pack.rs", "use crate::chunker::Cut;"));
        assert!(refused("src/observe.rs", "use crate::id::BlobId;"));
        assert!(refused("src/codec/pack.rs", "use crate::host::Host;"));
        assert!(refused("src/repo/session.rs", "use crate::error::Error;"));
        assert!(refused("src/sqlite/mod.rs", "use crate::{id::BlobId, repo::{blobs::BlobRead}};"));
        assert!(!refused("src/sqlite/mod.rs", "use crate::codec::fact::Fact;"));
        assert!(!refused(
            "src/ops/backup.rs",
            "use crate::error::Error; use crate::repo::disk::real::RealDisk;"
        ));
        assert!(refused("src/ops/backup.rs", "use crate::cli::exit::Code;"));
        assert!(refused("src/web/mod.rs", "use crate::mount::Mount;"));
    }

    #[test]
    fn inside_the_repository_disk_is_below_backend_is_below_the_rest() {
        assert!(!refused("src/repo/backend/local.rs", "use crate::repo::disk::Disk;"));
        assert!(!refused("src/repo/error.rs", "use crate::repo::backend::BackendError;"));
        assert!(refused("src/repo/disk/real.rs", "use crate::repo::backend::Key;"));
        assert!(refused("src/repo/backend/local.rs", "use crate::repo::error::RepoError;"));
        assert!(refused("src/repo/backend/mod.rs", "use crate::id::PackId;"));
        assert!(refused("src/repo/backend/mod.rs", "use crate::repo;"));
    }

    #[test]
    fn every_way_of_writing_the_path_is_seen() {
        assert!(refused("src/codec/pack.rs", "fn f() -> crate::repo::error::Result<()> { g() }"));
        assert!(refused("src/repo/disk/mod.rs", "use super::error::RepoError;"));
        assert!(refused("src/repo/disk/real.rs", "fn f() { super::super::error::g() }"));
        assert!(refused("src/repo/disk/mod.rs", "mod tests { use super::super::blobs::Put; }"));
        assert!(
            refused("src/id.rs", "#[cfg(test)]\nmod tests { use crate::codec::Kind; }"),
            "tests obey too"
        );
        assert!(refused("src/codec/envelope.rs", "macro_rules! m { () => { $crate::repo::f() } }"));
        assert!(!refused("src/repo/disk/mod.rs", "mod tests { use super::*; }"));
        assert!(!refused(
            "src/codec/pack.rs",
            "/// See [`crate::repo::Repository`].\nfn f() { g(\"crate::repo::x\") }"
        ));
    }

    #[test]
    fn child_modules_need_no_prefix() {
        assert!(!refused("src/repo/mod.rs", "pub mod disk;\npub use disk::Disk;"));
        assert!(
            !refused("src/repo/session.rs", "let x = disk::Disk;"),
            "not a child of this module"
        );
    }

    #[test]
    fn the_root_is_no_way_around() {
        let files = [
            ("src/ops/init.rs", "use crate::BlobId;"),
            ("src/lib.rs", "pub use crate::id::BlobId;"),
        ];
        assert!(messages(imports, &files)[0].contains("never through the crate root"));
    }

    #[test]
    fn the_binary_sees_the_library_from_outside() {
        assert!(!refused(
            "src/cli/commands/init.rs",
            "use larder::ops::init;\nuse crate::cli::exit::Code;"
        ));
        assert!(!refused("src/main.rs", "mod cli;\nfn main() { cli::run(larder::ops::x) }"));
        assert!(refused("src/cli/mod.rs", "use crate::ops::init;"));
    }

    #[test]
    fn forms_that_hide_the_wall_are_refused() {
        let count = |text| messages(forms, &[("src/repo/index/mod.rs", text)]).len();
        assert_eq!(count("use super::super::x;"), 1);
        assert_eq!(count("fn f() { super::super::x() }"), 1);
        assert_eq!(count("use crate::*;"), 2, "the root, and a glob");
        assert_eq!(count("use crate::{self as larder};"), 1);
        assert_eq!(count("use crate::codec::*;"), 1);
        assert_eq!(count("#[cfg(test)]\nmod tests { use super::*; }"), 0);
        assert_eq!(count("use rayon::prelude::*;"), 0, "not ours");
        assert_eq!(count("pub(crate) fn f() {}"), 0);
    }

    #[test]
    fn top_modules_are_rooms_in_order() {
        let count = |library, binary| {
            messages(rooms, &[("src/lib.rs", library), ("src/main.rs", binary)]).len()
        };
        assert_eq!(count("pub mod id;\npub mod repo;\npub mod ops;", "mod cli;"), 0);
        assert_eq!(count("pub mod id;\nmod helpers;", "mod cli;"), 1);
        assert_eq!(count("pub mod id;", "mod cli;\nmod shared;"), 1);
        assert_eq!(count("pub mod repo;\npub mod id;", "mod cli;"), 1, "out of order");
        assert_eq!(count("pub mod id;\npub mod cli;", ""), 1);
    }
}
