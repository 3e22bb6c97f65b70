//! What parent and helper say to each other: one JSON object a line.
//!
//! Neither side trusts the other: a hostile database may have taken the helper
//! over, and any program may be called as one. A line has a limit, unknown
//! fields and kinds are refused, and the parent checks a claim against the
//! spool before it believes it.

use std::ffi::OsString;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::codec::snapshot::CheckResult;
use crate::sqlite::questions::ReferenceQuery;

/// Both sides must speak the same version; they are the same binary, unless it was replaced meanwhile.
pub(super) const PROTOCOL: u32 = 3;

/// The longest line, its end included.
pub(super) const MAX_LINE_BYTES: usize = 64 * 1024;

/// The longest text of the helper's that is kept.
const MAX_TEXT_CHARS: usize = 1000;

/// What the parent asks for; the first line that it sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Request {
    /// [`PROTOCOL`]
    pub(super) protocol: u32,
    /// The database: absolute, no symbolic link in it.
    pub(super) source: PathBytes,
    /// The empty file that takes the bytes: absolute, no symbolic link in it.
    pub(super) spool: PathBytes,
    /// The device that the database must be on.
    pub(super) device: u64,
    /// The inode that it must be.
    pub(super) inode: u64,
    /// Whose the database is.
    pub(super) access: Access,
    /// How long to wait for a writer's lock, in milliseconds.
    pub(super) wait_ms: u64,
    /// How many [`Question`]s follow, a line each.
    pub(super) questions: u16,
    /// Whether columns are sampled.
    pub(super) samples: bool,
    /// How long each kind of question may take in all, in milliseconds, for a database of no size.
    pub(super) patience_ms: u64,
}

/// A query for the files that rows name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Question {
    /// Tables and columns without which it does not apply.
    pub(super) needs: Vec<(String, String)>,
    /// The query.
    pub(super) sql: String,
}

impl From<&ReferenceQuery> for Question {
    fn from(query: &ReferenceQuery) -> Self {
        Self { needs: query.needs.clone(), sql: query.sql.clone() }
    }
}

/// Whose a database is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Access {
    /// An application's: nothing of it may change.
    Source,
    /// Our copy, which `SQLite` may recover.
    Private,
}

/// What the helper says, in this order: `hello`, `began`, any number of `copied`, `checking`, `done`, any number of `tells`, `end`; or,
/// in the place of `done`, `refused` and no more. `alive` may stand anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reply {
    /// The helper started.
    Hello {
        /// [`PROTOCOL`]
        protocol: u32,
    },
    /// It is still at work.
    Alive,
    /// The read transaction began, no page was copied yet, and the spool has no name any more.
    Began,
    /// So many pages are copied, more than it said before.
    Copied {
        /// Pages, of any size.
        pages: u64,
    },
    /// Every page is copied, and they are being checked.
    Checking,
    /// The bytes are in the spool, and checked. Whatever happens from here on, they are good.
    Done(Done),
    /// Something about what is inside.
    Tells(Piece),
    /// That was all.
    End,
    /// There is no capture this way.
    Refused {
        /// What to do about it depends on this.
        reason: Refusal,
        /// For people.
        detail: String,
    },
}

/// A finished capture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Done {
    /// Bytes a page; 0 when there is none.
    pub(super) page_size: u32,
    /// Pages.
    pub(super) page_count: u64,
    /// The database was at rest and opened immutable.
    pub(super) immutable: bool,
    /// What `quick_check` said about the bytes in the spool.
    pub(super) check: CheckResult,
    /// How much longer the log became while its content was held, in bytes.
    pub(super) log_grew_bytes: u64,
}

/// A part of what there is to tell about a captured database: first tables, then what else is known, then each answer, then samples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Piece {
    /// Tables and their rows; the names ascend over all pieces.
    Tables(Vec<(String, u64)>),
    /// What else is known.
    Known(Known),
    /// Rows of the answer to the question that is next.
    Rows(Vec<Row>),
    /// The end of that answer.
    Answered(Outcome),
    /// A column.
    Sampled {
        /// Its table.
        table: String,
        /// Its name.
        column: String,
        /// Different texts in it; `None` for a column of integers.
        texts: Option<Vec<Base64>>,
    },
}

