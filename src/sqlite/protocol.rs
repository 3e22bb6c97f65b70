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

/// Both sides must speak the same version; they are the same binary, unless it was replaced meanwhile.
pub(super) const PROTOCOL: u32 = 1;

/// The longest line, its end included.
pub(super) const MAX_LINE_BYTES: usize = 64 * 1024;

/// The longest text of the helper's that is kept.
const MAX_TEXT_CHARS: usize = 1000;

/// What the parent asks for; the only line that it sends.
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

/// What the helper says, in this order: `hello`, any number of `alive`, `began` in between, then `done` or `refused`.
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
    /// The bytes are in the spool, and checked.
    Done(Done),
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
    /// BLAKE3 of the schema's rows; `None` when it could not be read.
    pub(super) schema: Option<[u8; 32]>,
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
            Reply::Done(Done {
                page_size: 4096,
                page_count: u64::MAX,
                immutable: true,
                check: CheckResult::Failed("row 1\nmissing".to_owned()),
                schema: Some([7; 32]),
            }),
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
        let extra = br#"{"protocol":1,"source":"","spool":"","device":0,"inode":0,"access":"source","wait_ms":0,"sql":""}"#;
        assert!(parse::<Request>(&[extra.as_slice(), b"\n"].concat()).is_err());
        let zero = br#"{"protocol":1,"source":"YQBi","spool":"","device":0,"inode":0,"access":"source","wait_ms":0}"#;
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
