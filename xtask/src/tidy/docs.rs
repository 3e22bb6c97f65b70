//! Documents against the repository: links, decision records, the codec's hash.

use std::collections::BTreeSet;

use crate::report::Report;
use crate::source::Tree;

/// The normative description of the format.
pub(super) const FORMAT: &str = "docs/format.md";

const HASH_OPEN: &str = "<!-- codec-hash: ";
const HASH_CLOSE: &str = " -->";

/// Links inside the repository lead somewhere, headings included.
pub(super) fn links(tree: &Tree, report: &mut Report) {
    for (path, text) in documents(tree) {
        for (line, target) in link_targets(text) {
            if let Some(what) = broken(tree, path, &target) {
                report.fail(path, line, format!("link `{target}`: {what}"));
            }
        }
    }
}

fn documents(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.texts().filter(|(path, _)| {
        std::path::Path::new(path).extension().is_some_and(|found| found == "md")
    })
}

/// What is wrong with a link, if something is.
fn broken(tree: &Tree, from: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) =
        target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let Some(path) = (if file.is_empty() { Some(from.to_owned()) } else { resolved(from, file) })
    else {
        return Some("it leads out of the repository".to_owned());
    };
    if !tree.exists(&path) {
        return Some(format!("{path} does not exist"));
    }
    let text = tree.text(&path)?;
    let known = |heading: &str| headings(text).contains(heading);
    heading
        .filter(|heading| !known(heading))
        .map(|heading| format!("{path} has no heading `{heading}`"))
}

/// `../adr/0001.md` as seen from a document; `None` when it climbs above the top.
fn resolved(from: &str, target: &str) -> Option<String> {
    let from_top = target.starts_with('/');
    let mut parts: Vec<&str> = if from_top { vec![""] } else { from.split('/').collect() };
    parts.pop();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// The lines of a document outside code blocks, with code spans blanked.
fn prose(text: &str) -> impl Iterator<Item = (usize, String)> {
    let mut in_block = false;
    text.lines().enumerate().filter_map(move |(index, line)| {
        let fence = line.trim_start().starts_with("```");
        in_block ^= fence;
        let spans = line.split('`').enumerate();
        let kept: Vec<&str> =
            spans.map(|(part, text)| if part % 2 == 0 { text } else { "" }).collect();
        (!in_block && !fence).then(|| (index + 1, kept.join("``")))
    })
}

/// `[text](target)` and `[name]: target`, with lines.
fn link_targets(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (line, text) in prose(text) {
        for rest in text.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            found.push((line, target.to_owned()));
        }
        if let Some((_, target)) = text.strip_prefix('[').and_then(|rest| rest.split_once("]: ")) {
            found.push((line, target.trim().to_owned()));
        }
    }
    found
}

/// The anchors of a document's headings, as web front ends make them.
fn headings(text: &str) -> BTreeSet<String> {
    let plain = text.lines().filter(|line| line.starts_with('#'));
    plain.map(|line| anchor(line.trim_start_matches('#').trim())).collect()
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c.to_ascii_lowercase() }).collect()
}

/// Decision records are `NNNN-title.md`, numbered once, and say why and what follows.
pub(super) fn records(tree: &Tree, report: &mut Report) {
    let mut numbers = BTreeSet::new();
    for (path, text) in documents(tree) {
        let Some(name) = path.strip_prefix("docs/adr/").filter(|name| *name != "README.md") else {
            continue;
        };
        let number = name.split('-').next().unwrap_or_default();
        if number.len() != 4 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            report.fail(path, 0, "name a record NNNN-title.md");
        }
        if !numbers.insert(number.to_owned()) {
            report.fail(path, 0, format!("number {number} is taken by another record"));
        }
        for section in ["## Context", "## Decision", "## Consequences"] {
            if !text.lines().any(|line| line == section) {
                report.fail(path, 0, format!("a record without `{section}`"));
            }
        }
    }
}

/// Whoever touches the codec opens its description.
pub(super) fn codec_hash(tree: &Tree, report: &mut Report) {
    let Some(text) = tree.text(FORMAT) else {
        report.note(format!("skipped: codec hash, {FORMAT} does not exist yet"));
        return;
    };
    let line = text.lines().position(|line| line.starts_with(HASH_OPEN));
    let recorded = line
        .and_then(|line| text.lines().nth(line)?.strip_prefix(HASH_OPEN)?.strip_suffix(HASH_CLOSE));
    let actual = hash_of_codec(tree);
    if recorded != Some(actual.as_str()) {
        let message = format!(
            "src/codec is now {actual}: bring this document up to date, then `cargo xtask tidy --update-codec-hash`"
        );
        report.fail(FORMAT, line.map_or(0, |line| line + 1), message);
    }
}

/// The document with this hash in place of the one it had, or at its end.
pub(super) fn with_codec_hash(text: &str, hash: &str) -> String {
    let marker = format!("{HASH_OPEN}{hash}{HASH_CLOSE}");
    let had = text.lines().any(|line| line.starts_with(HASH_OPEN));
    let keep = |line| if str::starts_with(line, HASH_OPEN) { marker.as_str() } else { line };
    let mut lines: Vec<&str> = text.lines().map(keep).collect();
    if !had {
        lines.extend(["", marker.as_str()]);
    }
    lines.join("\n") + "\n"
}