/// What is known beside the rows of tables.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Known {
    /// BLAKE3 of the schema's rows; `None` when it could not be read.
    pub(super) schema: Option<[u8; 32]>,
    /// The revision in Alembic's table.
    pub(super) alembic_revision: Option<String>,
    /// Tables whose rows were not counted.
    pub(super) tables_left_out: u32,
}

/// A row of an answer: path, size, hash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Row(pub(super) Base64, pub(super) Option<u64>, pub(super) Option<String>);

/// How a question came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    /// The database has not the columns.
    DoesNotApply,
    /// Every row was sent.
    Complete {
        /// Rows whose path is no text.
        without_text: u64,
    },
    /// What was sent of it does not count.
    Failed(String),
}

/// Why there is no capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Refusal {
    /// A writer kept its lock for as long as we were to wait.
    Busy,
    /// A rollback journal must be played back first.
    HotJournal,
    /// The log has content, no process has the database open, and opening it would create a file beside it.
    LeftoverLog,
    /// It cannot be opened where it is: side files cannot be created, the path is too long, locks do not work.
    CannotOpen,
    /// It does not begin like a database, or has an impossible header.
    NotADatabase,
    /// Its pages contradict each other.
    Corrupt,
    /// It was replaced, or came to life, while we looked: try again.
    Changed,
    /// The spool's disk is full.
    NoSpace,
    /// The spool cannot be written.
    Spool,
    /// Anything else.
    Failed,
}

/// Bytes of any kind; base64 on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base64(pub(super) Box<[u8]>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(|bytes| Self(bytes.into())).map_err(D::Error::custom)
    }
}

/// A path as bytes; base64 on the wire, which any name survives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PathBytes(PathBuf);

impl PathBytes {
    pub(super) fn as_path(&self) -> &Path {
        &self.0
    }
}

impl From<&Path> for PathBytes {
    fn from(path: &Path) -> Self {
        Self(path.to_owned())
    }
}

impl Serialize for PathBytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(self.0.as_os_str().as_bytes()))
    }
}

impl<'de> Deserialize<'de> for PathBytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(D::Error::custom)?;
        if bytes.contains(&0) {
            return Err(D::Error::custom("a path with a zero byte"));
        }
        Ok(Self(OsString::from_vec(bytes).into()))
    }
}

