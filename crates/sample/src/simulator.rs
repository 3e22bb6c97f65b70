//! Applications by the order in which they change files and rows, at a rate that makes every window between the two visible.
//!
//! A database `app.db` has the table `documents(path, size)`; the files are below `files/`. The application touches its own
//! documents only, one connection, each statement its own commit. Nothing is synced: the order is what matters here.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags, params};

use crate::error::Error;
use crate::report::WriterReport;
use crate::rng::Rng;
use crate::writer::{Pace, wait, whole_ms, whole_text, work_until_closed};

/// The database's name.
pub const DATABASE: &str = "app.db";

/// The directory that paths are relative to.
pub const FILES: &str = "files";

/// Which files the rows name: path and size in bytes.
pub const QUERY: &str = "SELECT path, size FROM documents";

/// Deletes and rewrites aim at these most recent documents half of the time: what a snapshot is about to look at.
const YOUNG: usize = 20;

/// Lengths of documents.
const BYTES: std::ops::Range<usize> = 500..6_000;

/// How long a row of [`Discipline::RowFirst`] waits for its file.
const GAP: Duration = Duration::from_millis(3);

/// In which order an application changes a file and its row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discipline {
    /// The file is complete before its row is there, and goes after it.
    FileFirst,
    /// The file is there before its row, and goes before it: a row may name a file that has gone.
    PartsHub,
    /// The row is there before its file, and goes before it.
    RowFirst,
    /// As [`Self::FileFirst`], and files are rewritten in place with another length before their row says so.
    InPlace,
}

impl Discipline {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::FileFirst, Self::PartsHub, Self::RowFirst, Self::InPlace];

    /// Its name on a command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::FileFirst => "file-first",
            Self::PartsHub => "partshub",
            Self::RowFirst => "row-first",
            Self::InPlace => "in-place",
        }
    }

    /// The discipline with this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|discipline| discipline.name() == name)
    }
}

#[derive(Debug, Clone)]
struct Document {
    id: i64,
    path: String,
}

/// An application at work.
#[derive(Debug)]
pub struct Simulator {
    conn: Connection,
    files: PathBuf,
    rng: Rng,
    discipline: Discipline,
    /// Oldest first.
    documents: Vec<Document>,
    report: WriterReport,
}

impl Simulator {
    /// Makes a directory with so many documents, every row with its file.
    pub fn make(dir: &Path, seed: u64, documents: u32) -> Result<(), Error> {
        fs::create_dir_all(dir.join(FILES)).map_err(Error::io("make the directory", dir))?;
        let flags = OpenFlags::default();
        let conn = open(dir, flags)?;
        conn.execute_batch(
            "CREATE TABLE documents (id INTEGER PRIMARY KEY, path TEXT NOT NULL, size INTEGER NOT NULL)",
        )
        .map_err(Error::sql("make the table"))?;
        drop(conn);
        let mut simulator = Self::open(dir, seed, Discipline::FileFirst)?;
        simulator.conn.execute_batch("BEGIN").map_err(Error::sql("begin"))?;
        (0..documents).try_for_each(|_| simulator.add())?;
        simulator.conn.execute_batch("COMMIT").map_err(Error::sql("commit"))
    }

