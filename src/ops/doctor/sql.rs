//! From columns that name files to a query for all of them. Which column beside one has the sizes is found by trying.

use std::collections::BTreeMap;

use crate::ops::doctor::detect::Found;
use crate::ops::doctor::outcome::{Examined, Origin};
use crate::ops::doctor::tree::Tree;
use crate::snapshot::beneath::{is_at_or_below, split_last};
use crate::sqlite::questions::{
    Answer, BaseDir, ColumnSample, Content, MAX_QUERIES, Named, ReferenceQuery,
};

/// What the name of a column has in it that holds sizes, the likeliest first.
const SIZES: [&str; 3] = ["size", "bytes", "length"];

/// So many columns are tried for the sizes of one that names files.
const TRIED_SIZES: usize = 2;

/// A column that names files, asked with or without a column for their sizes.
#[derive(Debug, Clone)]
pub(super) struct Trial {
    found: Found,
    size: Option<String>,
}

/// What to ask about these columns: each plainly, and with every column beside it that may have the sizes.
pub(super) fn trials(found: &[Found], samples: &[ColumnSample]) -> Vec<Trial> {
    let mut trials = Vec::new();
    for found in found {
        let plain = Trial { found: found.clone(), size: None };
        let sizes = sizes(found, samples).into_iter();
        let sized = sizes.map(|size| Trial { found: found.clone(), size: Some(size) });
        trials.extend(std::iter::once(plain).chain(sized));
    }
    trials.truncate(MAX_QUERIES);
    trials
}

fn sizes(found: &Found, samples: &[ColumnSample]) -> Vec<String> {
    let rank = |column: &str| {
        let column = column.to_ascii_lowercase();
        SIZES.iter().position(|word| column.contains(word))
    };
    let beside = samples.iter().filter(|it| it.table == found.table);
    let integers = beside.filter(|it| it.content == Content::Integers);
    let mut ranked: Vec<_> =
        integers.filter_map(|it| Some((rank(&it.column)?, it.column.clone()))).collect();
    ranked.sort();
    ranked.into_iter().take(TRIED_SIZES).map(|(_, column)| column).collect()
}

impl Trial {
    /// The question that it is.
    pub(super) fn question(&self) -> ReferenceQuery {
        ReferenceQuery {
            name: "trial".to_owned(),
            database: None,
            needs: Vec::new(),
            base: BaseDir::BelowRoot(self.found.base.clone()),
            sql: self.select(self.size.is_some()),
        }
    }

    /// A SELECT of the column; with a second column for the size, which is NULL where none is known.
    fn select(&self, with_size: bool) -> String {
        let Found { table, column, strip, .. } = &self.found;
        let (table, column) = (quoted(table), quoted(column));
        let size = self.size.as_deref().map_or_else(|| "NULL".to_owned(), quoted);
        let size = if with_size { format!(", {size}") } else { String::new() };
        if strip.is_empty() {
            return format!("SELECT {column}{size} FROM {table}");
        }
        let strip = String::from_utf8_lossy(strip);
        let (from, text) = (strip.chars().count(), strip.replace('\'', "''"));
        format!(
            "SELECT substr({column}, {}){size} FROM {table} WHERE substr({column}, 1, {from}) = '{text}'",
            from + 1
        )
    }

    fn name(&self) -> String {
        format!("{}.{}", self.found.table, self.found.column)
    }
}

/// One set for each base, of the columns that name files below it, each with its sizes where these fit.
pub(super) fn best(
    tree: &Tree,
    (database, mut taken): (&[u8], Vec<String>),
    trials: &[Trial],
    answers: &[Answer],
) -> Vec<Examined> {
    let mut columns: BTreeMap<(&str, &str), (&Trial, &[Named])> = BTreeMap::new();
    for (trial, answer) in trials.iter().zip(answers) {
        let Answer::Named { files, .. } = answer else { continue };
        if trial.size.is_none() || fits(tree, &trial.found.base, files) {
            let key = (trial.found.table.as_str(), trial.found.column.as_str());
            // The likeliest column for the sizes that fits stays.
            let best = columns.entry(key).or_insert((trial, files));
            if best.0.size.is_none() {
                *best = (trial, files);
            }
        }
    }
    let mut bases: BTreeMap<&[u8], Vec<(&Trial, &[Named])>> = BTreeMap::new();
    for (trial, files) in columns.into_values() {
        bases.entry(&trial.found.base).or_default().push((trial, files));
    }
    let mut sets: Vec<Examined> = Vec::new();
    for (base, columns) in bases {
        let name = free_name(&taken, base, database);
        taken.push(name.clone());
        sets.extend(set(tree, (name, database), base, &columns));
    }
    sets
}

/// True when the sizes that rows say are those of the files, nearly all of them.
fn fits(tree: &Tree, base: &[u8], files: &[Named]) -> bool {
    let (mut right, mut wrong) = (0_u64, 0_u64);
    for file in files {
        let path = super::tree::join(base, &file.path);
        match (file.size_bytes, tree.files.get(&path)) {
            (Some(size), Some(len)) if size == *len => right += 1,
            (Some(_), Some(_)) => wrong += 1,
            _ => {}
        }
    }
    right > 0 && right >= wrong.saturating_mul(9)
}

