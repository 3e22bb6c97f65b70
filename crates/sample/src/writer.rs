//! The live application: stock moves, uploads, deletes and logins, each statement its own commit.
//!
//! The application never opens a transaction around a request, so a stock move is
//! several commits with pieces missing in between. Only the balanced move here is
//! one transaction. Every commit carries its ledger line (see [`crate::oracle`]).

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::attach::{self, Upload};
use crate::error::Error;
use crate::ledger::{self, Kind};
use crate::media::Format;
use crate::moment::Moment;
use crate::parts;
use crate::report::WriterReport;
use crate::rng::Rng;
use crate::schema::{self, ATTACHMENTS};
use crate::stock::{self, Change, Holding, Recorder};

/// How fast a writer works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// As fast as the machine allows.
    FlatOut,
    /// This many commits a second, or as many as the machine allows.
    CommitsPerSecond(u32),
}

/// How often a writer touches files, in operations per thousand (an operation is one to four
/// commits). The rest is stock and logins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mix {
    /// Uploads per thousand operations.
    pub uploads_per_mille: u64,
    /// Deletes per thousand operations.
    pub deletes_per_mille: u64,
}

impl Default for Mix {
    /// Mostly stock: about one upload a second at 200 commits a second.
    fn default() -> Self {
        Self { uploads_per_mille: 10, deletes_per_mille: 8 }
    }
}

impl Mix {
    /// Far more uploads and deletes than in real use, to make the windows between file and row visible.
    pub fn files_heavy() -> Self {
        Self { uploads_per_mille: 300, deletes_per_mille: 290 }
    }
}

/// Bytes of an uploaded file: small, so that the writer changes the database more than the disk's fill.
const UPLOAD_BYTES: std::ops::Range<usize> = 4_000..24_000;

/// The application at work on a data directory.
#[derive(Debug)]
pub struct Writer {
    conn: Connection,
    attachments: PathBuf,
    rng: Rng,
    mix: Mix,
    /// Simulated time: a second passes per commit.
    now: Moment,
    report: WriterReport,
}

impl Writer {
    /// Opens the directory as the application does. Writers at work at the same time need
    /// different seeds.
    pub fn open(data_dir: &Path, seed: u64) -> Result<Self, Error> {
        let conn = schema::open(data_dir)?;
        let head = ledger::head(&conn).map_err(Error::sql("read the ledger"))?;
        Ok(Self {
            // The counter keeps a writer that is started again from repeating its ids.
            rng: Rng::new(seed, &format!("writer/{}", head.commits)),
            now: head.start().plus(head.commits),
            attachments: data_dir.join(ATTACHMENTS),
            mix: Mix::default(),
            report: WriterReport::default(),
            conn,
        })
    }

    /// Changes how often files are touched.
    #[must_use]
    pub fn with_mix(self, mix: Mix) -> Self {
        Self { mix, ..self }
    }

    /// What was done so far.
    pub fn report(&self) -> &WriterReport {
        &self.report
    }

    /// Makes the end of this writer leave the write-ahead log, as a kill would.
    pub fn keep_wal(&self) -> Result<(), Error> {
        schema::keep_wal_on_close(&self.conn)
    }

    /// Works until `until` says true, which is asked before each operation. A failed operation is
    /// counted and the next one tried, as a web application does.
    pub fn run(&mut self, pace: Pace, mut until: impl FnMut() -> bool) -> WriterReport {
        let (began, first) = (Instant::now(), self.report.commits);
        while !until() {
            if let Err(error) = self.step() {
                self.report.errors += 1;
                if self.report.first_error.is_empty() {
                    self.report.first_error = whole_text(&error);
                }
            }
            wait(pace, began, self.report.commits - first);
        }
        self.report.elapsed_ms += whole_ms(began.elapsed());
        self.report.clone()
    }

    /// One operation of the application: one to four commits.
    pub fn step(&mut self) -> Result<(), Error> {
        let Mix { uploads_per_mille, deletes_per_mille } = self.mix;
        let roll = self.rng.below(1_000);
        if roll < uploads_per_mille {
            return self.upload();
        }
        if roll < uploads_per_mille + deletes_per_mille {
            return self.delete();
        }
        match self.rng.below(100) {
            0..45 => self.change_stock(),
            45..65 => self.move_balanced(),
            65..80 => self.move_in_pieces(),
            _ => self.login(),
        }
    }

    fn commit<T>(
        &mut self,
        kind: Kind,
        work: impl FnOnce(&Connection, &mut Rng, Moment) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        self.now = self.now.plus(1);
        let now = self.now;
        let value =
            ledger::commit(&mut self.conn, &mut self.rng, kind, |db, rng| work(db, rng, now))?;
        self.report.commits += 1;
        self.report.slowest_ms = self.report.slowest_ms.max(whole_ms(began.elapsed()));
        Ok(value)
    }

    /// Add or remove stock: four statements, four commits.
    fn change_stock(&mut self) -> Result<(), Error> {
        let Some(holding) = stock::random_holding(&self.conn, &mut self.rng)? else {
            return self.login();
        };
        let new = stock::next_quantity(&mut self.rng, holding.quantity);
        self.commit(Kind::Stock, |db, _, now| stock::set_quantity(db, &holding, new, now))?;
        self.commit(Kind::Stock, |db, rng, now| stock::touch_place(db, rng, &holding, now))?;
        self.commit(Kind::Stock, |db, rng, now| {
            Recorder::new(db)?.add(rng, &Change::to_quantity(&holding, new, now))
        })?;
        self.report.moves += 1;
        self.login()
    }

