//! The parent's side of one helper process: start it, listen, stop it.
//!
//! Invariant: [`run`] returns, whatever the helper says or does not say (`pace`), and then it and its process group are gone.

use std::io::BufReader;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use crate::sqlite::options::CaptureOptions;
use crate::sqlite::pace::{Pace, Step, Work};
use crate::sqlite::protocol::{
    Done, PROTOCOL, ProtocolError, Question, Refusal, Reply, Request, receive, send, tame,
};
use crate::sqlite::told::{OutOfBounds, Told};

/// How often a quiet helper is looked after.
const SLICE: Duration = Duration::from_millis(100);

/// How long a helper that is done may take to end.
const PATIENCE_MS: u32 = 50;

/// How a helper's work ended.
#[derive(Debug)]
pub(super) enum Ending {
    /// It claims a capture, and told this about it; each question has an answer.
    Done(Done, Box<Told>),
    /// It says that there is none.
    Refused(Refusal, String),
    /// It broke down on this database: crashed, fell silent or spoke nonsense.
    Fault(String),
    /// Somebody else killed it: an administrator, or a system that is out of memory.
    Killed(String),
    /// It is not a helper of this version, or does not start.
    NoHelper(String),
    /// The observer wants to stop.
    Cancelled,
}

/// What a helper is to do.
pub(super) struct Orders<'o> {
    /// The capture.
    pub(super) request: &'o Request,
    /// What is asked about it.
    pub(super) questions: &'o [Question],
    /// The most that the database comes to.
    pub(super) bytes: u64,
}

type Message = Result<Option<Reply>, ProtocolError>;

/// Sends the request and its questions to a new helper and waits for its answer; `began` is called when its transaction has begun.
pub(super) fn run(
    options: &CaptureOptions<'_>,
    orders: &Orders<'_>,
    began: &mut dyn FnMut(),
) -> Ending {
    let mut child = match spawn(options) {
        Ok(child) => child,
        Err(error) => return Ending::NoHelper(error.to_string()),
    };
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Ending::NoHelper("its pipes are missing".to_owned());
    };
    // Bounded: a helper that floods us waits in its pipe.
    let (sender, receiver) = sync_channel(1);
    let (ending, went) = thread::scope(|scope| {
        scope.spawn(move || listen(stdout, &sender));
        // A helper that does not read would hold us up for ever; who is stopped is not written to any more.
        let ask = || drop(scope.spawn(move || ask(stdin, orders)));
        let mut ear = Ear::new(options, orders, receiver);
        let ending = converse(&mut ear, (ask, orders.questions.len()), began);
        let went = stop(&child);
        drop(ear);
        (ending, went)
    });
    match child.wait() {
        Ok(status) => explained(ending, status, went),
        Err(_) => ending,
    }
}

/// A breakdown with the status that the helper ended with; `went` tells its own end from ours.
fn explained(ending: Ending, status: ExitStatus, went: bool) -> Ending {
    let killed = went && status.signal() == Some(Signal::KILL.as_raw());
    match ending {
        Ending::Fault(what) | Ending::NoHelper(what) if killed => {
            Ending::Killed(format!("{what} ({status})"))
        }
        Ending::Fault(what) => Ending::Fault(format!("{what} ({status})")),
        Ending::NoHelper(what) => Ending::NoHelper(format!("{what} ({status})")),
        other => other,
    }
}

