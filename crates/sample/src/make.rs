//! Making a data directory in one go.

use std::fs;
use std::path::Path;

use rusqlite::{Connection, params};

use crate::attach::{self, Upload};
use crate::error::Error;
use crate::ledger;
use crate::media::{self, Format};
use crate::moment::{DAY_S, Moment};
use crate::names::{self, LANDMARK};
use crate::parts::{self, Part};
use crate::plan::{self, Plan};
use crate::rng::Rng;
use crate::schema::{self, ALEMBIC_HEAD, ATTACHMENTS, TABLES};
use crate::spec::Spec;
use crate::stock::{self, Change, Holding, Recorder};

/// What [`make`] made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Rows in `components`.
    pub components: usize,
    /// Rows in `stock_transactions`.
    pub transactions: usize,
    /// Rows in `attachments`.
    pub attachments: usize,
    /// Attachments whose bytes equal those of an earlier one.
    pub duplicates: usize,
    /// Files that no row names.
    pub orphans: usize,
    /// Files below `attachments/`, thumbnails and orphans included.
    pub files: usize,
    /// Their bytes.
    pub file_bytes: u64,
    /// Size of `partshub.db` in bytes; there is no write-ahead log yet.
    pub database_bytes: u64,
    /// `file_path` of the attachment that neither writer nor evolution touches, relative to `attachments/`.
    pub landmark: String,
}

const HISTORY_DAYS: i64 = 900;
/// Bytes of the password hash shown in `users`; no password has it.
const NO_PASSWORD: &str = "$2b$12$................................................";

/// Makes `partshub.db` (WAL, 4,096-byte pages, no log) and `attachments/` in `data_dir`, which is
/// created when missing. Refuses a directory that has a database.
pub fn make(spec: &Spec, data_dir: &Path) -> Result<Report, Error> {
    let path = schema::database_path(data_dir);
    if path.exists() {
        return Err(Error::Exists { path });
    }
    let root = data_dir.join(ATTACHMENTS);
    fs::create_dir_all(&root).map_err(Error::io("create", &root))?;
    let conn = schema::create(&path)?;
    let mut report = Maker::new(spec, &conn, &root).load()?;
    conn.execute_batch("PRAGMA journal_mode = WAL").map_err(Error::sql("switch to WAL"))?;
    conn.close().map_err(|(_, source)| Error::Sql { doing: "close the database", source })?;
    report.database_bytes = fs::metadata(&path).map_err(Error::io("look at", &path))?.len();
    Ok(report)
}

struct Maker<'a> {
    spec: &'a Spec,
    conn: &'a Connection,
    root: &'a Path,
    start: Moment,
    /// First moment of the history.
    origin: Moment,
}

impl<'a> Maker<'a> {
    fn new(spec: &'a Spec, conn: &'a Connection, root: &'a Path) -> Self {
        let start = Moment(spec.start_unix_s);
        Self { spec, conn, root, start, origin: start.plus(-HISTORY_DAYS * DAY_S) }
    }

    fn rng(&self, stream: &str) -> Rng {
        Rng::new(self.spec.seed, stream)
    }

    fn load(&self) -> Result<Report, Error> {
        self.batch(ledger::LEDGER_TABLE)?;
        self.batch(TABLES)?;
        self.batch("BEGIN")?;
        self.people()?;
        let places = self.places()?;
        let parts = self.parts()?;
        self.stock(&parts, &places)?;
        let report = self.attachments(&parts)?;
        ledger::install(self.conn, self.spec.seed, self.start)?;
        self.batch("COMMIT")?;
        Ok(report)
    }

    fn batch(&self, sql: &str) -> Result<(), Error> {
        self.conn.execute_batch(sql).map_err(Error::sql("run the schema"))
    }

    fn insert(&self, sql: &str, values: impl rusqlite::Params) -> Result<(), Error> {
        self.conn.execute(sql, values).map_err(Error::sql("insert a row"))?;
        Ok(())
    }

