//! What is to be put into the configuration.

use std::fmt::Write as _;

use larder::ops::doctor::{DoctorReport, Origin};
use larder::sqlite::questions::{BaseDir, ReferenceQuery};

/// A `[[reference]]` for each set of references that was found and that nobody has declared; `None` when there is none.
pub(super) fn configuration(report: &DoctorReport) -> Option<String> {
    let sets = report.databases.iter().flat_map(|it| &it.references);
    let found = sets.filter(|it| matches!(it.origin, Origin::Found(_)));
    let sections: Vec<String> = found.map(|it| section(&it.query)).collect();
    (!sections.is_empty()).then(|| sections.join("\n"))
}

fn section(query: &ReferenceQuery) -> String {
    let text = |bytes: &[u8]| toml_text(&String::from_utf8_lossy(bytes));
    let base = match &query.base {
        BaseDir::BesideDatabase(base) if base.is_empty() => None,
        BaseDir::BesideDatabase(base) => Some(text(base)),
        BaseDir::BelowRoot(base) => Some(text(&[b"/", base.as_slice()].concat())),
    };
    let database = text(query.database.as_deref().unwrap_or_default());
    let base = base.map(|base| format!("base = {base}\n")).unwrap_or_default();
    format!(
        "[[reference]]\nname = {}\ndatabase = {database}\n{base}sql = {}\n",
        toml_text(&query.name),
        toml_text(&query.sql)
    )
}

/// A text as TOML has it: as it is in single quotes where that is possible.
fn toml_text(text: &str) -> String {
    let is_plain = |c: char| !c.is_control() && c != '\'';
    if text.chars().all(|c| is_plain(c) && c != '"') {
        return format!("\"{}\"", text.replace('\\', "\\\\"));
    }
    if text.chars().all(is_plain) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\u{:04X}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_survive_toml() {
        for text in
            ["plain", "SELECT \"a\" FROM b", "it's", "a\\b", "both ' and \"", "line\nbreak\u{1}"]
        {
            let written = format!("key = {}", toml_text(text));
            let read = toml::de::DeTable::parse(&written).unwrap();
            let value = read.get_ref().iter().next().unwrap().1.get_ref();
            assert_eq!(value.as_str(), Some(text), "{written}");
        }
    }

    #[test]
    fn a_section_is_as_the_configuration_wants_it() {
        let query = ReferenceQuery {
            name: "files".to_owned(),
            database: Some(b"db/shop.db".to_vec()),
            needs: Vec::new(),
            base: BaseDir::BelowRoot(b"files".to_vec()),
            sql: "SELECT \"f\" FROM \"t\"".to_owned(),
        };
        assert_eq!(
            section(&query),
            "[[reference]]\nname = \"files\"\ndatabase = \"db/shop.db\"\nbase = \"/files\"\n\
             sql = 'SELECT \"f\" FROM \"t\"'\n"
        );
    }
}
