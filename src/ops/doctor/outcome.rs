//! Comparing the files that rows name with those that are there. Pure.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::ops::doctor::tree::{Tree, join};
use crate::snapshot::beneath::{path_flaw, split_last};
use crate::sqlite::questions::{Answer, BaseDir, Named, ReferenceQuery};

/// So many names of a kind are kept; more are counted.
const KEPT_NAMES: usize = 20;

/// Who knows of a set of references.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The program.
    BuiltIn,
    /// The configuration.
    Configured,
    /// Nobody: it was found in these columns, written `table.column`.
    Found(Vec<String>),
}

/// A set of references, compared with the directory.
#[derive(Debug, Clone)]
pub struct Examined {
    /// Who knows of it.
    pub origin: Origin,
    /// The query.
    pub query: ReferenceQuery,
    /// The directory below which its files are, relative to the one that was looked at.
    pub base: Vec<u8>,
    /// Different files that rows name.
    pub named: u64,
    /// Of those, how many are here.
    pub present: u64,
    /// Those that are not, by the path that they should have.
    pub missing: Names,
    /// Those that are, with another size than the row says.
    pub other_size: Names,
    /// Values of rows that are no paths below the directory: absolute, or climbing out.
    pub refused: Names,
    /// Files below the base that no row names.
    pub orphans: Names,
    /// Why the rows could not be asked; the numbers then say nothing.
    pub failure: Option<String>,
}

/// Names, of which the first are kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names {
    /// The first of them.
    pub first: Vec<Vec<u8>>,
    /// How many there are.
    pub total: u64,
}

impl Names {
    fn add(&mut self, name: &[u8]) {
        self.total += 1;
        if self.first.len() < KEPT_NAMES {
            self.first.push(name.to_vec());
        }
    }
}

/// Compares one answer; `None` when the query is not for this database.
pub(super) fn examine(
    tree: &Tree,
    database: &[u8],
    (query, origin): (&ReferenceQuery, Origin),
    answer: &Answer,
) -> Option<Examined> {
    let base = base_of(database, &query.base);
    let mut examined = Examined::new(origin, query.clone(), base);
    match answer {
        Answer::DoesNotApply if origin_is_built_in(&examined) => return None,
        Answer::DoesNotApply => {
            examined.failure = Some("the database has not the columns that it needs".to_owned());
        }
        Answer::Failed(why) => examined.failure = Some(why.clone()),
        Answer::Named { files, .. } => examined.compare(tree, files),
    }
    Some(examined)
}

fn origin_is_built_in(examined: &Examined) -> bool {
    examined.origin == Origin::BuiltIn
}

fn base_of(database: &[u8], base: &BaseDir) -> Vec<u8> {
    match base {
        BaseDir::BelowRoot(path) => path.clone(),
        BaseDir::BesideDatabase(path) => join(split_last(database).0, path),
    }
}

impl Examined {
    pub(super) fn new(origin: Origin, query: ReferenceQuery, base: Vec<u8>) -> Self {
        Self {
            origin,
            query,
            base,
            named: 0,
            present: 0,
            missing: Names::default(),
            other_size: Names::default(),
            refused: Names::default(),
            orphans: Names::default(),
            failure: None,
        }
    }

    /// Counts what rows name, each file once.
    pub(super) fn compare(&mut self, tree: &Tree, files: &[Named]) {
        let mut named: BTreeSet<Vec<u8>> = BTreeSet::new();
        for file in files.iter().filter(|file| !file.path.is_empty()) {
            let path = join(&self.base, &file.path);
            if file.path.starts_with(b"/")
                || path_flaw(&file.path).is_some()
                || path_flaw(&path).is_some()
            {
                self.refused.add(&file.path);
                continue;
            }
            if named.insert(path.clone()) {
                self.file(tree, &path, file.size_bytes);
            }
        }
        self.named = named.len() as u64;
        let orphans = orphans(tree, &self.base, &named);
        // A directory that was only found, and that holds mostly other things, is no directory of orphans.
        if !matches!(self.origin, Origin::Found(_)) || orphans.total <= self.present {
            self.orphans = orphans;
        }
    }

    fn file(&mut self, tree: &Tree, path: &[u8], size_bytes: Option<u64>) {
        match tree.files.get(path).or_else(|| tree.databases.get(path)) {
            None => self.missing.add(path),
            Some(len) => {
                self.present += 1;
                if size_bytes.is_some_and(|size| size != *len) {
                    self.other_size.add(path);
                }
            }
        }
    }
}

fn orphans(tree: &Tree, base: &[u8], named: &BTreeSet<Vec<u8>>) -> Names {
    let mut orphans = Names::default();
    let prefix = if base.is_empty() { Vec::new() } else { [base, b"/"].concat() };
    let below = tree.files.range::<[u8], _>((Bound::Included(prefix.as_slice()), Bound::Unbounded));
    for (path, _) in below.take_while(|(path, _)| path.starts_with(&prefix)) {
        if !named.contains(path) {
            orphans.add(path);
        }
    }
    orphans
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Tree {
        let mut tree = Tree::default();
        for (path, len) in [("files/a", 1), ("files/b", 2), ("filesx", 3), ("readme", 4)] {
            tree.files.insert(path.into(), len);
        }
        tree.databases.insert(b"db/app.db".to_vec(), 5);
        tree
    }

    fn query(base: BaseDir) -> ReferenceQuery {
        let (name, sql) = ("q".to_owned(), String::new());
        ReferenceQuery { name, database: None, needs: Vec::new(), base, sql }
    }

    fn named(path: &str, size_bytes: Option<u64>) -> Named {
        Named { path: path.as_bytes().into(), size_bytes, hash: None }
    }

    #[test]
    fn each_file_counts_once_and_the_rest_is_named() {
        let files = vec![
            named("a", Some(1)),
            named("a", Some(1)),
            named("gone", None),
            named("/etc/passwd", None),
            named("../readme", None),
            named("", None),
        ];
        let answer = Answer::Named { files, without_text: 0 };
        let query = query(BaseDir::BelowRoot(b"files".to_vec()));
        let examined =
            examine(&tree(), b"db/app.db", (&query, Origin::Configured), &answer).unwrap();
        assert_eq!((examined.named, examined.present), (2, 1));
        assert_eq!(examined.missing.first, [b"files/gone".to_vec()]);
        assert_eq!(examined.refused.total, 2);
        assert_eq!(examined.orphans.first, [b"files/b".to_vec()]);
    }

    #[test]
    fn a_base_is_beside_the_database_and_sizes_are_compared() {
        let mut tree = tree();
        tree.files.insert(b"db/x/a".to_vec(), 9);
        let query = query(BaseDir::BesideDatabase(b"x".to_vec()));
        let answer = Answer::Named { files: vec![named("a", Some(8))], without_text: 0 };
        let examined = examine(&tree, b"db/app.db", (&query, Origin::Configured), &answer).unwrap();
        assert_eq!((examined.base.as_slice(), examined.present), (&b"db/x"[..], 1));
        assert_eq!(examined.other_size.first, [b"db/x/a".to_vec()]);
        let none = examine(&tree, b"db/app.db", (&query, Origin::BuiltIn), &Answer::DoesNotApply);
        assert!(none.is_none());
    }
}
