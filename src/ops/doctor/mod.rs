//! A look at a directory that is about to be saved, or that is saved already: what is in it, and what should be mended.
//!
//! Here live the steps (`tree` walks, `outcome` compares what rows name with what is there, `detect` finds columns that name files,
//! `place` looks at disks, `concerns` says what should be mended). Not here: anything printed, and the repository's contents.
//!
//! Invariant: nothing is written beside the spool, and no lock is held that a writer would wait for: databases are looked at through
//! the same capture as in a backup.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel, JournalMode, Knowledge};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::observe::{Observer, Phase, Total};
use crate::ops::spool::SpoolDir;
use crate::repo::space::MinFree;
use crate::sqlite::captured::CaptureError;
use crate::sqlite::in_use::{Holder, holders, is_in_use};
use crate::sqlite::inspect::{Inspected, inspect};
use crate::sqlite::options::{CaptureOptions, DEFAULT_SILENCE, HelperCommand};
use crate::sqlite::questions::{Answer, ReferenceQuery, built_in};

mod concerns;
mod detect;
mod outcome;
mod place;
mod sql;
mod tree;

pub use concerns::{Concern, ConcernKind, concerns};
pub use detect::PathColumn;
pub use outcome::{Examined, Names, Origin};
pub use place::{Place, Surroundings};
use tree::Tree;

/// Where to look, and with what.
pub struct DoctorOptions<'a> {
    /// The directory, absolute.
    pub dir: PathBuf,
    /// The repository that a backup would go into, which need not exist.
    pub repository: Option<PathBuf>,
    /// Directories that are never entered, by device and inode.
    pub never_enter: Vec<(u64, u64)>,
    /// Where databases are captured to meanwhile.
    pub spool_dir: PathBuf,
    /// The capture helper.
    pub helper: &'a HelperCommand,
    /// How long a writer's lock is waited for.
    pub wait: Duration,
    /// Bytes that stay free on the spool's disk.
    pub min_free: MinFree,
    /// Queries of the configuration.
    pub references: Vec<ReferenceQuery>,
    /// Ask the built-in queries, too.
    pub built_in_references: bool,
}

/// What was found.
#[derive(Debug)]
pub struct DoctorReport {
    /// The directory.
    pub dir: PathBuf,
    /// Regular files in it, databases and what `SQLite` keeps beside them included.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// The databases, by path.
    pub databases: Vec<ExaminedDatabase>,
    /// Queries of the configuration for databases that are not here.
    pub unmatched: Vec<String>,
    /// What cannot be read, with the reason.
    pub unreadable: Vec<(Vec<u8>, String)>,
    /// Disks, containers and file systems around it.
    pub surroundings: Surroundings,
}

/// A database of the directory.
#[derive(Debug)]
pub struct ExaminedDatabase {
    /// Its path, relative to the directory.
    pub path: Vec<u8>,
    /// Bytes of the file itself.
    pub file_bytes: u64,
    /// Processes that have it open, as far as this one may see.
    pub holders: Vec<Holder>,
    /// Somebody has a lock on it.
    pub is_in_use: bool,
    /// What a capture of it gave, or why there is none.
    pub state: std::result::Result<State, String>,
    /// What its rows name: by the built-in and configured queries, then what was found by looking.
    pub references: Vec<Examined>,
    /// Columns whose values look like paths of files, of which none is here.
    pub elsewhere: Vec<PathColumn>,
}

/// What a capture gave.
#[derive(Debug, Clone)]
pub struct State {
    /// What kind of state it is.
    pub label: DatabaseLabel,
    /// How it was obtained.
    pub method: CaptureMethod,
    /// How its writers work.
    pub journal_mode: JournalMode,
    /// Bytes a page; 0 when unknown.
    pub page_size: u32,
    /// Pages; 0 when unknown.
    pub page_count: u64,
    /// Bytes captured: file and log together.
    pub len: u64,
    /// What `quick_check` said.
    pub check: CheckResult,
    /// What is inside.
    pub knowledge: Option<Knowledge>,
}

/// Looks at a directory.
pub fn doctor(
    options: &DoctorOptions<'_>,
    host: &dyn Host,
    observer: &dyn Observer,
) -> Result<DoctorReport> {
    observer.begin(Phase::Files, None);
    let tree = Tree::walk(&options.dir, &options.never_enter, observer)?;
    let total = Total {
        items: tree.databases.len() as u64,
        bytes: tree.databases.values().sum(),
        estimated: false,
    };
    observer.begin(Phase::Databases, Some(total));
    let examination =
        Examination { options, tree: &tree, host, observer, proposed: RefCell::default() };
    let mut databases = Vec::new();
    for (path, len) in &tree.databases {
        databases.push(examination.database(path, *len)?);
        observer.advance(1, *len);
    }
    let states = databases.iter().filter_map(|it| it.state.as_ref().ok());
    let sizes: Vec<u64> = states.map(|it| it.len).collect();
    Ok(DoctorReport {
        dir: options.dir.clone(),
        files: tree.all_files,
        bytes: tree.all_bytes,
        unmatched: unmatched(options, &tree),
        unreadable: tree.unreadable.clone(),
        surroundings: place::look(options, &sizes),
        databases,
    })
}

