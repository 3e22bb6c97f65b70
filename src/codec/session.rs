//! Session records: who is writing.

use serde::{Deserialize, Serialize};

use crate::codec::envelope::{Rules, durable};
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

impl Rules for SessionRecord {
    fn broken_rule(&self) -> Option<&'static str> {
        None
    }

    fn extensions(&self) -> &[Extension] {
        &self.extensions
    }
}