/// A fingerprint of everything in `src/codec` that can change a byte: code and literals, not comments, layout or tests.
pub(super) fn hash_of_codec(tree: &Tree) -> String {
    let mut hash = Fnv::default();
    for (path, source) in tree.sources().filter(|(path, _)| path.starts_with("src/codec/")) {
        hash.add(path);
        for (index, line) in source.lexed.uncommented.lines().enumerate() {
            if !source.outline.is_test_line(index + 1) {
                line.split_whitespace().for_each(|word| hash.add(word));
            }
        }
    }
    format!("{:016x}", hash.0)
}

/// FNV-1a, 64 bits: it notices drift, it does not resist anyone.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    /// Adds a word and a separator.
    fn add(&mut self, word: &str) {
        for byte in word.bytes().chain([0]) {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(rule: fn(&Tree, &mut Report), files: &[(&str, &str)]) -> Vec<String> {
        let mut report = Report::default();
        rule(&Tree::of(files), &mut report);
        report.findings().map(|finding| finding.message.clone()).collect()
    }

    #[test]
    fn links_resolve_from_where_they_stand() {
        let sound = "[a](../README.md) [b](adr/0001-a.md#what-is-kept-and-why) [c](/src/) [d](https://x.y/z)\n\
                     `[e](nowhere)` [f](#here)\n```\n[g](nowhere)\n```\n# Here\n[h]: adr/0001-a.md\n";
        let rest = [
            ("README.md", ""),
            ("src/lib.rs", ""),
            ("docs/adr/0001-a.md", "## What is kept, and why\n"),
            ("docs/a.md", sound),
        ];
        assert_eq!(messages(links, &rest), Vec::<String>::new());
        for dead in
            ["[a](README.md)", "[a](#there)", "[a](adr/0001-a.md#no)", "[h]: no.md", "[a](../../x)"]
        {
            assert_eq!(
                messages(links, &[rest[0], rest[2], ("docs/a.md", dead)]).len(),
                1,
                "{dead}"
            );
        }
    }

    #[test]
    fn records_are_numbered_and_complete() {
        let whole = "# A\n\n## Context\n\n## Decision\n\n## Consequences\n";
        assert!(
            messages(records, &[("docs/adr/0001-a.md", whole), ("docs/adr/0002-b.md", whole)])
                .is_empty()
        );
        assert_eq!(
            messages(records, &[("docs/adr/0001-a.md", whole), ("docs/adr/0001-b.md", whole)])
                .len(),
            1
        );
        assert_eq!(
            messages(records, &[("docs/adr/0001-a.md", "## Context\n## Decision\n")]).len(),
            1
        );
        assert_eq!(messages(records, &[("docs/adr/one.md", whole)]).len(), 1);
    }

    const CODEC: &str = "//! A.\n\nconst MAGIC: &[u8] = b\"LARD\";\n";

    fn hash(text: &str) -> String {
        hash_of_codec(&Tree::of(&[("src/codec/pack.rs", text), ("src/id.rs", "anything")]))
    }

    #[test]
    fn the_hash_follows_code_and_literals_only() {
        let base = hash(CODEC);
        assert_eq!(hash(&CODEC.replace("A.", "B.")), base, "a comment");
        assert_eq!(hash(&CODEC.replace(" = ", " =\n    ")), base, "layout");
        assert_eq!(
            hash(&format!("{CODEC}#[cfg(test)]\nmod tests {{ fn f() {{}} }}\n")),
            base,
            "a test"
        );
        assert_ne!(hash(&CODEC.replace("LARD", "LARE")), base, "a literal");
        assert_ne!(hash(&CODEC.replace("MAGIC", "MAGIK")), base, "code");
        let renamed = Tree::of(&[("src/codec/packs.rs", CODEC)]);
        assert_ne!(hash_of_codec(&renamed), base, "a file's name");
    }

    #[test]
    fn a_touched_codec_fails_until_the_document_was_opened() {
        let fresh = with_codec_hash("# Format\n", &hash(CODEC));
        let tree = |codec: &str, text: &str| {
            messages(codec_hash, &[("src/codec/pack.rs", codec), (FORMAT, text)]).len()
        };
        assert_eq!(tree(CODEC, &fresh), 0);
        assert_eq!(tree(&CODEC.replace("LARD", "LARE"), &fresh), 1);
        assert_eq!(tree(CODEC, "# Format\n"), 1);
        assert_eq!(
            with_codec_hash(&fresh, "0"),
            with_codec_hash("# Format\n", "0"),
            "replaced, not added"
        );
    }

    #[test]
    fn a_missing_document_is_said() {
        let mut report = Report::default();
        codec_hash(&Tree::of(&[("src/codec/pack.rs", CODEC)]), &mut report);
        assert_eq!(report.notes().count(), 1);
    }
}
