//! The shapes of JSON: `docs/json.md` describes them, and a test compares.
//!
//! Here live lines, documents and what they have in common; `snapshot` is how a
//! snapshot looks. Not here: what a single command adds (`commands`).
//!
//! Invariant: fields are added, never renamed or given another meaning.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::cli::failure::{Failure, Result};
use crate::cli::output::console::to_json;

pub(crate) mod database;
pub(crate) mod snapshot;

/// The version of all shapes here.
pub(crate) const SCHEMA: u32 = 1;

/// A line of a stream.
#[derive(Debug, Serialize)]
pub(crate) struct Line<'a, T> {
    schema: u32,
    message_type: &'static str,
    #[serde(flatten)]
    body: &'a T,
}

impl<'a, T> Line<'a, T> {
    /// A line of this type.
    pub(crate) fn new(message_type: &'static str, body: &'a T) -> Self {
        Self { schema: SCHEMA, message_type, body }
    }
}

/// A document.
#[derive(Debug, Serialize)]
pub(crate) struct Document<T> {
    schema: u32,
    #[serde(flatten)]
    body: T,
}

impl<T> Document<T> {
    /// A document with this content.
    pub(crate) fn new(body: T) -> Self {
        Self { schema: SCHEMA, body }
    }
}

/// A path: as text, and in full when the text is not all of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Path {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_b64: Option<String>,
}

impl Path {
    /// The path of these bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { path: text.to_owned(), path_b64: None },
            Err(_) => Self {
                path: String::from_utf8_lossy(bytes).into_owned(),
                path_b64: Some(STANDARD.encode(bytes)),
            },
        }
    }
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WarningKind {
    /// The source: the snapshot is less than clean.
    Finding,
    /// Stored data.
    Damage,
    /// A promise that the storage cannot keep.
    Storage,
    /// Only worth a word.
    Note,
}

/// The body of a warning.
#[derive(Debug, Serialize)]
pub(crate) struct WarningBody<'a> {
    /// What it is about.
    pub(crate) kind: WarningKind,
    /// The object.
    #[serde(flatten)]
    pub(crate) subject: Path,
    /// What is the matter.
    pub(crate) message: &'a str,
}

/// The body of an error.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorBody<'a> {
    /// Its kind.
    pub(crate) kind: &'static str,
    /// What failed, on what, why.
    pub(crate) message: &'a str,
    /// What to do.
    pub(crate) hint: Option<&'a str>,
    /// The number that the process ends with.
    pub(crate) exit_code: u8,
}

/// A document with a list that may be long: it is written item by item, and is a document also when the work fails midway.
pub(crate) struct Listing<W: Write> {
    output: W,
    items: u64,
}

impl<W: Write> Listing<W> {
    /// Begins the document with the fields of `head` and the list under `name`.
    pub(crate) fn begin(mut output: W, head: &impl Serialize, name: &str) -> Result<Self> {
        let head = to_json(&Document::new(head))?;
        let open = head.strip_suffix(b"}").unwrap_or(&head);
        write(&mut output, open)?;
        write(&mut output, format!(",{name:?}:[").as_bytes())?;
        Ok(Self { output, items: 0 })
    }

    /// Adds an item.
    pub(crate) fn item(&mut self, item: &impl Serialize) -> Result<()> {
        write(&mut self.output, if self.items == 0 { b"\n" } else { b",\n" })?;
        self.items += 1;
        write(&mut self.output, &to_json(item)?)
    }

    /// Ends the document with one more field.
    pub(crate) fn end(mut self, name: &str, value: &impl Serialize) -> Result<()> {
        write(&mut self.output, format!("\n],{name:?}:").as_bytes())?;
        write(&mut self.output, &to_json(value)?)?;
        write(&mut self.output, b"}\n")?;
        self.output.flush().map_err(|error| Failure::output(&error))
    }
}

fn write(output: &mut impl Write, bytes: &[u8]) -> Result<()> {
    output.write_all(bytes).map_err(|error| Failure::output(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_full_only_where_the_text_is_not() {
        let json = |bytes: &[u8]| serde_json::to_string(&Path::of(bytes)).unwrap();
        assert_eq!(json(b"a/b"), r#"{"path":"a/b"}"#);
        assert_eq!(json(b"a\xff"), "{\"path\":\"a\u{fffd}\",\"path_b64\":\"Yf8=\"}");
    }

    #[test]
    fn a_listing_is_a_document_at_any_length() {
        for items in [0_u32, 1, 3] {
            let mut bytes = Vec::new();
            let head = serde_json::json!({ "snapshot": "x" });
            let mut listing = Listing::begin(&mut bytes, &head, "entries").unwrap();
            for n in 0..items {
                listing.item(&n).unwrap();
            }
            listing.end("total", &items).unwrap();
            let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
            assert_eq!(value["schema"], 1);
            assert_eq!(value["snapshot"], "x");
            assert_eq!(value["entries"].as_array().unwrap().len(), items as usize);
            assert_eq!(value["total"], items);
        }
    }
}
