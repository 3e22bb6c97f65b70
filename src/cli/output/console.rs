//! Standard output and standard error: who may write what on them, and how.

use std::env;
use std::io::{self, IsTerminal, Write};

use larder::observe::Warning;
use serde::Serialize;

use crate::cli::args::{Colors, Globals};
use crate::cli::exit::Exit;
use crate::cli::failure::{Failure, Result};
use crate::cli::output::escape::{one_line, printable, shorten_ids};
use crate::cli::output::json::{ErrorBody, Line, Path, WarningBody, WarningKind};

/// What standard output carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text for people.
    Text,
    /// One JSON document.
    Document,
    /// JSON, one object a line, while the work goes on.
    Lines,
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loudness {
    Quiet,
    Normal,
    Verbose,
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Not at all.
    Nothing,
    /// By a bar on the terminal.
    Bars,
    /// By lines of JSON.
    Lines,
}

/// Standard output and standard error.
#[derive(Debug)]
pub(crate) struct Console {
    form: Form,
    loudness: Loudness,
    progress: Shown,
    colors: bool,
    output_is_terminal: bool,
}

impl Console {
    /// The console as the flags and the environment want it. `streams` says that the command's JSON comes in lines.
    pub(crate) fn new(globals: &Globals, streams: bool) -> Self {
        let dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        let form = match (globals.json, streams) {
            (false, _) => Form::Text,
            (true, false) => Form::Document,
            (true, true) => Form::Lines,
        };
        Self {
            form,
            loudness: match (globals.quiet, globals.verbose) {
                (true, _) => Loudness::Quiet,
                (false, 0) => Loudness::Normal,
                (false, _) => Loudness::Verbose,
            },
            progress: match form {
                _ if globals.no_progress || globals.quiet => Shown::Nothing,
                Form::Text if terminal => Shown::Bars,
                Form::Lines => Shown::Lines,
                Form::Text | Form::Document => Shown::Nothing,
            },
            colors: wants_colors(globals.color, terminal),
            output_is_terminal: io::stdout().is_terminal(),
        }
    }

    /// A console for a command line that could not be read, but asks for JSON.
    pub(crate) fn of_json() -> Self {
        Self {
            form: Form::Document,
            loudness: Loudness::Normal,
            progress: Shown::Nothing,
            colors: false,
            output_is_terminal: false,
        }
    }

    /// What standard output carries.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// True for `--quiet`.
    pub(crate) fn is_quiet(&self) -> bool {
        self.loudness == Loudness::Quiet
    }

    /// True for `--verbose`.
    pub(crate) fn is_verbose(&self) -> bool {
        self.loudness == Loudness::Verbose
    }

    /// How progress is shown.
    pub(crate) fn progress(&self) -> Shown {
        self.progress
    }

    /// True when standard error may have colours.
    pub(crate) fn has_colors(&self) -> bool {
        self.colors
    }

    /// A name for standard output: as it is into a pipe, without surprises on a terminal.
    pub(crate) fn name(&self, bytes: &[u8]) -> Vec<u8> {
        if self.output_is_terminal { printable(bytes).as_bytes().to_vec() } else { bytes.to_vec() }
    }

    /// The text with shortened ids, for people who do not want to hear more. JSON has them in full.
    pub(crate) fn brief(&self, text: &str) -> String {
        if self.form == Form::Text && !self.is_verbose() {
            shorten_ids(text)
        } else {
            text.to_owned()
        }
    }