    /// Revision, users, categories and tags.
    fn people(&self) -> Result<(), Error> {
        let mut rng = self.rng("people");
        let at = self.origin.text();
        self.insert("INSERT INTO alembic_version VALUES (?1)", [ALEMBIC_HEAD])?;
        for (name, admin) in [("admin", true), ("workshop", false)] {
            self.insert(
                "INSERT INTO users VALUES (?1, ?2, NULL, ?3, 1, ?4, 0, NULL, ?5, ?5)",
                params![rng.uuid(), name, NO_PASSWORD, admin, at],
            )?;
        }
        for (order, kind) in (0_i64..).zip(&names::KINDS) {
            self.insert(
                "INSERT INTO categories (id, name, sort_order, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?4)",
                params![rng.uuid(), kind.name, order, at],
            )?;
        }
        for tag in names::TAGS {
            self.insert(
                "INSERT INTO tags (id, name, is_system_tag, created_at, updated_at)
                 VALUES (?1, ?2, '0', ?3, ?3)",
                params![rng.uuid(), tag, at],
            )?;
        }
        Ok(())
    }

    /// A room, cabinets in it, ten bins in each; returns the ids of the bins.
    fn places(&self) -> Result<Vec<String>, Error> {
        let mut rng = self.rng("places");
        let room = self.place(&mut rng, "room", None, "Workshop")?;
        let mut bins = Vec::new();
        let mut cabinet = String::new();
        for number in 0..(self.spec.components / 6).max(6) {
            let path = format!("Workshop/Cabinet {}", number / 10 + 1);
            if number % 10 == 0 {
                cabinet = self.place(&mut rng, "cabinet", Some(&room), &path)?;
            }
            let bin = format!("{path}/Bin {}", number + 1);
            bins.push(self.place(&mut rng, "bin", Some(&cabinet), &bin)?);
        }
        Ok(bins)
    }

