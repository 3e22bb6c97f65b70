//! Which files the compiler reaches: the walk along `mod` lines.

use std::collections::BTreeMap;

use super::outline::Module;
use super::tree::Tree;

/// The files reached from these crate roots, and whether each is compiled for tests only.
pub(crate) fn reachable(tree: &Tree, roots: &[String]) -> BTreeMap<String, bool> {
    let mut reached: BTreeMap<String, bool> = BTreeMap::new();
    let mut open: Vec<(String, bool)> = roots.iter().map(|root| (root.clone(), false)).collect();
    while let Some((path, test)) = open.pop() {
        let Some(source) = tree.source(&path) else { continue };
        if reached.get(&path).is_some_and(|known| !*known || test) {
            continue;
        }
        for module in source.outline.modules.iter().filter(|module| module.body.is_none()) {
            let candidates = candidates(&path, roots.contains(&path), module);
            let in_test = test || module.test || source.outline.is_test_line(module.line);
            open.extend(candidates.into_iter().map(|candidate| (candidate, in_test)));
        }
        reached.insert(path, test);
    }
    reached
}

/// The files that a `mod name;` in this file may mean.
fn candidates(path: &str, is_root: bool, module: &Module) -> Vec<String> {
    let (directory, file) = path.rsplit_once('/').unwrap_or(("", path));
    let stem = file.trim_end_matches(".rs");
    let mut home = vec![directory];
    if let (Some(named), true) = (&module.path, module.within.is_empty()) {
        return vec![joined(&home, named)];
    }
    if stem != "mod" && !is_root {
        home.push(stem);
    }
    home.extend(module.within.iter().map(String::as_str));
    if let Some(named) = &module.path {
        return vec![joined(&home, named)];
    }
    let Module { name, .. } = module;
    vec![joined(&home, &format!("{name}.rs")), joined(&home, &format!("{name}/mod.rs"))]
}

fn joined(directories: &[&str], file: &str) -> String {
    let mut parts: Vec<&str> =
        directories.iter().copied().filter(|part| !part.is_empty()).collect();
    parts.push(file);
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_file_forms_inline_modules_and_path_attributes_are_followed() {
        let tree = Tree::of(&[
            ("src/lib.rs", "mod a;\nmod b;\nmod c { mod d; }\n#[path = \"odd/name.rs\"]\nmod e;"),
            ("src/a.rs", "mod inner;"),
            ("src/a/inner.rs", ""),
            ("src/b/mod.rs", "#[cfg(test)]\nmod proof;"),
            ("src/b/proof.rs", ""),
            ("src/c/d.rs", ""),
            ("src/odd/name.rs", ""),
            ("src/lost.rs", ""),
        ]);
        let reached = reachable(&tree, &["src/lib.rs".to_owned()]);
        let tests: Vec<_> =
            reached.iter().filter(|(_, test)| **test).map(|(path, _)| path.as_str()).collect();
        assert_eq!(reached.len(), 7);
        assert!(!reached.contains_key("src/lost.rs"));
        assert_eq!(tests, ["src/b/proof.rs"]);
    }
}