    /// A line of text on standard output, and no more than one.
    #[expect(clippy::unused_self, reason = "who may write on standard output has the console")]
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        write_line(&mut io::stdout().lock(), one_line(text).as_bytes())
    }

    /// Several lines of text that are this program's own.
    pub(crate) fn page(&self, text: &str) -> Result<()> {
        text.lines().try_for_each(|line| self.line(line))
    }

    /// A line of text that `--quiet` leaves out.
    pub(crate) fn detail(&self, text: &str) -> Result<()> {
        if self.is_quiet() { Ok(()) } else { self.line(text) }
    }

    /// A JSON document.
    pub(crate) fn document(&self, document: &impl Serialize) -> Result<()> {
        debug_assert_ne!(self.form, Form::Text, "JSON where text was promised");
        write_line(&mut io::stdout().lock(), &to_json(document)?)
    }

    /// A line of JSON.
    pub(crate) fn json_line(
        &self,
        message_type: &'static str,
        body: &impl Serialize,
    ) -> Result<()> {
        self.document(&Line::new(message_type, body))
    }

    /// Something is not as it should be.
    pub(crate) fn warning(&self, kind: WarningKind, warning: &Warning) {
        if self.form == Form::Lines {
            let body = WarningBody {
                kind,
                subject: Path::of(&warning.subject),
                message: &warning.message,
            };
            // Who has closed the output is told by the next line that matters.
            let _ = self.json_line("warning", &body);
            return;
        }
        let text = match &warning.subject[..] {
            [] => warning.message.clone(),
            subject => format!("{}: {}", printable(subject), warning.message),
        };
        match kind {
            WarningKind::Note => self.say("note", "36", &text),
            WarningKind::Damage => self.say("damage", "31;1", &text),
            WarningKind::Finding | WarningKind::Storage => self.say("warning", "33;1", &text),
        }
    }

    /// Stored data is not what it should be.
    pub(crate) fn damage(&self, text: &str) {
        self.warning(WarningKind::Damage, &Warning::about(Vec::new(), text));
    }

    /// The storage cannot keep a promise.
    pub(crate) fn storage(&self, text: &str) {
        self.warning(WarningKind::Storage, &Warning::about(Vec::new(), text));
    }

    /// Something worth a word.
    pub(crate) fn note(&self, text: impl Into<String>) {
        if !self.is_quiet() {
            self.warning(WarningKind::Note, &Warning::about(Vec::new(), text));
        }
    }

    /// What to do now, as one command.
    pub(crate) fn hint(&self, text: &str) {
        if self.form == Form::Text {
            self.say("hint", "36;1", text);
        }
    }

    /// The end of a command that needs no settings.
    pub(crate) fn end(&self, result: &Result<Exit>) -> Exit {
        match result {
            Ok(exit) => *exit,
            Err(failure) => {
                if let Failure::Own { exit, message, hint } = failure {
                    self.failure(*exit, message, hint.as_deref());
                }
                failure.exit()
            }
        }
    }

    /// Why a command has failed.
    pub(crate) fn failure(&self, exit: Exit, message: &str, hint: Option<&str>) {
        if self.form == Form::Text {
            self.say("error", "31;1", message);
            if let Some(hint) = hint {
                self.say("hint", "36;1", hint);
            }
            return;
        }
        let body = ErrorBody { kind: exit.name(), message, hint, exit_code: exit.code() };
        // Nobody is left to be told.
        let _ = self.json_line("error", &body);
    }

    fn say(&self, label: &str, color: &str, text: &str) {
        let text = one_line(text);
        let mut error = io::stderr().lock();
        // Standard error is for people; when it is closed there are none.
        let _ = if self.colors {
            writeln!(error, "\x1b[{color}m{label}:\x1b[0m {text}")
        } else {
            writeln!(error, "{label}: {text}")
        };
    }
}

/// The value as one line of JSON.
pub(crate) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Failure::failed(format!("making JSON: {error}")))
}

/// Writes a line; someone who reads along sees it at once.
pub(crate) fn write_line(output: &mut impl Write, line: &[u8]) -> Result<()> {
    let written = output.write_all(line).and_then(|()| output.write_all(b"\n"));
    written.and_then(|()| output.flush()).map_err(|error| Failure::output(&error))
}

fn wants_colors(colors: Colors, terminal: bool) -> bool {
    let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
    let forced = || env::var_os("CLICOLOR_FORCE").is_some_and(|it| !it.is_empty() && it != "0");
    match colors {
        Colors::Always => true,
        Colors::Never => false,
        Colors::Auto if set("NO_COLOR") => false,
        Colors::Auto => terminal || forced(),
    }
}