fn spawn(options: &CaptureOptions<'_>) -> std::io::Result<Child> {
    Command::new(&options.helper.program)
        .args(&options.helper.args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        // So that a signal from the terminal reaches us alone, and that ours reaches all of it.
        .process_group(0)
        .spawn()
}

/// Ends the helper and whatever it started. Killing is safe at any moment: a reader leaves nothing to be recovered.
///
/// The child is not reaped before, so neither its number nor its group's can be another's by now. True when it went by itself.
fn stop(child: &Child) -> bool {
    let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) else { return false };
    // Who has answered, or closed its pipe, goes by itself, and its status says more than our signal would.
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let mut went = false;
    for _ in 0..PATIENCE_MS {
        went = !matches!(waitid(WaitId::Pid(pid), ended), Ok(None));
        if went {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let _ = kill_process_group(pid, Signal::KILL);
    went
}

fn listen(stdout: ChildStdout, sender: &SyncSender<Message>) {
    let mut input = BufReader::new(stdout);
    loop {
        let message = receive::<Reply>(&mut input);
        let last = !matches!(message, Ok(Some(_)));
        if sender.send(message).is_err() || last {
            return;
        }
    }
}

/// Who does not listen does not answer either, and that is noticed.
fn ask(mut stdin: ChildStdin, orders: &Orders<'_>) {
    if send(&mut stdin, orders.request).is_ok() {
        let _ = orders.questions.iter().try_for_each(|question| send(&mut stdin, question));
    }
}

fn converse(
    ear: &mut Ear<'_>,
    (ask, asked): (impl FnOnce(), usize),
    began: &mut dyn FnMut(),
) -> Ending {
    match ear.next() {
        Ok(Reply::Hello { protocol: PROTOCOL }) => {}
        Ok(other) => return Ending::NoHelper(format!("it said {}", tame(&format!("{other:?}")))),
        Err(Silence::Cancelled) => return Ending::Cancelled,
        Err(Silence::Fault(what)) => return Ending::NoHelper(what),
    }
    ask();
    loop {
        match ear.next() {
            Ok(Reply::Alive) => {}
            Ok(Reply::Began) => {
                ear.pace.reach(Step::Copying);
                began();
            }
            Ok(Reply::Copied { pages }) => ear.pace.copied(pages),
            Ok(Reply::Checking) => ear.pace.reach(Step::Checking),
            Ok(Reply::Done(done)) => return hear(ear, done, asked),
            Ok(Reply::Refused { reason, detail }) => return Ending::Refused(reason, tame(&detail)),
            Ok(Reply::Hello { .. }) => return Ending::Fault("it greets twice".to_owned()),
            Ok(Reply::Tells(_) | Reply::End) => {
                return Ending::Fault("it tells of what it has not captured".to_owned());
            }
            Err(Silence::Cancelled) => return Ending::Cancelled,
            Err(Silence::Fault(what)) => return Ending::Fault(what),
        }
    }
}

/// Hears what there is to tell of a capture that is claimed already. Whoever breaks down now costs the answers, not the bytes.
fn hear(ear: &mut Ear<'_>, done: Done, asked: usize) -> Ending {
    ear.pace.reach(Step::Telling);
    let mut told = Box::<Told>::default();
    let why = loop {
        match ear.next() {
            Ok(Reply::Alive) => {}
            Ok(Reply::Tells(piece)) => {
                if let Err(OutOfBounds(what)) = told.take(piece, asked) {
                    break format!("it told of {what}");
                }
            }
            Ok(Reply::End) => break "it ended without an answer".to_owned(),
            Ok(other) => break tame(&format!("it said {other:?}")),
            Err(Silence::Cancelled) => return Ending::Cancelled,
            Err(Silence::Fault(what)) => break what,
        }
    };
    told.conclude(asked, &format!("the capture helper failed: {why}"));
    Ending::Done(done, told)
}

enum Silence {
    Cancelled,
    Fault(String),
}

/// Hears one helper, and for how long.
struct Ear<'e> {
    options: &'e CaptureOptions<'e>,
    receiver: Receiver<Message>,
    pace: Pace,
}

impl<'e> Ear<'e> {
    fn new(
        options: &'e CaptureOptions<'e>,
        orders: &Orders<'_>,
        receiver: Receiver<Message>,
    ) -> Self {
        let CaptureOptions { wait, silence, .. } = *options;
        let work = Work { wait, silence, bytes: orders.bytes };
        Self { options, receiver, pace: Pace::new(work, (options.elapsed)()) }
    }

    fn next(&mut self) -> Result<Reply, Silence> {
        let (mut silent, mut waited) = (Duration::ZERO, Duration::ZERO);
        while silent < self.options.silence {
            if self.options.observer.cancelled() {
                return Err(Silence::Cancelled);
            }
            // Looked at before each message: one who talks without a pause is not waited for for ever either.
            if let Some(why) = self.pace.look((self.options.elapsed)(), waited) {
                return Err(Silence::Fault(why));
            }
            match self.receiver.recv_timeout(SLICE) {
                Ok(Ok(Some(reply))) => return Ok(reply),
                Ok(Ok(None)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(Silence::Fault("it ended without an answer".to_owned()));
                }
                Ok(Err(error)) => {
                    return Err(Silence::Fault(tame(&format!("it spoke nonsense: {error}"))));
                }
                Err(RecvTimeoutError::Timeout) => (silent, waited) = (silent + SLICE, SLICE),
            }
        }
        Err(Silence::Fault(format!("it said nothing for {} s", silent.as_secs_f32())))
    }
}
