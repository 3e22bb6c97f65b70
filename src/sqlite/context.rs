//! What the steps of one capture share: its options, its path, its helper runs.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use crate::codec::snapshot::{
    CaptureMethod, CheckResult, DatabaseIdentity, DatabaseLabel, FileIdentity, JournalMode,
    Knowledge, TableRows,
};
use crate::sqlite::captured::{CaptureError, Captured};
use crate::sqlite::header::{HEADER_BYTES, Header};
use crate::sqlite::identity::{self, settled_before};
use crate::sqlite::options::CaptureOptions;
use crate::sqlite::protocol::{Access, Done, Known, PROTOCOL, Question, Refusal, Request, fits};
use crate::sqlite::questions::{Answer, ColumnSample, MAX_QUERIES};
use crate::sqlite::runner::{self, Ending, Orders};
use crate::sqlite::spool::{Spool, SpoolError};
use crate::sqlite::told::Told;

/// One capture: its options and its database's real path.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) options: &'a CaptureOptions<'a>,
    pub(super) path: &'a Path,
    /// Where samples of its columns go, if they are wanted.
    pub(super) samples: Option<&'a RefCell<Vec<ColumnSample>>>,
}

/// The bytes that a helper left in a spool, its claim about them verified.
pub(super) struct Copy {
    pub(super) spool: Spool,
    pub(super) done: Done,
    pub(super) told: Told,
    pub(super) started_ns: i64,
}

/// Why a helper left none.
pub(super) struct NoCopy {
    pub(super) reason: Refusal,
    pub(super) detail: String,
    /// The helper was killed from outside, which says nothing about the database.
    pub(super) killed: bool,
}

/// What is known of the bytes in a spool beside themselves.
pub(super) struct Finding {
    pub(super) label: DatabaseLabel,
    pub(super) method: CaptureMethod,
    pub(super) check: CheckResult,
    pub(super) told: Told,
    pub(super) started_ns: i64,
    pub(super) identity: Option<DatabaseIdentity>,
}

