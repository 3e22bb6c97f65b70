//! Which columns name files: their values are compared with the paths of the tree from the end. Pure.

use std::collections::{BTreeMap, HashMap};

use crate::ops::doctor::tree::Tree;
use crate::snapshot::beneath::split_last;
use crate::sqlite::questions::{ColumnSample, Content, ReferenceQuery};

/// So many files of the same name are looked at.
const SAME_NAMES: usize = 64;

/// What the name of a column has in it that names files.
const SUGGESTIVE: [&str; 10] =
    ["path", "file", "attach", "image", "photo", "picture", "thumb", "upload", "document", "blob"];

/// A column and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathColumn {
    /// Its table.
    pub table: String,
    /// Its name.
    pub column: String,
    /// One of its values.
    pub example: Vec<u8>,
}

/// A column whose values are paths of files in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) table: String,
    pub(super) column: String,
    /// What stands before the part of a value that is a path here: where the files are, as the application sees it.
    pub(super) strip: Vec<u8>,
    /// The directory that the rest is relative to.
    pub(super) base: Vec<u8>,
}

/// Finds them; one base a column, the one that fits most of its values.
pub(super) fn columns(tree: &Tree, samples: &[ColumnSample]) -> Vec<Found> {
    let names = ByName::of(tree);
    let found = samples.iter().filter_map(|sample| match &sample.content {
        Content::Texts(values) => found(&names, sample, values),
        Content::Integers => None,
    });
    found.collect()
}

fn found(names: &ByName<'_>, sample: &ColumnSample, values: &[Box<[u8]>]) -> Option<Found> {
    let mut fits: BTreeMap<(&[u8], &[u8]), usize> = BTreeMap::new();
    for value in values {
        for fit in names.fits(value) {
            *fits.entry(fit).or_default() += 1;
        }
    }
    // Of equal ones the one that strips least: more of the value is known to be right.
    let best = fits
        .iter()
        .max_by_key(|((strip, base), hits)| (**hits, std::cmp::Reverse((strip.len(), base.len()))));
    let ((strip, base), hits) = best?;
    let enough = *hits >= 2 || is_suggestive(&sample.column);
    (hits * 2 >= values.len() && enough).then(|| Found {
        table: sample.table.clone(),
        column: sample.column.clone(),
        strip: strip.to_vec(),
        base: base.to_vec(),
    })
}

/// Columns whose values look like paths of files, and of which no file is here. What `known` queries ask for is not looked at: of
/// those it is said which files are missing.
pub(super) fn elsewhere(
    samples: &[ColumnSample],
    found: &[Found],
    known: &[ReferenceQuery],
) -> Vec<PathColumn> {
    let is_known = |sample: &ColumnSample| {
        let found = found.iter().any(|it| it.table == sample.table && it.column == sample.column);
        let asked = known
            .iter()
            .any(|query| query.sql.contains(&sample.column) && query.sql.contains(&sample.table));
        found || asked
    };
    let unknown = samples.iter().filter(|sample| !is_known(sample));
    let columns = unknown.filter_map(|sample| {
        let Content::Texts(values) = &sample.content else { return None };
        let paths = values.iter().filter(|value| looks_like_path(value)).count();
        let example = values.iter().find(|value| looks_like_path(value))?;
        let mostly = paths * 5 >= values.len() * 4 && is_suggestive(&sample.column);
        mostly.then(|| PathColumn {
            table: sample.table.clone(),
            column: sample.column.clone(),
            example: example.to_vec(),
        })
    });
    columns.collect()
}

fn is_suggestive(column: &str) -> bool {
    let column = column.to_ascii_lowercase();
    SUGGESTIVE.iter().any(|word| column.contains(word))
}

/// A path with a directory and an extension, and no address on the web.
fn looks_like_path(value: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(value) else { return false };
    let Some((_, name)) = text.rsplit_once('/') else { return false };
    let extension = name.rsplit_once('.').map(|(_, extension)| extension).unwrap_or_default();
    let is_extension = (1..=12).contains(&extension.len())
        && extension.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_extension && !text.contains("://") && !text.starts_with("data:") && !text.contains('\n')
}

/// The paths of the tree by their last component.
struct ByName<'t>(HashMap<&'t [u8], Vec<&'t [u8]>>);

impl<'t> ByName<'t> {
    fn of(tree: &'t Tree) -> Self {
        let mut names: HashMap<&[u8], Vec<&[u8]>> = HashMap::new();
        for path in tree.files.keys() {
            let same = names.entry(split_last(path).1).or_default();
            if same.len() < SAME_NAMES {
                same.push(path);
            }
        }
        Self(names)
    }

