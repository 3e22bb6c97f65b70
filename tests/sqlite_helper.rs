//! Helpers that fail, lie, hang or are none; and what the real one does when it is asked directly.

use std::fs;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use larder::codec::snapshot::{CaptureMethod, CheckResult, DatabaseLabel};
use larder::observe::{Observer, Phase, Total, Warning};
use larder::sqlite::captured::{CaptureError, Captured};
use larder::sqlite::options::{HELPER_COMMAND, HelperCommand};
use larder::sqlite::questions::{Answer, built_in};

use crate::sqlite_rig::{Application, Rig, bytes, make_ledger, prove};

const HELLO: &str = r#"echo '{"hello":{"protocol":3}}'; read request; "#;

/// A rig with one sound database and this shell script as its helper.
fn scripted(script: &str) -> (Rig, std::path::PathBuf) {
    let args = vec!["-c".into(), script.into()];
    let helper = HelperCommand { program: "/bin/sh".into(), args };
    let rig = Rig { helper, silence: Duration::from_millis(400), ..Rig::new() };
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    (rig, path)
}

fn no_helper(script: &str) -> String {
    let (rig, path) = scripted(script);
    match rig.try_capture(&path) {
        Err(CaptureError::Helper { what, .. }) => what,
        other => panic!("{script}: {other:?}"),
    }
}

/// A helper that greets and then breaks on this database: its bytes are saved, labelled, and the reason is said.
fn broken(script: &str) -> String {
    labelled(&format!("{HELLO}{script}"))
}

fn labelled(script: &str) -> String {
    let (rig, path) = scripted(script);
    let captured: Captured = rig.capture(&path);
    assert_eq!(captured.label, DatabaseLabel::Opaque);
    assert_eq!(captured.method, CaptureMethod::RawCopy);
    assert!(bytes(&captured) == fs::read(&path).unwrap());
    match captured.check {
        CheckResult::NotRun(why) => why,
        other => panic!("{script}: {other:?}"),
    }
}