    /// Opens a directory that was made.
    pub fn open(dir: &Path, seed: u64, discipline: Discipline) -> Result<Self, Error> {
        let conn = open(dir, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        let documents = documents(&conn).map_err(Error::sql("read the documents"))?;
        Ok(Self {
            rng: Rng::new(seed, discipline.name()),
            files: dir.join(FILES),
            conn,
            discipline,
            documents,
            report: WriterReport::default(),
        })
    }

    /// Works at this pace, in changes a second, until `until` says true.
    pub fn run(&mut self, pace: Pace, mut until: impl FnMut() -> bool) -> WriterReport {
        let began = Instant::now();
        while !until() {
            let step = Instant::now();
            if let Err(error) = self.step() {
                self.report.errors += 1;
                if self.report.first_error.is_empty() {
                    self.report.first_error = whole_text(&error);
                }
            }
            self.report.slowest_ms = self.report.slowest_ms.max(whole_ms(step.elapsed()));
            wait(pace, began, self.report.commits);
        }
        self.report.elapsed_ms += whole_ms(began.elapsed());
        self.report.clone()
    }

    /// One change of one document.
    fn step(&mut self) -> Result<(), Error> {
        let rewrites = self.discipline == Discipline::InPlace && self.rng.chance(60);
        if rewrites && !self.documents.is_empty() {
            return self.rewrite();
        }
        // As many come as go, on average.
        if self.documents.len() < YOUNG || self.rng.chance(50) { self.add() } else { self.remove() }
    }

    fn add(&mut self) -> Result<(), Error> {
        let name = self.rng.uuid();
        let path = format!("{}/{name}.txt", name.get(..2).unwrap_or("xx"));
        let bytes = self.bytes();
        let size = bytes.len();
        let id = if self.discipline == Discipline::RowFirst {
            let id = self.insert(&path, size)?;
            std::thread::sleep(GAP);
            self.write(&path, &bytes)?;
            id
        } else {
            self.write(&path, &bytes)?;
            self.insert(&path, size)?
        };
        self.documents.push(Document { id, path });
        self.report.uploads += 1;
        Ok(())
    }

    fn remove(&mut self) -> Result<(), Error> {
        let at = self.pick();
        let document = self.documents.remove(at);
        if self.discipline == Discipline::PartsHub {
            self.unlink(&document)?;
            self.delete(&document)?;
        } else {
            self.delete(&document)?;
            self.unlink(&document)?;
        }
        self.report.deletes += 1;
        Ok(())
    }

    /// The same inode, another length; then the row.
    fn rewrite(&mut self) -> Result<(), Error> {
        let at = self.pick();
        let Some(document) = self.documents.get(at).cloned() else { return Ok(()) };
        let bytes = self.bytes();
        self.write(&document.path, &bytes)?;
        let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        self.commit("UPDATE documents SET size = ?1 WHERE id = ?2", params![size, document.id])?;
        self.report.moves += 1;
        Ok(())
    }

    fn pick(&mut self) -> usize {
        let all = self.documents.len();
        if self.rng.chance(50) {
            return all - 1 - self.rng.index(all.min(YOUNG));
        }
        self.rng.index(all)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut bytes = vec![0; BYTES.start + self.rng.index(BYTES.len())];
        self.rng.fill(&mut bytes);
        bytes
    }

    fn insert(&mut self, path: &str, size: usize) -> Result<i64, Error> {
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        self.commit("INSERT INTO documents (path, size) VALUES (?1, ?2)", params![path, size])?;
        Ok(self.conn.last_insert_rowid())
    }

    fn delete(&mut self, document: &Document) -> Result<(), Error> {
        self.commit("DELETE FROM documents WHERE id = ?1", params![document.id])
    }

    fn commit(&mut self, sql: &str, values: impl rusqlite::Params) -> Result<(), Error> {
        self.conn.execute(sql, values).map_err(Error::sql("change a document"))?;
        self.report.commits += 1;
        Ok(())
    }

    fn write(&self, path: &str, bytes: &[u8]) -> Result<(), Error> {
        let path = self.files.join(path);
        if let Some(dir) = path.parent() {
            fs::create_dir_all(dir).map_err(Error::io("make a directory", dir))?;
        }
        fs::write(&path, bytes).map_err(Error::io("write a file", &path))
    }

    fn unlink(&self, document: &Document) -> Result<(), Error> {
        let path = self.files.join(&document.path);
        fs::remove_file(&path).map_err(Error::io("remove a file", &path))
    }
}

fn open(dir: &Path, flags: OpenFlags) -> Result<Connection, Error> {
    let conn = Connection::open_with_flags(dir.join(DATABASE), flags)
        .map_err(Error::sql("open the database"))?;
    conn.busy_timeout(Duration::from_secs(30)).map_err(Error::sql("set the busy timeout"))?;
    conn.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF")
        .map_err(Error::sql("configure the connection"))?;
    Ok(conn)
}

fn documents(conn: &Connection) -> rusqlite::Result<Vec<Document>> {
    let mut query = conn.prepare("SELECT id, path FROM documents ORDER BY id")?;
    let rows = query.query_map([], |row| Ok(Document { id: row.get(0)?, path: row.get(1)? }))?;
    rows.collect()
}

/// The whole life of such an application in a process of its own; see [`crate::writer::run_until_closed`].
pub fn run_until_closed(
    mut simulator: Simulator,
    pace: Pace,
    input: impl Read + Send,
    out: &mut impl Write,
) -> Result<WriterReport, Error> {
    work_until_closed(input, out, move |closed| {
        simulator.run(pace, || closed.load(Ordering::Relaxed))
    })
}

/// The oracle: paths of the rows whose file a copy of the directory has not, or has with another length; ascending.
pub fn dangling(dir: &Path) -> Result<Vec<String>, Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let rows = Connection::open_with_flags(dir.join(DATABASE), flags).and_then(|conn| {
        let mut query = conn.prepare(QUERY)?;
        let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        rows.collect::<rusqlite::Result<Vec<(String, i64)>>>()
    });
    let rows = rows.map_err(Error::sql("read the documents"))?;
    let is_there = |(path, size): &(String, i64)| {
        let found = fs::symlink_metadata(dir.join(FILES).join(path));
        found.is_ok_and(|file| file.is_file() && i64::try_from(file.len()) == Ok(*size))
    };
    let mut dangling: Vec<String> =
        rows.into_iter().filter(|row| !is_there(row)).map(|(path, _)| path).collect();
    dangling.sort();
    Ok(dangling)
}