/// `None` when base or query are no text that a configuration could hold.
fn set(
    tree: &Tree,
    (name, database): (String, &[u8]),
    base: &[u8],
    columns: &[(&Trial, &[Named])],
) -> Option<Examined> {
    std::str::from_utf8(base).ok()?;
    let path = String::from_utf8(database.to_vec()).ok()?;
    let with_size = columns.iter().any(|(trial, _)| trial.size.is_some());
    let selects: Vec<String> = columns.iter().map(|(trial, _)| trial.select(with_size)).collect();
    let query = ReferenceQuery {
        name,
        database: Some(path.into_bytes()),
        needs: Vec::new(),
        base: base_for(database, base),
        sql: selects.join(" UNION ALL "),
    };
    let origin = Origin::Found(columns.iter().map(|(trial, _)| trial.name()).collect());
    let mut examined = Examined::new(origin, query, base.to_vec());
    let files: Vec<Named> = columns.iter().flat_map(|(_, files)| files.iter().cloned()).collect();
    examined.compare(tree, &files);
    Some(examined)
}

/// Beside the database where that is possible, so that both can move together.
fn base_for(database: &[u8], base: &[u8]) -> BaseDir {
    let dir = split_last(database).0;
    if !is_at_or_below(base, dir) {
        return BaseDir::BelowRoot(base.to_vec());
    }
    let below = base.get(dir.len()..).unwrap_or_default();
    BaseDir::BesideDatabase(below.strip_prefix(b"/").unwrap_or(below).to_vec())
}

/// A name for the files below a base that no other query has.
fn free_name(taken: &[String], base: &[u8], database: &[u8]) -> String {
    let name = match base {
        b"" => format!("{}-files", stem(database)),
        base => String::from_utf8_lossy(split_last(base).1).into_owned(),
    };
    let numbered = (2..).map(|n| format!("{name}-{n}"));
    let mut names = std::iter::once(name.clone()).chain(numbered);
    names.find(|name| !taken.contains(name)).unwrap_or(name)
}

/// `shop` of `db/shop.db`.
fn stem(database: &[u8]) -> String {
    let name = String::from_utf8_lossy(split_last(database).1);
    name.rsplit_once('.').map_or(&*name, |(stem, _)| stem).to_owned()
}

/// A name in SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(column: &str, strip: &str, base: &str) -> Found {
        Found {
            table: "docs".to_owned(),
            column: column.to_owned(),
            strip: strip.into(),
            base: base.into(),
        }
    }

    fn integers(column: &str) -> ColumnSample {
        let (table, column) = ("docs".to_owned(), column.to_owned());
        ColumnSample { table, column, content: Content::Integers }
    }

    fn answer(files: &[(&str, Option<u64>)]) -> Answer {
        let named = |(path, size_bytes): &(&str, Option<u64>)| Named {
            path: path.as_bytes().into(),
            size_bytes: *size_bytes,
            hash: None,
        };
        Answer::Named { files: files.iter().map(named).collect(), without_text: 0 }
    }

    #[test]
    fn the_column_whose_sizes_fit_is_taken() {
        let mut tree = Tree::default();
        tree.files.extend([(b"files/a".to_vec(), 10), (b"files/b".to_vec(), 20)]);
        tree.files.insert(b"files/t".to_vec(), 3);
        let samples = [integers("id"), integers("page_size"), integers("size"), integers("bytes")];
        let columns = [found("path", "", "files"), found("thumb", "", "files")];
        let trials = trials(&columns, &samples);
        let sizes: Vec<_> = trials.iter().map(|it| it.size.as_deref()).collect();
        let each = [None, Some("page_size"), Some("size")];
        assert_eq!(sizes, [each, each].concat());
        let answers = [
            answer(&[("a", None), ("b", None)]),
            answer(&[("a", Some(1)), ("b", Some(1))]),
            answer(&[("a", Some(10)), ("b", Some(20))]),
            answer(&[("t", None), ("gone", None)]),
            answer(&[("t", Some(1))]),
            answer(&[("t", Some(10))]),
        ];
        let sets = best(&tree, (b"shop.db", Vec::new()), &trials, &answers);
        assert_eq!(sets.len(), 1);
        let set = &sets[0];
        assert_eq!(
            set.query.sql,
            "SELECT \"path\", \"size\" FROM \"docs\" UNION ALL SELECT \"thumb\", NULL FROM \"docs\""
        );
        assert_eq!(set.query.base, BaseDir::BesideDatabase(b"files".to_vec()));
        assert_eq!((set.named, set.present, set.query.name.as_str()), (4, 3, "files"));
        assert_eq!(set.missing.first, [b"files/gone".to_vec()]);
    }

    #[test]
    fn what_the_application_sees_before_a_path_is_cut_off() {
        let trial = Trial { found: found("it's", "/app/o'data/", ""), size: None };
        assert_eq!(
            trial.question().sql,
            "SELECT substr(\"it's\", 13) FROM \"docs\" WHERE substr(\"it's\", 1, 12) = '/app/o''data/'"
        );
    }

    #[test]
    fn a_base_elsewhere_is_below_the_root() {
        assert_eq!(base_for(b"db/a.db", b"files"), BaseDir::BelowRoot(b"files".to_vec()));
        assert_eq!(base_for(b"db/a.db", b"db/x"), BaseDir::BesideDatabase(b"x".to_vec()));
        assert_eq!(base_for(b"db/a.db", b""), BaseDir::BelowRoot(Vec::new()));
        assert_eq!(base_for(b"a.db", b""), BaseDir::BesideDatabase(Vec::new()));
        assert_eq!(free_name(&[], b"", b"db/shop.db"), "shop-files");
        assert_eq!(free_name(&["a".to_owned()], b"x/a", b"db/shop.db"), "a-2");
    }
}