#[test]
fn what_is_no_helper_is_an_error_of_this_database() {
    let rig = Rig { helper: HelperCommand::of("/nonexistent/larder"), ..Rig::new() };
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    assert!(matches!(rig.try_capture(&path), Err(CaptureError::Helper { .. })));
    assert!(no_helper("echo Welcome to something else").contains("nonsense"));
    assert!(no_helper("exit 7").contains("exit status: 7"));
    assert!(no_helper(r#"echo '{"hello":{"protocol":4}}'; read x"#).contains("protocol: 4"));
    assert!(no_helper("exec sleep 100").contains("nothing for"));
}

#[test]
fn a_helper_that_breaks_down_costs_the_label_not_the_bytes() {
    assert!(broken("kill -SEGV $$").contains("signal: 11"));
    assert!(broken("exit 101").contains("exit status: 101"));
    assert!(broken("echo '{\"done\":{\"page_size\":4096}}'").contains("nonsense"));
    assert!(broken("printf '{\"refused\"'").contains("stops after"));
    assert!(broken("head -c 200000 /dev/zero").contains("longer than"));
    assert!(broken(r#"echo '{"hello":{"protocol":3}}'; sleep 9"#).contains("twice"));
    assert!(broken(r#"echo '"began"'; echo '"alive"'; exec sleep 100"#).contains("nothing for"));
}

#[test]
fn a_helper_that_somebody_kills_is_followed_by_one_more() {
    let dir = tempfile::tempdir().unwrap();
    let tries = dir.path().join("tries");
    let dies = |script: &str| format!("echo x >> '{}'; {script}", tries.display());
    for script in [dies("kill -9 $$"), format!("{HELLO}{}", dies("kill -9 $$"))] {
        assert!(labelled(&script).contains("signal: 9"));
        assert_eq!(fs::read_to_string(&tries).unwrap(), "x\nx\n");
        fs::remove_file(&tries).unwrap();
    }
    // The second one is left in peace: nothing of the first shows.
    let once = format!("[ -e '{0}' ] || {{ : > '{0}'; kill -9 $$; }}; ", tries.display());
    let real = format!("{once} exec '{}' {HELPER_COMMAND}", env!("CARGO_BIN_EXE_larder"));
    let (rig, path) = scripted(&real);
    let captured = rig.capture(&path);
    assert!(tries.exists());
    assert_eq!(captured.label, DatabaseLabel::Committed);
}

#[test]
fn a_claim_that_the_bytes_do_not_bear_out_is_not_believed() {
    let claim = |size: u64, count: u64| {
        format!(
            r#"echo '{{"done":{{"page_size":{size},"page_count":{count},"immutable":false,"check":"QuickOk","log_grew_bytes":0}}}}'"#
        )
    };
    assert!(broken(&claim(4096, 10)).contains("0 bytes came"));
    assert!(broken(&claim(0, 0)).contains("0 bytes came"));
    assert!(broken(&claim(4_294_967_295, u64::MAX)).contains("claims None"));
    // Pages that are none: the right number of bytes is not enough.
    let spool = r#"spool=$(printf %s "$request" | sed 's/.*"spool":"//; s/".*//' | base64 -d); "#;
    let fill = "head -c 8192 /dev/zero > \"$spool\"; ";
    assert!(broken(&format!("{spool}{fill}{}", claim(4096, 2))).contains("8192 bytes came"));
}

#[test]
fn a_hanging_helper_and_its_children_are_gone_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let pids = dir.path().join("pids");
    let script = format!("sleep 1000 & echo $$ $! > '{}'; wait", pids.display());
    assert!(broken(&script).contains("nothing for"));
    for pid in fs::read_to_string(&pids).unwrap().split_whitespace() {
        // A killed child of another process may wait to be reaped: it does nothing any more.
        let state = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        assert!(state.is_empty() || state.contains(") Z "), "{state}");
    }
}

/// A clock that runs by looks: 20 ms each.
fn by_looks() -> Box<dyn Fn() -> Duration + Sync> {
    let looks = AtomicU64::new(0);
    Box::new(move || Duration::from_millis(20 * looks.fetch_add(1, Ordering::Relaxed)))
}

const ALIVE: &str = "while :; do echo '\"alive\"'; done";

/// What is wrong with a helper that greets, says this and then that it is alive, for ever.
fn endless(said: &str) -> String {
    let (rig, path) = scripted(&format!("{HELLO}{said} {ALIVE}"));
    let rig = Rig { elapsed: by_looks(), ..rig };
    match rig.capture(&path).check {
        CheckResult::NotRun(why) => why,
        other => panic!("{said}: {other:?}"),
    }
}

#[test]
fn signs_of_life_are_not_progress() {
    assert!(endless("").contains("waits for a lock"));
    assert!(endless("echo '\"began\"';").contains("copied no page"));
    let copied = r#"echo '"began"'; echo '{"copied":{"pages":7}}';"#;
    assert!(endless(copied).contains("copied no page"));
    assert!(endless(&format!("{copied} echo '\"checking\"';")).contains("checks for"));
}

/// The bytes are there and their claim is good; what is never told costs the answers alone.
#[test]
fn a_helper_that_tells_for_ever_is_cut_off() {
    let real = format!("'{}' {HELPER_COMMAND}", env!("CARGO_BIN_EXE_larder"));
    let script = format!("{real} | grep --line-buffered -v '\"end\"' | {{ cat; {ALIVE}; }}");
    let (rig, path) = scripted(&script);
    let rig =
        Rig { questions: built_in(), silence: Duration::from_secs(5), elapsed: by_looks(), ..rig };
    let captured = rig.capture(&path);
    assert_eq!(captured.label, DatabaseLabel::Committed);
    assert_eq!(captured.answers, [Answer::DoesNotApply]);
    assert_eq!(prove(&captured), 0);
}

#[test]
fn a_full_spool_is_told_apart() {
    let full = r#"echo '{"refused":{"reason":"no_space","detail":""}}'"#;
    let (rig, path) = scripted(&format!("{HELLO}{full}"));
    assert!(rig.try_capture(&path).unwrap_err().is_no_space());

    let rig = Rig { min_free_bytes: u64::MAX, ..Rig::new() };
    let path = rig.path("a.db");
    make_ledger(&path, "WAL", 4096);
    assert!(rig.try_capture(&path).unwrap_err().is_no_space());

    let (rig, path) = scripted(&format!(
        "{HELLO}echo '{{\"refused\":{{\"reason\":\"spool\",\"detail\":\"x\"}}}}'"
    ));
    let error = rig.try_capture(&path).unwrap_err();
    assert!(matches!(error, CaptureError::Spool { .. }) && !error.is_no_space());
}

#[test]
fn a_source_that_is_gone_is_an_error_of_the_source() {
    let rig = Rig::new();
    let error = rig.try_capture(&rig.path("missing.db")).unwrap_err();
    assert!(matches!(error, CaptureError::Source { .. }), "{error}");
    let error = rig.try_capture(rig.source.path()).unwrap_err();
    assert!(matches!(error, CaptureError::Source { .. }), "{error}");
}

struct Impatient;

impl Observer for Impatient {
    fn begin(&self, _: Phase, _: Option<Total>) {}
    fn advance(&self, _: u64, _: u64) {}
    fn warn(&self, _: Warning) {}
    fn cancelled(&self) -> bool {
        true
    }
}

#[test]
fn an_interrupted_capture_ends_and_leaves_nothing() {
    let (rig, path) = scripted("exec sleep 100");
    let rig = Rig { observer: Box::new(Impatient), silence: Duration::from_secs(100), ..rig };
    assert!(matches!(rig.try_capture(&path), Err(CaptureError::Cancelled { .. })));
}

/// Asks the real helper, without a parent that looks first. Returns its lines and its exit code.
fn ask(request: &str) -> (String, Option<i32>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_larder"))
        .arg(HELPER_COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

fn request(source: &Path, inode: u64, spool: &Path) -> String {
    let encode =
        |path: &Path| base64::engine::general_purpose::STANDARD.encode(path.as_os_str().as_bytes());
    let device = fs::metadata(source).unwrap().dev();
    fs::write(spool, b"").unwrap();
    format!(
        r#"{{"protocol":3,"source":"{}","spool":"{}","device":{device},"inode":{inode},"access":"source","wait_ms":0,"questions":0,"samples":false,"patience_ms":1000}}{}"#,
        encode(source),
        encode(spool),
        '\n',
    )
}

#[test]
fn the_helper_answers_a_request_and_refuses_everything_else() {
    let rig = Rig::new();
    let (path, spool) = (rig.path("a.db"), rig.spool.path().join("spool"));
    make_ledger(&path, "WAL", 4096);
    let inode = fs::metadata(&path).unwrap().ino();
    let (answer, code) = ask(&request(&path, inode, &spool));
    assert!(
        answer.contains("began")
            && answer.contains("done")
            && answer.ends_with("\"end\"\n")
            && code == Some(0),
        "{answer}"
    );
    assert!(!spool.exists(), "the helper takes the spool's name away");

    let (answer, code) = ask(&request(&path, inode + 1, &spool));
    assert!(answer.contains(r#""reason":"changed""#) && code == Some(0), "{answer}");
    for (nonsense, expected) in [("", 0), ("hello\n", 1), ("{}\n", 1), ("{\"protocol\":1", 1)] {
        let (answer, code) = ask(nonsense);
        assert_eq!((answer.lines().count(), code), (1, Some(expected)), "{nonsense:?}");
    }
}

/// `SQLite` itself deletes the log of an empty database when it opens it.
#[test]
fn the_helper_does_not_open_an_empty_database_beside_its_log() {
    let rig = Rig::new();
    let (path, spool) = (rig.path("a.db"), rig.spool.path().join("spool"));
    make_ledger(&path, "WAL", 4096);
    Application::start("commit-into-the-log", &path).kill();
    fs::write(&path, b"").unwrap();
    let log = fs::read(rig.path("a.db-wal")).unwrap();
    let (answer, _) = ask(&request(&path, fs::metadata(&path).unwrap().ino(), &spool));
    assert!(answer.contains("refused"), "{answer}");
    assert!(fs::read(rig.path("a.db-wal")).unwrap() == log);
}
