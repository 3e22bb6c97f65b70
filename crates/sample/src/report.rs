//! What a writer did, as a value and as a line of text for the process that started it.

use std::fmt;
use std::str::FromStr;

/// What a [`Writer`](crate::writer::Writer) did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterReport {
    /// Transactions committed.
    pub commits: u64,
    /// Operations that failed.
    pub errors: u64,
    /// The slowest commit in milliseconds, rounded up: waiting for locks included.
    pub slowest_ms: u64,
    /// Time spent in `run`, in milliseconds.
    pub elapsed_ms: u64,
    /// Attachments added.
    pub uploads: u64,
    /// Attachments deleted.
    pub deletes: u64,
    /// Stock moves and changes.
    pub moves: u64,
    /// Logins recorded.
    pub logins: u64,
    /// The first error's text; empty when there was none.
    pub first_error: String,
}

/// A line that is no writer's report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a writer's report: {reason} in {line:?}")]
pub struct ParseReportError {
    reason: &'static str,
    line: String,
}

impl WriterReport {
    /// Commits per second over the time of the run; 0 for a run without duration.
    pub fn commits_per_second(&self) -> u64 {
        self.commits.saturating_mul(1_000).checked_div(self.elapsed_ms).unwrap_or(0)
    }
}

impl fmt::Display for WriterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "commits={} errors={} ", self.commits, self.errors)?;
        write!(f, "slowest_ms={} elapsed_ms={} ", self.slowest_ms, self.elapsed_ms)?;
        write!(f, "uploads={} deletes={} ", self.uploads, self.deletes)?;
        write!(f, "moves={} logins={}", self.moves, self.logins)?;
        if self.first_error.is_empty() {
            return Ok(());
        }
        let words: Vec<&str> = self.first_error.split_whitespace().collect();
        write!(f, " first_error={}", words.join(" "))
    }
}

impl FromStr for WriterReport {
    type Err = ParseReportError;

    fn from_str(line: &str) -> Result<Self, Self::Err> {
        let fail = |reason| ParseReportError { reason, line: line.to_owned() };
        // The error's text comes last and is the only value with spaces.
        let (numbers, error) = line.trim().split_once(" first_error=").unwrap_or((line.trim(), ""));
        let mut report = Self { first_error: error.to_owned(), ..Self::default() };
        let mut seen = 0;
        for field in numbers.split(' ') {
            let (key, value) = field.split_once('=').ok_or_else(|| fail("a field without ="))?;
            let place = report.field(key).ok_or_else(|| fail("an unknown field"))?;
            *place = value.parse().map_err(|_| fail("a value that is no number"))?;
            seen += 1;
        }
        if seen == 8 { Ok(report) } else { Err(fail("a missing or repeated field")) }
    }
}

impl WriterReport {
    fn field(&mut self, key: &str) -> Option<&mut u64> {
        Some(match key {
            "commits" => &mut self.commits,
            "errors" => &mut self.errors,
            "slowest_ms" => &mut self.slowest_ms,
            "elapsed_ms" => &mut self.elapsed_ms,
            "uploads" => &mut self.uploads,
            "deletes" => &mut self.deletes,
            "moves" => &mut self.moves,
            "logins" => &mut self.logins,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> WriterReport {
        WriterReport {
            commits: 2_120,
            errors: 1,
            slowest_ms: 9,
            elapsed_ms: 10_000,
            uploads: 3,
            deletes: 2,
            moves: 400,
            logins: 77,
            first_error: "commit: database is locked".into(),
        }
    }

    #[test]
    fn a_report_survives_its_line() {
        let report = sample();
        let line = report.to_string();
        assert!(!line.contains('\n'));
        assert_eq!(line.parse(), Ok(report.clone()));
        assert_eq!(report.commits_per_second(), 212);
        let clean = WriterReport { errors: 0, first_error: String::new(), ..report };
        assert_eq!(clean.to_string().parse(), Ok(clean));
    }

    #[test]
    fn other_lines_are_refused() {
        let line = sample().to_string();
        for bad in ["", "ready", "commits=1", "commits=x", &line.replace("moves", "moved")] {
            assert!(bad.parse::<WriterReport>().is_err(), "{bad}");
        }
    }
}
