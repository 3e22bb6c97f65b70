//! One day of ordinary life, without pacing.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::attach::{self, Upload};
use crate::error::Error;
use crate::ledger::{self, Kind};
use crate::media::Format;
use crate::moment::{DAY_S, Moment};
use crate::parts;
use crate::rng::Rng;
use crate::schema::{self, ATTACHMENTS};
use crate::stock::{self, Change, Recorder};

/// What happened on a day.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DayReport {
    /// The day's number; day 0 is the day on which the sample was made.
    pub day: u32,
    /// Stock transactions.
    pub transactions: u64,
    /// Attachments added.
    pub uploads: u64,
    /// Bytes of their files.
    pub upload_bytes: u64,
    /// Attachments deleted, files and rows.
    pub deletes: u64,
    /// Components added.
    pub components: u64,
    /// Components edited.
    pub edits: u64,
    /// Components deleted; their files stay behind.
    pub retired: u64,
}

/// Things that people do in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Deed {
    Stock,
    Edit,
    Upload,
    Delete,
    Component,
    Retire,
}

/// Deeds per commit: a day is over quickly, and a writer beside it is never kept waiting long.
const BATCH: usize = 16;
/// A component is retired only while at least this many are left.
const KEEP_COMPONENTS: i64 = 20;

/// Lets day number `day` pass in the directory, in proportion to its size. The write-ahead log is
/// left as it is, as by an application that goes on running or is killed; [`close`](crate::close)
/// removes it. A live writer may run beside it.
pub fn evolve(data_dir: &Path, day: u32, seed: u64) -> Result<DayReport, Error> {
    let mut conn = schema::open(data_dir)?;
    schema::keep_wal_on_close(&conn)?;
    let head = ledger::head(&conn).map_err(Error::sql("read the ledger"))?;
    // The commit counter keeps a day that is lived twice from repeating its ids.
    let mut rng = Rng::new(seed, &format!("day/{day}/{}", head.commits));
    let deeds = agenda(&conn, &mut rng, head.stock_rows)?;
    let morning = head.start().plus(i64::from(day) * DAY_S + 8 * 3_600);
    let step = 12 * 3_600 / i64::try_from(deeds.len().max(1)).unwrap_or(i64::MAX);
    let mut today = Day {
        root: data_dir.join(ATTACHMENTS),
        now: morning,
        report: DayReport { day, ..DayReport::default() },
    };
    for batch in deeds.chunks(BATCH) {
        ledger::commit(&mut conn, &mut rng, Kind::Day, |db, rng| {
            batch.iter().try_for_each(|deed| {
                today.now = today.now.plus(step);
                today.perform(db, rng, *deed)
            })
        })?;
    }
    Ok(today.report)
}

/// The day's deeds in a drawn order: one to two and a half percent more stock rows, and little else.
fn agenda(conn: &Connection, rng: &mut Rng, stock_rows: i64) -> Result<Vec<Deed>, Error> {
    let components: i64 = conn
        .query_one("SELECT count(*) FROM components", [], |row| row.get(0))
        .map_err(Error::sql("count the components"))?;
    let retire = components > KEEP_COMPONENTS && rng.chance(15);
    let counts = [
        (Deed::Stock, rng.between(stock_rows / 100, stock_rows / 40).max(4)),
        (Deed::Edit, rng.between(components / 200, components / 50).max(1)),
        (Deed::Upload, rng.between(1, 4)),
        (Deed::Delete, rng.between(0, 2)),
        (Deed::Component, rng.between(0, 2)),
        (Deed::Retire, i64::from(retire)),
    ];
    let mut deeds = Vec::new();
    for (deed, count) in counts {
        deeds.extend((0..count).map(|_| deed));
    }
    rng.shuffle(&mut deeds);
    Ok(deeds)
}

struct Day {
    root: PathBuf,
    now: Moment,
    report: DayReport,
}

impl Day {
    fn perform(&mut self, db: &Connection, rng: &mut Rng, deed: Deed) -> Result<(), Error> {
        match deed {
            Deed::Stock => self.stock(db, rng),
            Deed::Edit => self.edit(db, rng),
            Deed::Upload => self.upload(db, rng),
            Deed::Delete => self.delete(db, rng),
            Deed::Component => self.component(db, rng),
            Deed::Retire => self.retire(db, rng),
        }
    }

    fn stock(&mut self, db: &Connection, rng: &mut Rng) -> Result<(), Error> {
        let Some(holding) = stock::random_holding(db, rng)? else { return Ok(()) };
        let new = stock::next_quantity(rng, holding.quantity);
        stock::set_quantity(db, &holding, new, self.now)?;
        stock::touch_place(db, rng, &holding, self.now)?;
        Recorder::new(db)?.add(rng, &Change::to_quantity(&holding, new, self.now))?;
        stock::login(db, rng, self.now)?;
        self.report.transactions += 1;
        Ok(())
    }

    fn edit(&mut self, db: &Connection, rng: &mut Rng) -> Result<(), Error> {
        if let Some(part) = parts::random(db, rng)? {
            parts::edit(db, rng, &part, self.now)?;
            self.report.edits += 1;
        }
        Ok(())
    }

    fn upload(&mut self, db: &Connection, rng: &mut Rng) -> Result<(), Error> {
        let Some(part) = parts::random(db, rng)? else { return Ok(()) };
        let format = [Format::Pdf, Format::Jpeg, Format::Png][rng.index(3)];
        let target = average_bytes(db)? / 4 + rng.index(30_000);
        let upload = Upload::draw(rng, &part, format, target);
        let stored = attach::store(&self.root, rng, &upload, Some(self.now))?;
        attach::insert(db, rng, &upload, &stored, self.now)?;
        self.report.uploads += 1;
        self.report.upload_bytes += stored.bytes;
        Ok(())
    }

    fn delete(&mut self, db: &Connection, rng: &mut Rng) -> Result<(), Error> {
        if let Some(row) = attach::random_row(db, rng)? {
            attach::unlink(&self.root, &row)?;
            attach::delete_row(db, &row)?;
            self.report.deletes += 1;
        }
        Ok(())
    }

    fn component(&mut self, db: &Connection, rng: &mut Rng) -> Result<(), Error> {
        parts::insert(db, rng, None, self.now)?;
        self.report.components += 1;
        Ok(())
    }

    fn retire(&mut self, db: &Connection, rng: &mut Rng) -> Result<(), Error> {
        if let Some(part) = parts::random(db, rng)? {
            self.report.retired += u64::from(parts::delete(db, &part)?);
        }
        Ok(())
    }
}

/// Deletes one attachment as the application does, files first, then the row. `file_path` is
/// relative to `attachments/`; false when no row has it. A live writer may run beside it.
pub fn delete_attachment(data_dir: &Path, file_path: &str) -> Result<bool, Error> {
    let mut conn = schema::open(data_dir)?;
    schema::keep_wal_on_close(&conn)?;
    let Some(row) = attach::row_of(&conn, file_path)? else { return Ok(false) };
    attach::unlink(&data_dir.join(ATTACHMENTS), &row)?;
    let mut rng = Rng::new(0, file_path);
    ledger::commit(&mut conn, &mut rng, Kind::Delete, |db, _| attach::delete_row(db, &row))?;
    Ok(true)
}

fn average_bytes(db: &Connection) -> Result<usize, Error> {
    let average: i64 = db
        .query_one("SELECT coalesce(sum(file_size) / count(*), 0) FROM attachments", [], |row| {
            row.get(0)
        })
        .map_err(Error::sql("read the attachments' sizes"))?;
    Ok(usize::try_from(average).unwrap_or(0).min(200_000))
}
