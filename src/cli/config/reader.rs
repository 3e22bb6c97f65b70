//! Reading a TOML document key by key, so that every fault has its line.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::cli::config::suggest::nearest;

/// Something in a configuration that cannot be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its line, from 1.
    pub(crate) line: usize,
    /// What is wrong.
    pub(crate) what: String,
}

/// A value and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Located<T> {
    /// The value.
    pub(crate) value: T,
    /// Its line, from 1.
    pub(crate) line: usize,
}

/// Collects faults instead of stopping at the first.
pub(super) struct Reader<'t> {
    text: &'t str,
    pub(super) faults: Vec<Fault>,
}

/// A table of the document.
#[derive(Clone, Copy)]
pub(super) struct Section<'d> {
    /// As a person would call it.
    pub(super) name: &'static str,
    pub(super) table: &'d DeTable<'d>,
}

impl<'t> Reader<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, faults: Vec::new() }
    }

    pub(super) fn line_at(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().iter().take(offset);
        before.filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn fault(&mut self, line: usize, what: impl Into<String>) {
        self.faults.push(Fault { line, what: what.into() });
    }

    /// Every key that is not known is a fault, with the one that was probably meant.
    pub(super) fn refuse_unknown(&mut self, section: Section<'_>, known: &[&str]) {
        for key in section.table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let meant = match nearest(name, known) {
                Some(meant) => format!("did you mean {meant:?}?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let line = self.line_at(key.span().start);
            self.fault(line, format!("unknown key {name:?} in {}; {meant}", section.name));
        }
    }

    pub(super) fn value<'d>(
        &self,
        section: Section<'d>,
        key: &str,
    ) -> Option<Located<&'d DeValue<'d>>> {
        let found = section.table.iter().find(|(name, _)| name.get_ref() == key);
        found.map(|(_, value)| self.locate(value))
    }

    fn locate<'d>(&self, value: &'d Spanned<DeValue<'d>>) -> Located<&'d DeValue<'d>> {
        Located { value: value.get_ref(), line: self.line_at(value.span().start) }
    }

    pub(super) fn wrong_type(
        &mut self,
        section: Section<'_>,
        key: &str,
        found: Located<&DeValue<'_>>,
        wanted: &str,
    ) {
        let what =
            format!("{key:?} in {} must be {wanted}, not {}", section.name, type_name(found.value));
        self.fault(found.line, what);
    }

    pub(super) fn text(&mut self, section: Section<'_>, key: &str) -> Option<Located<String>> {
        let found = self.value(section, key)?;
        match found.value {
            DeValue::String(text) if !text.is_empty() => {
                Some(Located { value: text.to_string(), line: found.line })
            }
            DeValue::String(_) => {
                self.fault(found.line, format!("{key:?} in {} is empty", section.name));
                None
            }
            _ => {
                self.wrong_type(section, key, found, "a text in quotes");
                None
            }
        }
    }

    pub(super) fn texts(&mut self, section: Section<'_>, key: &str) -> Vec<Located<String>> {
        let Some(found) = self.value(section, key) else { return Vec::new() };
        let DeValue::Array(items) = found.value else {
            self.wrong_type(section, key, found, "a list of texts");
            return Vec::new();
        };
        let mut texts = Vec::new();
        for item in items {
            let item = self.locate(item);
            match item.value {
                DeValue::String(text) if !text.is_empty() => {
                    texts.push(Located { value: text.to_string(), line: item.line });
                }
                _ => self.wrong_type(section, key, item, "a list of texts, none of them empty"),
            }
        }
        texts
    }

    pub(super) fn flag(&mut self, section: Section<'_>, key: &str) -> Option<bool> {
        self.located_flag(section, key).map(|flag| flag.value)
    }

    pub(super) fn located_flag(
        &mut self,
        section: Section<'_>,
        key: &str,
    ) -> Option<Located<bool>> {
        let found = self.value(section, key)?;
        if let DeValue::Boolean(flag) = found.value {
            return Some(Located { value: *flag, line: found.line });
        }
        self.wrong_type(section, key, found, "true or false");
        None
    }

    /// A table `[key]`.
    pub(super) fn section<'d>(
        &mut self,
        parent: Section<'d>,
        (key, name): (&str, &'static str),
    ) -> Option<Section<'d>> {
        let found = self.value(parent, key)?;
        if let DeValue::Table(table) = found.value {
            return Some(Section { name, table });
        }
        self.wrong_type(parent, key, found, &format!("a table {name}"));
        None
    }

    /// The tables `[[key]]`, each with its line.
    pub(super) fn sections<'d>(
        &mut self,
        parent: Section<'d>,
        (key, name): (&str, &'static str),
    ) -> Vec<Located<Section<'d>>> {
        let Some(found) = self.value(parent, key) else { return Vec::new() };
        let DeValue::Array(items) = found.value else {
            self.wrong_type(parent, key, found, &format!("written as {name}"));
            return Vec::new();
        };
        let mut sections = Vec::new();
        for item in items {
            let item = self.locate(item);
            match item.value {
                DeValue::Table(table) => {
                    sections.push(Located { value: Section { name, table }, line: item.line });
                }
                _ => self.wrong_type(parent, key, item, &format!("written as {name}")),
            }
        }
        sections
    }
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) | DeValue::Float(_) => "a number",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
