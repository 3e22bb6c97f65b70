//! What a check found, and how it is printed.

use std::collections::BTreeSet;

/// One broken rule, at a place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// Path from the top of the repository.
    pub(crate) path: String,
    /// Line, from 1; 0 when the whole file is meant.
    pub(crate) line: usize,
    /// The rule, and what to do instead.
    pub(crate) message: String,
}

/// Findings fail the run; notes are printed and do not.
#[derive(Debug, Default)]
pub(crate) struct Report {
    findings: BTreeSet<Finding>,
    notes: BTreeSet<String>,
}

impl Report {
    /// Adds a broken rule.
    pub(crate) fn fail(&mut self, path: &str, line: usize, message: impl Into<String>) {
        self.findings.insert(Finding { path: path.to_owned(), line, message: message.into() });
    }

    /// Adds something worth saying: a skipped check, a file that grows too long.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.insert(note.into());
    }

    /// The broken rules, sorted by place.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter()
    }

    /// The notes, sorted.
    #[cfg(test)]
    pub(crate) fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str)
    }

    /// Prints everything; true when no rule is broken.
    pub(crate) fn print(&self, chore: &str) -> bool {
        for note in &self.notes {
            println!("note: {note}");
        }
        for Finding { path, line, message } in &self.findings {
            match line {
                0 => println!("{path}: {message}"),
                line => println!("{path}:{line}: {message}"),
            }
        }
        match self.findings.len() {
            0 => println!("{chore}: ok"),
            count => println!("{chore}: {count} to fix"),
        }
        self.findings.is_empty()
    }
}
