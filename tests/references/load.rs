//! Snapshots of applications at work: a clean one has every file that its rows name, and any other one lists exactly those that it
//! has not. Judged by an oracle that knows nothing of larder.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use larder::codec::snapshot::{FindingKind, Outcome};
use larder::host::Host;
use larder::observe::Unobserved;
use larder::ops::backup::{BackupOptions, BackupReport, backup};
use larder::snapshot::archive::capture::Capture;
use larder::sqlite::capture::capture;
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::options::{CaptureOptions, HelperCommand};
use larder::sqlite::questions::{BaseDir, ReferenceQuery};
use larder_sample::simulator::{
    DATABASE, Discipline, FILES, QUERY, Simulator, dangling, run_until_closed,
};
use larder_sample::writer::Pace;
use larder_testkit::campaign::seeds;
use larder_testkit::host::TestHost;

use crate::live::processes::LiveWriter;
use crate::references::rig::first_set;
use crate::round_trip::World;

/// Tells this test program, started again, what to be: discipline, rate and directory.
const SIMULATOR: &str = "LARDER_TEST_SIMULATOR";

const DOCUMENTS: u32 = 400;

/// The clock of this machine; names and randomness from a seed.
#[derive(Debug)]
struct Machine(TestHost);

impl Host for Machine {
    fn now_ns(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        i64::try_from(since.as_nanos()).unwrap()
    }

    /// The application works meanwhile: that is what is waited for.
    fn pause(&self, time: Duration) {
        thread::sleep(time);
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        self.0.fill_random(buffer);
    }

    fn name(&self) -> String {
        self.0.name()
    }

    fn user(&self) -> String {
        self.0.user()
    }

    fn pid(&self) -> u32 {
        self.0.pid()
    }

    fn command(&self) -> String {
        self.0.command()
    }
}

struct Helper<'h> {
    command: HelperCommand,
    spool: PathBuf,
    host: &'h Machine,
}

impl Capture for Helper<'_> {
    fn capture(&self, path: &Path, questions: &[ReferenceQuery]) -> Result<Captured, CaptureError> {
        let options = CaptureOptions {
            helper: &self.command,
            spool_dir: &self.spool,
            wait: Duration::from_secs(10),
            silence: Duration::from_mins(1),
            min_free_bytes: 0,
            questions,
            now_ns: &|| self.host.now_ns(),
            elapsed: &|| Duration::ZERO,
            observer: &Unobserved,
        };
        capture(&options, path)
    }
}

/// What a run of snapshots came to.
#[derive(Debug, Default)]
struct Came {
    snapshots: u64,
    clean: u64,
    dangling: usize,
    rounds: u32,
    most_rounds: u32,
}

fn query() -> ReferenceQuery {
    ReferenceQuery {
        name: "documents".into(),
        database: Some(DATABASE.into()),
        needs: Vec::new(),
        base: BaseDir::BelowRoot(FILES.into()),
        sql: QUERY.into(),
    }
}

/// Takes snapshots of an application of this discipline, and holds each against the oracle.
fn under_load(discipline: Discipline, rate: u32, seeds: Range<u64>) -> Came {
    let world = World::new(seeds.start.wrapping_add(500));
    let source = world.path("source");
    Simulator::make(&source, seeds.start, DOCUMENTS).unwrap();
    let application = start(discipline, rate, &source);
    let mut came = Came::default();
    for seed in seeds {
        let report = snapshot(&world, seed);
        judge(&world, &report, &mut came);
    }
    let report = application.finish();
    eprintln!("{}: {report}", discipline.name());
    eprintln!("{}: {came:?}", discipline.name());
    assert_eq!((report.errors, report.first_error.as_str()), (0, ""));
    assert!(report.commits > came.snapshots * 10, "the application stood still: {report}");
    came
}