/// Why a line is not a message.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProtocolError {
    /// The pipe failed.
    #[error("the pipe failed")]
    Io(#[from] io::Error),
    /// It has no end within the limit.
    #[error("a line longer than {MAX_LINE_BYTES} bytes")]
    TooLong,
    /// It stops in its middle.
    #[error("the line stops after {0} bytes")]
    Truncated(usize),
    /// It is not a message.
    #[error("not a message")]
    Malformed(#[source] serde_json::Error),
}

/// Writes one message and sees it off.
pub(super) fn send(output: &mut dyn Write, message: &impl Serialize) -> Result<(), ProtocolError> {
    let mut line = serde_json::to_vec(message).map_err(ProtocolError::Malformed)?;
    line.push(b'\n');
    if line.len() > MAX_LINE_BYTES {
        return Err(ProtocolError::TooLong);
    }
    output.write_all(&line)?;
    output.flush()?;
    Ok(())
}

/// True when a message is short enough to be sent.
pub(super) fn fits(message: &impl Serialize) -> bool {
    serde_json::to_vec(message).is_ok_and(|line| line.len() < MAX_LINE_BYTES)
}

/// Reads one message; `None` at the end of the input.
pub(super) fn receive<T: DeserializeOwned>(
    input: &mut dyn BufRead,
) -> Result<Option<T>, ProtocolError> {
    let mut line = Vec::new();
    input.take(MAX_LINE_BYTES as u64).read_until(b'\n', &mut line)?;
    match line.last() {
        None => Ok(None),
        Some(b'\n') => serde_json::from_slice(&line).map(Some).map_err(ProtocolError::Malformed),
        Some(_) if line.len() == MAX_LINE_BYTES => Err(ProtocolError::TooLong),
        Some(_) => Err(ProtocolError::Truncated(line.len())),
    }
}

/// Text from a database or a helper, safe to show and to store: short, and without control characters.
pub(super) fn tame(text: &str) -> String {
    let tamed = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(MAX_TEXT_CHARS).map(tamed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request() -> Request {
        Request {
            protocol: PROTOCOL,
            source: PathBytes::from(Path::new(std::ffi::OsStr::from_bytes(b"/a/\xff\n.db"))),
            spool: PathBytes::from(Path::new("/s")),
            device: u64::MAX,
            inode: 1,
            access: Access::Source,
            wait_ms: 60_000,
            questions: 2,
            samples: true,
            patience_ms: 1000,
        }
    }

    fn parse<T: DeserializeOwned>(mut bytes: &[u8]) -> Result<Option<T>, ProtocolError> {
        receive(&mut bytes)
    }

    #[test]
    fn messages_round_trip() {
        let replies = [
            Reply::Hello { protocol: 1 },
            Reply::Alive,
            Reply::Began,
            Reply::Copied { pages: u64::MAX },
            Reply::Checking,
            Reply::Done(Done {
                page_size: 4096,
                page_count: u64::MAX,
                immutable: true,
                check: CheckResult::Failed("row 1\nmissing".to_owned()),
                log_grew_bytes: 5,
            }),
            Reply::Tells(Piece::Tables(vec![("t\"".to_owned(), u64::MAX)])),
            Reply::Tells(Piece::Known(Known { schema: Some([7; 32]), ..Known::default() })),
            Reply::Tells(Piece::Rows(vec![Row(Base64([0xff, 0, b'\n'].into()), None, None)])),
            Reply::Tells(Piece::Answered(Outcome::Complete { without_text: 3 })),
            Reply::End,
            Reply::Refused { reason: Refusal::HotJournal, detail: "x".to_owned() },
        ];
        let mut wire = Vec::new();
        send(&mut wire, &request()).unwrap();
        for reply in &replies {
            send(&mut wire, reply).unwrap();
        }
        let mut input = wire.as_slice();
        assert_eq!(receive::<Request>(&mut input).unwrap(), Some(request()));
        for reply in replies {
            assert_eq!(receive(&mut input).unwrap(), Some(reply));
        }
        assert_eq!(receive::<Reply>(&mut input).unwrap(), None);
    }

    #[test]
    fn what_is_not_a_message_is_refused() {
        assert!(matches!(parse::<Reply>(b"\"alive\""), Err(ProtocolError::Truncated(7))));
        assert!(matches!(parse::<Reply>(b"hello\n"), Err(ProtocolError::Malformed(_))));
        assert!(matches!(parse::<Reply>(b"\"later\"\n"), Err(ProtocolError::Malformed(_))));
        let endless = vec![b' '; MAX_LINE_BYTES * 2];
        assert!(matches!(parse::<Reply>(&endless), Err(ProtocolError::TooLong)));
        let extra = br#"{"protocol":1,"source":"","spool":"","device":0,"inode":0,"access":"source","wait_ms":0,"questions":0,"samples":false,"patience_ms":0,"sql":""}"#;
        assert!(parse::<Request>(&[extra.as_slice(), b"\n"].concat()).is_err());
        let zero = br#"{"protocol":1,"source":"YQBi","spool":"","device":0,"inode":0,"access":"source","wait_ms":0,"questions":0,"samples":false,"patience_ms":0}"#;
        assert!(parse::<Request>(&[zero.as_slice(), b"\n"].concat()).is_err());
    }

    #[test]
    fn a_message_over_the_limit_is_not_sent() {
        let long = Reply::Refused { reason: Refusal::Busy, detail: "x".repeat(MAX_LINE_BYTES) };
        let mut wire = Vec::new();
        assert!(matches!(send(&mut wire, &long), Err(ProtocolError::TooLong)));
        assert!(wire.is_empty());
    }

    #[test]
    fn text_is_tamed() {
        assert_eq!(tame("a\u{1b}[31m\nb"), "a [31m b");
        assert_eq!(tame(&"\u{e9}".repeat(5000)).chars().count(), MAX_TEXT_CHARS);
    }

    proptest! {
        #[test]
        fn mutated_messages_never_panic(at in 0_usize..300, byte: u8, cut in 0_usize..300) {
            let mut wire = Vec::new();
            send(&mut wire, &request()).unwrap();
            let at = at % wire.len();
            wire[at] = byte;
            wire.truncate(wire.len().saturating_sub(cut));
            let _ = parse::<Request>(&wire);
            let _ = parse::<Reply>(&wire);
        }
    }
}