    /// The application's move: between its first two commits the pieces are nowhere.
    fn move_in_pieces(&mut self) -> Result<(), Error> {
        let Some((from, to, count)) = pick_move(&self.conn, &mut self.rng)? else {
            return self.login();
        };
        let (left, arrived) = (from.quantity - count, to.quantity + count);
        self.commit(Kind::Move, |db, _, now| stock::set_quantity(db, &from, left, now))?;
        self.commit(Kind::Move, |db, _, now| stock::set_quantity(db, &to, arrived, now))?;
        self.commit(Kind::Move, |db, rng, now| record_move(db, rng, (&from, &to, count), now))?;
        self.report.moves += 1;
        Ok(())
    }

    /// The same in one transaction, so that the sum over all holdings never changes.
    fn move_balanced(&mut self) -> Result<(), Error> {
        let moved = self.commit(Kind::Balanced, |db, rng, now| {
            let Some((from, to, count)) = pick_move(db, rng)? else { return Ok(false) };
            stock::set_quantity(db, &from, from.quantity - count, now)?;
            stock::set_quantity(db, &to, to.quantity + count, now)?;
            record_move(db, rng, (&from, &to, count), now)?;
            Ok(true)
        })?;
        self.report.moves += u64::from(moved);
        Ok(())
    }

    fn login(&mut self) -> Result<(), Error> {
        self.commit(Kind::Login, stock::login)?;
        self.report.logins += 1;
        Ok(())
    }

    /// Files in place first, then the row.
    fn upload(&mut self) -> Result<(), Error> {
        let Some(part) = parts::random(&self.conn, &mut self.rng)? else { return self.login() };
        let format = [Format::Pdf, Format::Jpeg, Format::Png][self.rng.index(3)];
        let target = UPLOAD_BYTES.start + self.rng.index(UPLOAD_BYTES.len());
        let upload = Upload::draw(&mut self.rng, &part, format, target);
        let stored = attach::store(&self.attachments, &mut self.rng, &upload, None)?;
        self.commit(Kind::Upload, |db, rng, now| attach::insert(db, rng, &upload, &stored, now))?;
        self.report.uploads += 1;
        Ok(())
    }

    /// Files first, then the row.
    fn delete(&mut self) -> Result<(), Error> {
        let Some(row) = attach::random_row(&self.conn, &mut self.rng)? else {
            return self.login();
        };
        attach::unlink(&self.attachments, &row)?;
        self.commit(Kind::Delete, |db, _, _| attach::delete_row(db, &row))?;
        self.report.deletes += 1;
        Ok(())
    }
}

/// Two different holdings and how many pieces go from the first to the second.
fn pick_move(conn: &Connection, rng: &mut Rng) -> Result<Option<(Holding, Holding, i64)>, Error> {
    let (from, to) = (stock::random_holding(conn, rng)?, stock::random_holding(conn, rng)?);
    let Some((from, to)) = from.zip(to) else { return Ok(None) };
    if from.id == to.id || from.quantity < 1 {
        return Ok(None);
    }
    let count = rng.between(1, from.quantity.min(20));
    Ok(Some((from, to, count)))
}

fn record_move(
    db: &Connection,
    rng: &mut Rng,
    (from, to, count): (&Holding, &Holding, i64),
    at: Moment,
) -> Result<(), Error> {
    let mut recorder = Recorder::new(db)?;
    for (holding, new) in [(from, from.quantity - count), (to, to.quantity + count)] {
        let change = Change::to_quantity(holding, new, at);
        let (from, to) = (Some(from.place.as_str()), Some(to.place.as_str()));
        recorder.add(rng, &Change { kind: "MOVE", from, to, ..change })?;
    }
    Ok(())
}

/// Sleeps until commit number `done` is due.
pub(crate) fn wait(pace: Pace, began: Instant, done: u64) {
    let Pace::CommitsPerSecond(rate) = pace else { return };
    let due = Duration::from_micros(done.saturating_mul(1_000_000) / u64::from(rate.max(1)));
    thread::sleep(due.saturating_sub(began.elapsed()));
}

/// An error with its causes.
pub(crate) fn whole_text(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

pub(crate) fn whole_ms(time: Duration) -> u64 {
    u64::try_from(time.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

/// The whole life of a writer in a process of its own: works until standard input reaches its end,
/// writes the line `ready` to `out` before it begins and its report as one line at the end.
pub fn run_until_stdin_closes(
    data_dir: &Path,
    seed: u64,
    pace: Pace,
    out: &mut impl Write,
) -> Result<WriterReport, Error> {
    run_until_closed(Writer::open(data_dir, seed)?, pace, io::stdin(), out)
}

/// The same for any input. An input that cannot be read counts as closed.
pub fn run_until_closed(
    mut writer: Writer,
    pace: Pace,
    input: impl Read + Send,
    out: &mut impl Write,
) -> Result<WriterReport, Error> {
    work_until_closed(input, out, move |closed| writer.run(pace, || closed.load(Ordering::Relaxed)))
}

/// Says `ready`, works until the input ends, and says what was done. What works is gone by then.
pub(crate) fn work_until_closed(
    mut input: impl Read + Send,
    out: &mut impl Write,
    work: impl FnOnce(&AtomicBool) -> WriterReport,
) -> Result<WriterReport, Error> {
    say(out, "ready")?;
    let closed = AtomicBool::new(false);
    let report = thread::scope(|scope| {
        scope.spawn(|| {
            // Either way the other end is gone, and so is the reason to go on.
            let _ = io::copy(&mut input, &mut io::sink());
            closed.store(true, Ordering::Relaxed);
        });
        work(&closed)
    });
    say(out, &report.to_string())?;
    Ok(report)
}

fn say(out: &mut impl Write, line: &str) -> Result<(), Error> {
    writeln!(out, "{line}")
        .and_then(|()| out.flush())
        .map_err(Error::io("write", Path::new("report")))
}