fn snapshot(world: &World, seed: u64) -> BackupReport {
    let host = Machine(TestHost::seeded(seed.wrapping_add(1 << 40)));
    let command = HelperCommand::of(env!("CARGO_BIN_EXE_larder"));
    let helper = Helper { command, spool: world.path("spool"), host: &host };
    let options =
        BackupOptions { references: vec![query()], built_in_references: false, ..world.options() };
    backup(&world.repository(), &options, &helper, &host, &Unobserved).unwrap()
}

fn judge(world: &World, report: &BackupReport, came: &mut Came) {
    let restored = world.restore("restored");
    let by_oracle: BTreeSet<String> = dangling(&restored).unwrap().into_iter().collect();
    let named = report.record.findings.iter().filter(|it| it.kind == FindingKind::Dangling);
    let below = |subject: &[u8]| {
        let path = String::from_utf8(subject.to_vec()).unwrap();
        path.strip_prefix(&format!("{FILES}/")).unwrap().to_owned()
    };
    let listed: BTreeSet<String> = named.map(|it| below(&it.subject)).collect();
    assert_eq!(listed, by_oracle, "the list and the oracle");
    let set = first_set(report);
    assert_eq!(set.failure, None);
    assert_eq!(set.named - set.present, by_oracle.len() as u64);
    let clean = report.record.outcome == Outcome::Clean;
    assert!(!clean || by_oracle.is_empty());
    // What is not dangling may still have been caught while it was written: a file that no row names yet.
    let other = |it: &&larder::codec::snapshot::Finding| it.kind != FindingKind::Dangling;
    for finding in report.record.findings.iter().filter(other) {
        assert!(finding.message.contains("kept changing"), "{finding:?}");
    }
    came.snapshots += 1;
    came.clean += u64::from(clean);
    came.dangling += by_oracle.len();
    came.rounds += set.rounds;
    came.most_rounds = came.most_rounds.max(set.rounds);
    fs::remove_dir_all(restored).unwrap();
}

/// This test program again, as an application: it has the database open, which a process that walks files must not.
fn start(discipline: Discipline, rate: u32, dir: &Path) -> LiveWriter {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["references::load::simulator_process", "--exact", "--nocapture"]);
    let what = format!("{} {rate} {}", discipline.name(), dir.display());
    LiveWriter::run(command.args(["--ignored", "-q"]).env(SIMULATOR, what))
}

#[test]
#[ignore = "the application of other tests, in a process of its own"]
fn simulator_process() {
    let Ok(what) = std::env::var(SIMULATOR) else { return };
    let mut words = what.splitn(3, ' ');
    let discipline = Discipline::named(words.next().unwrap()).unwrap();
    let rate = words.next().unwrap().parse().unwrap();
    let dir = Path::new(words.next().unwrap());
    let simulator = Simulator::open(dir, 7, discipline).unwrap();
    let pace = Pace::CommitsPerSecond(rate);
    run_until_closed(simulator, pace, io::stdin(), &mut io::stdout()).unwrap();
}

#[test]
fn references_of_an_application_that_writes_files_first_hold_or_are_listed() {
    let came = under_load(Discipline::FileFirst, 400, seeds("references", 12));
    // Where the machine is slow against the application, eight rounds may not be enough: then the list is exact.
    assert!(came.clean * 4 >= came.snapshots * 3, "{came:?}");
}

#[test]
fn references_hold_or_are_listed_at_two_thousand_changes_a_second() {
    under_load(Discipline::FileFirst, 2000, 0..4);
}

#[test]
fn references_of_a_partshub_hold_or_are_listed() {
    let came = under_load(Discipline::PartsHub, 500, 0..8);
    assert!(came.clean * 2 >= came.snapshots, "{came:?}");
}

#[test]
fn references_of_an_application_that_writes_rows_first_hold_or_are_listed() {
    let came = under_load(Discipline::RowFirst, 250, 0..6);
    assert!(came.clean > 0, "{came:?}");
}

#[test]
fn references_of_files_that_are_rewritten_in_place_hold_or_are_listed() {
    under_load(Discipline::InPlace, 500, 0..6);
}
