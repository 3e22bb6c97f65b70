//! Session records: who is writing.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
use crate::codec::names::{MAX_NAME_BYTES, length_fault};
use crate::codec::{Extension, Kind};
use crate::id::SessionId;

/// Published before a writer's first pack, removed after its last barrier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    /// Names the session and its packs.
    pub session: SessionId,
    /// The machine.
    pub host: String,
    /// The process there.
    pub pid: u32,
    /// What it is doing, as on the command line.
    pub command: String,
    /// Since when, nanoseconds since 1970.
    pub since_ns: i64,
    /// What later versions added.
    pub extensions: Vec<Extension>,
}

durable!(SessionRecord, Kind::Session);

/// The longest command that a record holds, in bytes.
pub const MAX_COMMAND_BYTES: usize = 2048;

impl SessionRecord {
    /// As much of a command's beginning as a record holds.
    pub fn shortened(mut command: String) -> String {
        command.truncate(command.floor_char_boundary(MAX_COMMAND_BYTES));
        command
    }
}

impl Rules for SessionRecord {
    fn broken_rule(&self) -> Option<&'static str> {
        length_fault(&self.host, MAX_NAME_BYTES)
            .or_else(|| length_fault(&self.command, MAX_COMMAND_BYTES))
    }

    fn extension_lists(&self) -> impl Iterator<Item = &[Extension]> {
        std::iter::once(self.extensions.as_slice())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Durable;

    #[test]
    fn a_long_command_is_refused_until_it_is_shortened() {
        let command = "backup \u{e9}".to_owned() + &"\u{e9}".repeat(MAX_COMMAND_BYTES);
        let record = |command| SessionRecord {
            session: SessionId::from_bytes([1; 16]),
            host: "attic".into(),
            pid: 77,
            command,
            since_ns: 5,
            extensions: Vec::new(),
        };
        assert!(record(command.clone()).encode().is_err());
        let short = record(SessionRecord::shortened(command));
        assert_eq!(short.command.len(), MAX_COMMAND_BYTES - 1, "a character is not cut in two");
        assert_eq!(SessionRecord::decode(&short.encode().unwrap()), Ok(short));
    }
}
