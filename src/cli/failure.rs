//! Why a command ends early: an error of the library, or one of the command line's own.

use std::error::Error as _;
use std::io;

use larder::error::Error;

use crate::cli::exit::Exit;

/// Result of a command's step.
pub(crate) type Result<T> = std::result::Result<T, Failure>;

/// Why a command ends early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The library's; its hint is found when it is reported.
    Library(Box<Error>),
    /// The command line's own.
    Own {
        /// How the process ends.
        exit: Exit,
        /// What failed, on what, why.
        message: String,
        /// What to do, if there is one thing.
        hint: Option<String>,
    },
    /// Whoever read the output has seen enough.
    OutputClosed,
}

impl Failure {
    /// The work could not be done.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::Own { exit: Exit::Failed, message: message.into(), hint: None }
    }

    /// What was asked for makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Own { exit: Exit::Usage, message: message.into(), hint: None }
    }

    /// The same with what to do about it.
    pub(crate) fn with_hint(self, text: impl Into<String>) -> Self {
        match self {
            Self::Own { exit, message, .. } => Self::Own { exit, message, hint: Some(text.into()) },
            other => other,
        }
    }

    /// A failure to write to standard output.
    pub(crate) fn output(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputClosed,
            _ => Self::failed(format!("writing the output: {}", plain(&error.to_string()))),
        }
    }

    /// A failure of an operation on a file of the user's.
    pub(crate) fn io(what: impl std::fmt::Display, error: &io::Error) -> Self {
        Self::failed(format!("{what}: {}", plain(&error.to_string())))
    }

    /// How work that is done ends, whatever became of saying so: it is not undone by a reader who went away, and it is not made
    /// any better by a disk that did not take the words.
    pub(crate) fn after(done: Exit, said: Result<()>) -> Result<Exit> {
        match said {
            Ok(()) | Err(Self::OutputClosed) => Ok(done),
            Err(Self::Own { exit, message, hint }) => {
                Err(Self::Own { exit: exit.or_worse(done), message, hint })
            }
            Err(library @ Self::Library(_)) => Err(library),
        }
    }

    /// How the process ends.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Library(error) => error.kind().into(),
            Self::Own { exit, .. } => *exit,
            Self::OutputClosed => Exit::Ok,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match &error {
            // The library reads and writes files and directories; a pipe can only be standard output.
            Error::Io { source, .. } if source.kind() == io::ErrorKind::BrokenPipe => {
                Self::OutputClosed
            }
            _ => Self::Library(Box::new(error)),
        }
    }
}

/// An error and its causes in one line.
pub(crate) fn in_full(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text = format!("{text}: {next}");
        }
        cause = error.source();
    }
    plain(&text)
}

/// The text without the numbers of system errors: `(os error 2)` tells nobody more than the words before it.
fn plain(text: &str) -> String {
    let mut parts = text.split(" (os error ");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push_str(
            part.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches(')'),
        );
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_system_errors_are_left_out() {
        assert_eq!(plain("source /x: No such file (os error 2)"), "source /x: No such file");
        assert_eq!(plain("a (os error 13): b (os error 2), c"), "a: b, c");
        assert_eq!(plain("nothing"), "nothing");
    }

    #[test]
    fn a_reader_that_went_away_is_no_error() {
        let gone = || io::Error::from(io::ErrorKind::BrokenPipe);
        assert_eq!(Failure::output(&gone()).exit(), Exit::Ok);
        let inside = Error::Io { what: "writing the output".to_owned(), source: gone() };
        assert_eq!(Failure::from(inside).exit(), Exit::Ok);
        assert_eq!(Failure::output(&io::Error::other("full")).exit(), Exit::Failed);
    }

    #[test]
    fn what_was_done_decides_whoever_listened() {
        let said = |error| Err(Failure::output(&error));
        let gone = || said(io::Error::from(io::ErrorKind::BrokenPipe));
        let full = || said(io::Error::other("full"));
        let exit = |done, said| Failure::after(done, said).unwrap_or_else(|failure| failure.exit());
        for done in [Exit::Ok, Exit::Incomplete, Exit::Damage] {
            assert_eq!(exit(done, Ok(())), done);
            assert!(Failure::after(done, gone()).is_ok_and(|exit| exit == done), "nothing is said");
        }
        assert_eq!(exit(Exit::Ok, full()), Exit::Failed);
        assert_eq!(exit(Exit::Incomplete, full()), Exit::Failed);
        assert_eq!(exit(Exit::Damage, full()), Exit::Damage);
    }
}
