//! `[[reference]]`: which files the rows of a database name.

use larder::sqlite::questions::{BaseDir, ReferenceQuery, built_in};

use super::reader::{Located, Reader, Section};

const KEYS: &[&str] = &["name", "database", "base", "sql"];

/// A `[[reference]]`.
#[derive(Debug, Clone)]
pub(crate) struct ReferenceConfig {
    /// What people call it.
    pub(crate) name: String,
    /// The database, relative to its root.
    pub(crate) database: String,
    /// As it was given: below the database's directory or, with a slash first, below the root.
    pub(crate) base: String,
    /// A query for path, size and hash.
    pub(crate) sql: String,
    /// Its line.
    pub(crate) line: usize,
}

impl ReferenceConfig {
    /// The question that it stands for.
    pub(crate) fn query(&self) -> ReferenceQuery {
        ReferenceQuery {
            name: self.name.clone(),
            database: Some(self.database.clone().into_bytes()),
            needs: Vec::new(),
            base: match self.base.strip_prefix('/') {
                Some(below_root) => BaseDir::BelowRoot(below_root.as_bytes().to_vec()),
                None => BaseDir::BesideDatabase(self.base.clone().into_bytes()),
            },
            sql: self.sql.clone(),
        }
    }
}

/// Reads all of them; the names of those that are built in are taken, unless these are switched off.
pub(super) fn read_references(
    reader: &mut Reader<'_>,
    top: Section<'_>,
    built_in_too: bool,
) -> Vec<ReferenceConfig> {
    let mut taken: Vec<String> = if built_in_too {
        built_in().into_iter().map(|query| query.name).collect()
    } else {
        Vec::new()
    };
    let mut references = Vec::new();
    for Located { value: section, line } in reader.sections(top, ("reference", "[[reference]]")) {
        reader.refuse_unknown(section, KEYS);
        let name = needed(reader, section, (line, "name"));
        if let Some(name) = &name {
            let is_taken = taken.contains(&name.value);
            taken.push(name.value.clone());
            if is_taken {
                let what = format!("there is another reference named {:?}", name.value);
                reader.fault(name.line, what);
            }
        }
        let database = needed(reader, section, (line, "database"));
        let database = database.map(|it| path(reader, it, "database", false));
        let sql = needed(reader, section, (line, "sql"));
        if let Some(sql) = sql.as_ref().filter(|sql| !is_query(&sql.value)) {
            reader.fault(sql.line, "\"sql\" in [[reference]] must be a query: SELECT ... FROM ...");
        }
        let base = reader.text(section, "base").map(|it| path(reader, it, "base", true));
        references.push(ReferenceConfig {
            name: name.map(|it| it.value).unwrap_or_default(),
            database: database.unwrap_or_default(),
            base: base.unwrap_or_default(),
            sql: sql.map(|it| it.value).unwrap_or_default(),
            line,
        });
    }
    references
}

fn needed(
    reader: &mut Reader<'_>,
    section: Section<'_>,
    (line, key): (usize, &str),
) -> Option<Located<String>> {
    let faults = reader.faults.len();
    let text = reader.text(section, key);
    if text.is_none() && reader.faults.len() == faults {
        reader.fault(line, format!("a [[reference]] needs {key} = \"...\""));
    }
    text
}

/// A path in the form that the library wants: without `.` and empty components. What climbs out of the source is a fault.
fn path(reader: &mut Reader<'_>, given: Located<String>, key: &str, from_root: bool) -> String {
    let (root, below) = match given.value.strip_prefix('/') {
        Some(below) if from_root => ("/", below),
        Some(_) => {
            let what = format!("{key:?} in [[reference]] is relative to the root of the source");
            reader.fault(given.line, what);
            return given.value;
        }
        None => ("", given.value.as_str()),
    };
    let parts: Vec<&str> = below.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        let what = format!("{key:?} in [[reference]] leads out of the source");
        reader.fault(given.line, what);
    }
    if !from_root && parts.is_empty() {
        reader.fault(given.line, format!("{key:?} in [[reference]] names no file"));
    }
    format!("{root}{}", parts.join("/"))
}

/// A statement that gives rows and can change none; what exactly it is, SQLite says when it is asked.
fn is_query(sql: &str) -> bool {
    let first = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next();
    let first = first.unwrap_or_default().to_ascii_uppercase();
    matches!(first.as_str(), "SELECT" | "WITH" | "VALUES")
}

#[cfg(test)]
mod tests {
    use super::*;
    use toml::de::DeTable;

    fn read(text: &str) -> Result<Vec<ReferenceConfig>, Vec<String>> {
        let mut reader = Reader::new(text);
        let document = DeTable::parse(text).unwrap();
        let top = Section { name: "the top level", table: document.get_ref() };
        let built_in = reader.flag(top, "built_in_references").unwrap_or(true);
        let references = read_references(&mut reader, top, built_in);
        let faults: Vec<_> =
            reader.faults.iter().map(|it| format!("{}: {}", it.line, it.what)).collect();
        if faults.is_empty() { Ok(references) } else { Err(faults) }
    }

    #[test]
    fn a_base_is_beside_the_database_or_below_the_root() {
        let of = |base: &str| {
            let text = format!(
                "[[reference]]\nname = 'docs'\ndatabase = './db//shop.db'\nsql = 'select f from d'\n{base}"
            );
            read(&text).unwrap()[0].query()
        };
        let plain = of("");
        assert_eq!(plain.base, BaseDir::BesideDatabase(Vec::new()));
        assert_eq!(plain.database.as_deref(), Some(&b"db/shop.db"[..]));
        assert_eq!(of("base = 'a/./b/'").base, BaseDir::BesideDatabase(b"a/b".to_vec()));
        assert_eq!(of("base = '/files'").base, BaseDir::BelowRoot(b"files".to_vec()));
        assert_eq!(of("base = '/'").base, BaseDir::BelowRoot(Vec::new()));
    }

    #[test]
    fn what_cannot_be_is_said_with_its_line() {
        let faults = read(
            "[[reference]]\nname = 'partshub'\ndatabase = '/abs.db'\nsql = 'DELETE FROM d'\n\
             base = '../x'\nsize = 'b'\n[[reference]]\ndatabase = 1\n",
        )
        .unwrap_err();
        assert_eq!(
            faults,
            [
                "6: unknown key \"size\" in [[reference]]; known here: name, database, base, sql",
                "2: there is another reference named \"partshub\"",
                "3: \"database\" in [[reference]] is relative to the root of the source",
                "4: \"sql\" in [[reference]] must be a query: SELECT ... FROM ...",
                "5: \"base\" in [[reference]] leads out of the source",
                "7: a [[reference]] needs name = \"...\"",
                "8: \"database\" in [[reference]] must be a text in quotes, not a number",
                "7: a [[reference]] needs sql = \"...\"",
            ]
        );
    }

    #[test]
    fn the_name_of_a_built_in_profile_is_free_once_that_is_off() {
        let text = "built_in_references = false\n[[reference]]\nname = 'partshub'\n\
                    database = 'partshub.db'\nsql = 'SELECT file_path FROM attachments'\n";
        assert_eq!(read(text).unwrap().len(), 1);
    }
}
