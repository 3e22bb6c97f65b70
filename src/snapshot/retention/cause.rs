//! What puts the brake on.

use std::fmt;

use crate::codec::ByteString;

/// What can shrink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shrunk {
    /// The number of files.
    Files,
    /// Their bytes.
    Bytes,
    /// Rows of a table.
    Rows {
        /// The database.
        database: ByteString,
        /// The table.
        table: String,
    },
    /// The number of databases; this one is gone.
    Database(ByteString),
}

/// Why the brake is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// There is much less than there was.
    Shrank {
        /// Of what.
        what: Shrunk,
        /// How much there was.
        before: u64,
        /// How much there is.
        now: u64,
    },
    /// A database failed its check.
    CheckFailed {
        /// The database.
        database: ByteString,
        /// What the check said first.
        problem: String,
    },
    /// Rows name files that are not in the snapshot.
    Dangling {
        /// The database.
        database: ByteString,
        /// The set of references.
        references: String,
        /// So many files.
        count: u64,
    },
}

impl Cause {
    /// Whether it is about less than there was.
    pub fn is_shrink(&self) -> bool {
        matches!(self, Self::Shrank { .. })
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shrank { what, before, now } => match what {
                Shrunk::Files => write!(f, "{}, there were {before}", many(*now, "file")),
                Shrunk::Bytes => write!(f, "{}, there were {before}", many(*now, "byte")),
                Shrunk::Rows { database, table } => {
                    let (rows, database) = (many(*now, "row"), shown(database));
                    write!(f, "{rows} in {table} of {database}, there were {before}")
                }
                Shrunk::Database(database) => write!(f, "{} is gone", shown(database)),
            },
            Self::CheckFailed { database, problem } => write!(f, "{}: {problem}", shown(database)),
            Self::Dangling { database, references, count } => {
                let (files, database) = (many(*count, "file"), shown(database));
                let are = if *count == 1 { "is" } else { "are" };
                write!(f, "{files} that {database} names {are} not there ({references})")
            }
        }
    }
}

fn many(count: u64, one: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {one}{plural}")
}

/// A name for people: control characters and what is no UTF-8 are escaped.
fn shown(path: &[u8]) -> String {
    let text = String::from_utf8_lossy(path);
    text.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_read_like_sentences() {
        let database = ByteString::from(b"app\x1b.db".to_vec());
        let what = Shrunk::Rows { database: database.clone(), table: "parts".to_owned() };
        let cause = Cause::Shrank { what, before: 100, now: 3 };
        assert_eq!(cause.to_string(), "3 rows in parts of app?.db, there were 100");
        let cause = Cause::Shrank { what: Shrunk::Files, before: 9, now: 0 };
        assert_eq!(cause.to_string(), "0 files, there were 9");
        let cause = Cause::Dangling { database, references: "partshub".to_owned(), count: 2 };
        assert_eq!(cause.to_string(), "2 files that app?.db names are not there (partshub)");
    }
}