/// Names of configured queries whose database is not in the tree.
fn unmatched(options: &DoctorOptions<'_>, tree: &Tree) -> Vec<String> {
    let queries = options.references.iter();
    let missing = queries.filter(|query| {
        query.database.as_ref().is_some_and(|path| !tree.databases.contains_key(path))
    });
    missing.map(|query| query.name.clone()).collect()
}

struct Examination<'a> {
    options: &'a DoctorOptions<'a>,
    tree: &'a Tree,
    host: &'a dyn Host,
    observer: &'a dyn Observer,
    /// Names of the queries that were proposed for earlier databases.
    proposed: RefCell<Vec<String>>,
}

impl Examination<'_> {
    fn database(&self, path: &[u8], file_bytes: u64) -> Result<ExaminedDatabase> {
        let full = tree::below(&self.options.dir, path);
        let questions = self.questions(path);
        let mut examined = ExaminedDatabase {
            path: path.to_vec(),
            file_bytes,
            holders: holders(&full).unwrap_or_default(),
            is_in_use: std::fs::File::open(&full).and_then(is_in_use).unwrap_or(false),
            state: Err(String::new()),
            references: Vec::new(),
            elsewhere: Vec::new(),
        };
        let inspected = match self.inspect(&full, &questions)? {
            Ok(inspected) => inspected,
            Err(why) => {
                examined.state = Err(why);
                return Ok(examined);
            }
        };
        examined.references = self.known(path, &questions, &inspected.captured.answers);
        self.detect(&mut examined, (&full, &questions), &inspected)?;
        examined.state = Ok(state_of(inspected));
        Ok(examined)
    }

    /// The queries that are put to a database in a backup.
    fn questions(&self, path: &[u8]) -> Vec<ReferenceQuery> {
        let mut questions = if self.options.built_in_references { built_in() } else { Vec::new() };
        questions.extend(self.options.references.iter().cloned());
        questions.retain(|query| query.database.as_ref().is_none_or(|of| of == path));
        questions
    }

    fn known(
        &self,
        path: &[u8],
        questions: &[ReferenceQuery],
        answers: &[Answer],
    ) -> Vec<Examined> {
        let examine = |(query, answer): (&ReferenceQuery, &Answer)| {
            let origin =
                if query.database.is_none() { Origin::BuiltIn } else { Origin::Configured };
            outcome::examine(self.tree, path, (query, origin), answer)
        };
        questions.iter().zip(answers).filter_map(examine).collect()
    }

    /// Finds columns that name files, asks the database for all that they name, and keeps what nobody knew before.
    fn detect(
        &self,
        examined: &mut ExaminedDatabase,
        (full, known): (&Path, &[ReferenceQuery]),
        inspected: &Inspected,
    ) -> Result<()> {
        let found = detect::columns(self.tree, &inspected.columns);
        examined.elsewhere = detect::elsewhere(&inspected.columns, &found, known);
        let bases: Vec<&[u8]> = examined.references.iter().map(|it| &*it.base).collect();
        let new: Vec<_> = found.into_iter().filter(|it| !bases.contains(&&*it.base)).collect();
        if new.is_empty() {
            return Ok(());
        }
        let trials = sql::trials(&new, &inspected.columns);
        let questions: Vec<ReferenceQuery> = trials.iter().map(sql::Trial::question).collect();
        if let Ok(asked) = self.inspect(full, &questions)? {
            let answers = asked.captured.answers;
            let best = sql::best(self.tree, (&examined.path, self.names()), &trials, &answers);
            self.proposed.borrow_mut().extend(best.iter().map(|set| set.query.name.clone()));
            examined.references.extend(best);
        }
        Ok(())
    }

    /// Names that a proposed query cannot have. Those of the built-in ones are taken also while they are switched off.
    fn names(&self) -> Vec<String> {
        let queries = built_in().into_iter().chain(self.options.references.iter().cloned());
        let proposed = self.proposed.borrow();
        queries.map(|query| query.name).chain(proposed.iter().cloned()).collect()
    }

    /// A capture for a look; the inner error is why there is none.
    fn inspect(
        &self,
        full: &Path,
        questions: &[ReferenceQuery],
    ) -> Result<std::result::Result<Inspected, String>> {
        let options = CaptureOptions {
            helper: self.options.helper,
            spool_dir: &self.options.spool_dir,
            wait: self.options.wait,
            silence: DEFAULT_SILENCE,
            min_free_bytes: SpoolDir {
                dir: &self.options.spool_dir,
                min_free: self.options.min_free,
            }
            .reserve_bytes(),
            questions,
            now_ns: &|| self.host.now_ns(),
            elapsed: &|| Duration::from_nanos(self.host.now_ns().unsigned_abs()),
            observer: self.observer,
        };
        match inspect(&options, full) {
            Ok(inspected) => Ok(Ok(inspected)),
            Err(CaptureError::Cancelled { .. }) => Err(Error::Interrupted),
            Err(error) => Ok(Err(error.in_full())),
        }
    }
}

fn state_of(inspected: Inspected) -> State {
    let captured = inspected.captured;
    State {
        label: captured.label,
        method: captured.method,
        journal_mode: captured.journal_mode,
        page_size: captured.page_size,
        page_count: captured.page_count,
        len: captured.len,
        check: captured.check,
        knowledge: captured.knowledge,
    }
}