    fn place(
        &self,
        rng: &mut Rng,
        kind: &str,
        parent: Option<&str>,
        path: &str,
    ) -> Result<String, Error> {
        let id = rng.uuid();
        let name = path.rsplit('/').next().unwrap_or(path);
        self.insert(
            "INSERT INTO storage_locations (id, name, type, parent_id, location_hierarchy,
               qr_code_id, created_at, updated_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?7)",
            params![id, name, kind, parent, path, format!("LOC-{id:.8}"), self.origin.text()],
        )?;
        Ok(id)
    }

    /// Components with their tags; the first one owns the landmark.
    fn parts(&self) -> Result<Vec<Part>, Error> {
        let mut rng = self.rng("parts");
        let mut made = Vec::with_capacity(self.spec.components);
        for index in 0..self.spec.components.max(1) {
            let number = (index == 0).then_some("NE555P");
            let at = self.origin.plus(rng.between(0, (HISTORY_DAYS - 5) * DAY_S));
            let part = parts::insert(self.conn, &mut rng, number, at)?;
            if rng.chance(60) {
                self.insert(
                    "INSERT INTO component_tags SELECT ?1, id, ?2 FROM tags WHERE name = ?3",
                    params![part.id, at.text(), rng.pick(&names::TAGS)],
                )?;
            }
            made.push(part);
        }
        Ok(made)
    }

    /// One or two holdings a component, and the history that led to what is on them.
    fn stock(&self, parts: &[Part], places: &[String]) -> Result<(), Error> {
        let mut rng = self.rng("stock");
        let mut holdings: Vec<Holding> = Vec::new();
        for part in parts {
            let first = rng.index(places.len());
            for offset in 0..=rng.index(2) {
                holdings.push(Holding {
                    id: rng.uuid(),
                    component: part.id.clone(),
                    place: places[(first + offset) % places.len()].clone(),
                    quantity: 0,
                });
            }
        }
        self.history(&mut rng, &mut holdings)?;
        holdings.iter().try_for_each(|holding| self.holding(&mut rng, holding))
    }

    fn history(&self, rng: &mut Rng, holdings: &mut [Holding]) -> Result<(), Error> {
        let mut recorder = Recorder::new(self.conn)?;
        let rows = i64::try_from(self.spec.transactions).unwrap_or(i64::MAX);
        for row in 0..rows {
            let at = self.origin.plus(HISTORY_DAYS * DAY_S / rows * row);
            let index = rng.index(holdings.len());
            let holding = &mut holdings[index];
            let new = stock::next_quantity(rng, holding.quantity);
            recorder.add(rng, &Change::to_quantity(holding, new, at))?;
            holding.quantity = new;
        }
        Ok(())
    }

    fn holding(&self, rng: &mut Rng, holding: &Holding) -> Result<(), Error> {
        let threshold = if rng.chance(15) { 50 } else { 0 };
        self.insert(
            "INSERT INTO component_locations (id, component_id, storage_location_id,
               quantity_on_hand, quantity_ordered, minimum_stock, created_at, updated_at,
               reorder_threshold, reorder_enabled) VALUES (?1, ?2, ?3, ?4, 0, 5, ?5, ?5, ?6, ?6 > 0)",
            params![
                holding.id,
                holding.component,
                holding.place,
                holding.quantity,
                self.origin.text(),
                threshold
            ],
        )
    }

    fn attachments(&self, parts: &[Part]) -> Result<Report, Error> {
        let mut rng = self.rng("attachments");
        let plan = Plan::draw(&mut rng, self.spec);
        let mut report = self.empty_report(parts.len());
        for index in 0..self.spec.attachments {
            let source = plan.source[index];
            report.duplicates += usize::from(source != index);
            let part = if index == 0 { &parts[0] } else { &parts[rng.index(parts.len())] };
            let mut upload = self.document(source, plan.target_bytes[source], part);
            let at = self.origin.plus(rng.between(DAY_S, (HISTORY_DAYS - 1) * DAY_S));
            if index == 0 {
                LANDMARK.clone_into(&mut upload.original);
            }
            let stored = attach::store(self.root, &mut rng, &upload, Some(at))?;
            attach::insert(self.conn, &mut rng, &upload, &stored, at)?;
            report.count(&upload, &stored);
            if index == 0 {
                report.landmark = stored.file_path;
            }
        }
        self.orphans(&mut rng, &mut report)?;
        Ok(report)
    }

    /// The document number `source`, whoever has it attached: drawn from a stream of its own.
    fn document(&self, source: usize, target: usize, part: &Part) -> Upload {
        let mut rng = self.rng(&format!("document/{source}"));
        let format = plan::format_of(source);
        let bytes = media::document(format, &mut rng, target, &format!("Document {source}"));
        Upload::of(&mut rng, part, format, bytes)
    }

    /// Files that components left behind when they were deleted: one in a hundred.
    fn orphans(&self, rng: &mut Rng, report: &mut Report) -> Result<(), Error> {
        let count = self.spec.attachments.div_ceil(112);
        for _ in 0..count {
            let gone = Part { id: rng.uuid(), number: names::part_number(rng) };
            let upload = Upload::draw(rng, &gone, Format::Pdf, self.average_bytes() / 2);
            let stored = attach::store(self.root, rng, &upload, Some(self.origin))?;
            report.files += 1;
            report.file_bytes += stored.bytes;
        }
        report.orphans = count;
        Ok(())
    }

    fn average_bytes(&self) -> usize {
        let total = usize::try_from(self.spec.attachment_bytes).unwrap_or(usize::MAX);
        total / self.spec.attachments.max(1)
    }

    fn empty_report(&self, components: usize) -> Report {
        Report {
            components,
            transactions: self.spec.transactions,
            attachments: 0,
            duplicates: 0,
            orphans: 0,
            files: 0,
            file_bytes: 0,
            database_bytes: 0,
            landmark: String::new(),
        }
    }
}

impl Report {
    fn count(&mut self, upload: &Upload, stored: &attach::Stored) {
        self.attachments += 1;
        self.files += 1 + usize::from(upload.format.is_image());
        self.file_bytes += stored.bytes;
    }
}