    /// Every way in which a value may be a path here: what to strip of it, and the base of the rest. Each once.
    fn fits<'v>(&self, value: &'v [u8]) -> Vec<(&'v [u8], &'t [u8])> {
        let name = split_last(value).1;
        let Some(paths) = self.0.get(name) else { return Vec::new() };
        let mut fits: Vec<_> = paths.iter().map(|path| common_end(value, path)).collect();
        fits.sort_unstable();
        fits.dedup();
        fits
    }
}

/// What is before the longest common end, in whole components: of the value with its slash, of the path without.
fn common_end<'v, 't>(value: &'v [u8], path: &'t [u8]) -> (&'v [u8], &'t [u8]) {
    let equal = value.iter().rev().zip(path.iter().rev()).take_while(|(a, b)| a == b).count();
    // Where what is left of both is empty or ends with a slash, the common end is made of whole components.
    let is_whole = |text: &[u8], len: usize| {
        let left = text.len().checked_sub(len).and_then(|left| text.get(..left));
        left.is_some_and(|left| left.is_empty() || left.ends_with(b"/"))
    };
    let len = (0..=equal).rev().find(|len| is_whole(value, *len) && is_whole(path, *len));
    let before = |text_len: usize| text_len - len.unwrap_or(0).min(text_len);
    let strip = value.get(..before(value.len())).unwrap_or_default();
    let base = path.get(..before(path.len())).unwrap_or_default();
    (strip, base.strip_suffix(b"/").unwrap_or(base))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(paths: &[&str]) -> Tree {
        let mut tree = Tree::default();
        tree.files.extend(paths.iter().map(|path| (path.as_bytes().to_vec(), 1)));
        tree
    }

    fn column(column: &str, values: &[&str]) -> ColumnSample {
        let values = values.iter().map(|value| value.as_bytes().into()).collect();
        let content = Content::Texts(values);
        ColumnSample { table: "t".to_owned(), column: column.to_owned(), content }
    }

    fn one(paths: &[&str], sample: ColumnSample) -> Option<(String, String)> {
        let found = columns(&tree(paths), &[sample]);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        found.first().map(|it| (text(&it.strip), text(&it.base)))
    }

    #[test]
    fn the_base_is_what_stands_before_a_value() {
        let paths = ["att/a/x.pdf", "att/b/y.pdf", "other/z.pdf"];
        let said = |strip: &str, base: &str| Some((strip.to_owned(), base.to_owned()));
        assert_eq!(one(&paths, column("f", &["a/x.pdf", "b/y.pdf"])), said("", "att"));
        assert_eq!(one(&paths, column("f", &["att/a/x.pdf", "att/b/y.pdf"])), said("", ""));
        let absolute = column("f", &["/app/data/att/a/x.pdf", "/app/data/att/b/y.pdf"]);
        assert_eq!(one(&paths, absolute), said("/app/data/", ""));
        let of_root = column("f", &["/att/a/x.pdf", "/att/b/y.pdf"]);
        assert_eq!(one(&paths, of_root), said("/", ""));
        let inner = column("f", &["up/a/x.pdf", "up/b/y.pdf"]);
        assert_eq!(one(&paths, inner), said("up/", "att"));
    }

    #[test]
    fn few_hits_are_chance() {
        let paths = ["att/x.pdf", "readme.txt"];
        assert_eq!(one(&paths, column("title", &["readme.txt"])), None);
        assert!(one(&paths, column("file_name", &["x.pdf"])).is_some());
        let mixed = column("file", &["x.pdf", "a", "b", "c"]);
        assert_eq!(one(&paths, mixed), None);
        assert_eq!(one(&paths, column("file", &[])), None);
    }

    #[test]
    fn paths_of_files_elsewhere_are_told_from_other_texts() {
        let samples = [
            column("custom_file_path", &["custom/1/a.kicad_sym", "custom/2/b.kicad_sym"]),
            column("shelf_path", &["Lab/Shelf A", "Lab/Shelf B"]),
            column("file_url", &["https://example.org/a.pdf"]),
            column("note", &["see a/b.pdf"]),
            column("file_path", &["x/a.pdf"]),
        ];
        let query = ReferenceQuery {
            name: String::new(),
            database: None,
            needs: Vec::new(),
            base: crate::sqlite::questions::BaseDir::BelowRoot(Vec::new()),
            sql: "SELECT t.file_path FROM t".to_owned(),
        };
        let found = elsewhere(&samples, &[], &[query]);
        let columns: Vec<_> = found.iter().map(|it| it.column.as_str()).collect();
        assert_eq!(columns, ["custom_file_path"]);
        assert_eq!(found[0].example, b"custom/1/a.kicad_sym");
    }
}