impl Context<'_> {
    pub(super) fn now_ns(&self) -> i64 {
        (self.options.now_ns)()
    }

    pub(super) fn observe(&self) -> Result<DatabaseIdentity, CaptureError> {
        identity::observe(self.path).map_err(|error| self.source(error))
    }

    /// What the database looks like, if it looks as it did before, and a later change would show.
    pub(super) fn identity_since(
        &self,
        before: &DatabaseIdentity,
        started_ns: i64,
    ) -> Option<DatabaseIdentity> {
        let after = identity::observe(self.path).ok()?;
        (after == *before && settled_before(&after, started_ns)).then_some(after)
    }

    pub(super) fn spool(&self, need_bytes: u64) -> Result<Spool, CaptureError> {
        Spool::create_in(self.options.spool_dir, need_bytes, self.options.min_free_bytes)
            .map_err(|source| self.no_spool(source))
    }

    /// Runs a helper over `database`, which must be the file `expected`. A helper that breaks down is a refusal for
    /// this database; one that does not start, and a spool that fails, end the capture.
    pub(super) fn run(
        &self,
        mut spool: Spool,
        (database, expected): (&Path, FileIdentity),
        access: Access,
    ) -> Result<Result<Copy, NoCopy>, CaptureError> {
        let questions: Vec<Question> = self.askable().filter_map(Result::ok).collect();
        let request = Request {
            protocol: PROTOCOL,
            source: database.into(),
            spool: spool.path().into(),
            device: expected.device,
            inode: expected.inode,
            access,
            wait_ms: milliseconds(self.options.wait),
            questions: u16::try_from(questions.len()).unwrap_or(u16::MAX),
            samples: self.samples.is_some(),
            // The helper gives up itself before we do.
            patience_ms: milliseconds(self.options.silence / 2),
        };
        let mut started_ns = self.now_ns();
        let mut vanished = Ok(());
        let orders = Orders { request: &request, questions: &questions, bytes: spool.need_bytes() };
        let ending = runner::run(self.options, &orders, &mut || {
            started_ns = self.now_ns();
            vanished = spool.vanish();
        });
        vanished.and_then(|()| spool.vanish()).map_err(|error| self.spool_failed(error))?;
        self.judge(ending, spool, started_ns)
    }

    /// What can be put to a helper, and why the rest cannot, in the order of the questions.
    fn askable(&self) -> impl Iterator<Item = Result<Question, &'static str>> {
        self.options.questions.iter().enumerate().map(|(place, query)| {
            let question = Question::from(query);
            match (place < MAX_QUERIES, fits(&question)) {
                (true, true) => Ok(question),
                (true, false) => Err("the query is too long"),
                (false, _) => Err("there are too many queries"),
            }
        })
    }

    /// An answer to every question, those that were not put to the helper included.
    fn every_answer(&self, told: Vec<Answer>) -> Vec<Answer> {
        let mut told = told.into_iter();
        let unanswered = || Answer::Failed("it was not answered".to_owned());
        let answer = |asked: Result<Question, &str>| match asked {
            Ok(_) => told.next().unwrap_or_else(unanswered),
            Err(why) => Answer::Failed(why.to_owned()),
        };
        self.askable().map(answer).collect()
    }

    fn judge(
        &self,
        ending: Ending,
        spool: Spool,
        started_ns: i64,
    ) -> Result<Result<Copy, NoCopy>, CaptureError> {
        let path = self.path.to_owned();
        let dir = self.options.spool_dir.to_owned();
        let broken = |what, killed| NoCopy {
            reason: Refusal::Failed,
            detail: format!("the capture helper failed: {what}"),
            killed,
        };
        match ending {
            Ending::Done(done, mut told) => Ok(match verify(spool.file(), &done) {
                Ok(()) => {
                    told.answers = self.every_answer(std::mem::take(&mut told.answers));
                    Ok(Copy { spool, done, told: *told, started_ns })
                }
                Err(what) => Err(broken(what, false)),
            }),
            Ending::Refused(Refusal::NoSpace, _) => Err(self.no_spool(SpoolError::Full { dir })),
            Ending::Refused(Refusal::Spool, detail) => {
                Err(self.spool_failed(io::Error::other(detail)))
            }
            Ending::Refused(reason, detail) => Ok(Err(NoCopy { reason, detail, killed: false })),
            Ending::Fault(what) => Ok(Err(broken(what, false))),
            Ending::Killed(what) => Ok(Err(broken(what, true))),
            Ending::NoHelper(what) => {
                let program = self.options.helper.program.clone();
                Err(CaptureError::Helper { path, program, what })
            }
            Ending::Cancelled => Err(CaptureError::Cancelled { path }),
        }
    }

    /// Hands the bytes in a spool over.
    pub(super) fn finish(&self, spool: Spool, finding: Finding) -> Result<Captured, CaptureError> {
        let failed = |error| self.spool_failed(error);
        let file = spool.into_file().map_err(failed)?;
        let len = file.metadata().map_err(failed)?.len();
        let header = header_of(&file).map_err(failed)?;
        let main = self.observe()?.main;
        let told = finding.told;
        if let Some(samples) = self.samples {
            *samples.borrow_mut() = told.samples;
        }
        let whole = header.filter(|header| len % u64::from(header.page_size) == 0);
        Ok(Captured {
            file,
            len,
            inode: (main.device, main.inode),
            label: finding.label,
            method: finding.method,
            page_size: whole.map_or(0, |header| header.page_size),
            page_count: whole.map_or(0, |header| len / u64::from(header.page_size)),
            journal_mode: header.map_or(JournalMode::Unknown, |header| header.journal_mode()),
            check: finding.check,
            knowledge: header.map(|header| knowledge_of(header, told.tables, told.known)),
            answers: told.answers,
            started_ns: finding.started_ns,
            identity: finding.identity,
        })
    }

    pub(super) fn source(&self, source: io::Error) -> CaptureError {
        CaptureError::Source { path: self.path.to_owned(), source }
    }

    pub(super) fn spool_failed(&self, source: io::Error) -> CaptureError {
        let dir = self.options.spool_dir.to_owned();
        self.no_spool(match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => SpoolError::Full { dir },
            _ => SpoolError::Io { dir, source },
        })
    }

    fn no_spool(&self, source: SpoolError) -> CaptureError {
        CaptureError::Spool { path: self.path.to_owned(), source }
    }
}

/// A helper's claim is believed as far as the bytes bear it out.
fn verify(file: &File, done: &Done) -> Result<(), String> {
    let len = file.metadata().map_err(|error| error.to_string())?.len();
    let header = header_of(file).map_err(|error| error.to_string())?;
    let claimed = u64::from(done.page_size).checked_mul(done.page_count);
    let borne_out = header.is_some_and(|header| {
        header.page_size == done.page_size && u64::from(header.page_count) == done.page_count
    });
    if borne_out && claimed == Some(len) {
        Ok(())
    } else {
        Err(format!("it claims {claimed:?} bytes of pages, and {len} bytes came"))
    }
}

/// What the header says is looked up by ourselves.
fn knowledge_of(header: Header, tables: Vec<TableRows>, known: Known) -> Knowledge {
    Knowledge {
        application_id: header.application_id,
        user_version: header.user_version,
        schema: known.schema,
        alembic_revision: known.alembic_revision,
        tables,
        tables_left_out: known.tables_left_out,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn header_of(file: &File) -> io::Result<Option<Header>> {
    let mut head = [0; HEADER_BYTES];
    let read = file.read_at(&mut head, 0)?;
    Ok(head.get(..read).and_then(Header::parse))
}
