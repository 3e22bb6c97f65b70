//! The helper process: one database, then the end.

use std::io::{BufRead, BufReader, Read, Write};

use rustix::process::{Resource, Rlimit, Signal, set_parent_process_death_signal, setrlimit};

use crate::sqlite::destination::Destination;
use crate::sqlite::protocol::{
    Done, PROTOCOL, ProtocolError, Question, Refusal, Reply, Request, receive,
};
use crate::sqlite::questions::MAX_QUERIES;
use crate::sqlite::refused::Refused;
use crate::sqlite::reporter::Reporter;
use crate::sqlite::source::Source;

/// Older libraries can corrupt a database whose log starts over while another connection looks (fixed in 3.51.3).
const OLDEST_LIBRARY: i32 = 3_051_003;

/// For all that is not `SQLite`'s own memory as well: the program, its stack, lines of the protocol. Nothing of the database is
/// mapped; 19 MiB were the most that a database of 146 MB took, questions included.
const ADDRESS_SPACE_BYTES: u64 = 512 * 1024 * 1024;

/// Far above what a capture takes (a few MiB, and a bit a page for the check).
const HEAP_LIMIT_BYTES: u64 = 256 * 1024 * 1024;

/// Serves one request from `input` on `output`, the process's own; returns its exit code.
///
/// 0 says that the request was answered, a refusal included; 1 that there was none, or nobody to answer.
pub fn main(input: impl Read, output: impl Write + Send + 'static) -> u8 {
    let reporter = Reporter::new(output);
    match serve(input, &reporter) {
        Ok(()) => 0,
        Err(_) => 1,
    }
}

fn serve(input: impl Read, reporter: &Reporter) -> Result<(), ProtocolError> {
    confine();
    reporter.send(&Reply::Hello { protocol: PROTOCOL })?;
    let mut input = BufReader::new(input);
    let Some(request) = receive::<Request>(&mut input)? else { return Ok(()) };
    let questions = questions(&mut input, request.questions)?;
    let (done, spool) = match capture(&request, reporter) {
        Ok(captured) => captured,
        Err(refused) => return reporter.send(&refused.reply()),
    };
    reporter.send(&Reply::Done(done))?;
    // What was captured is good, whatever fails here: the parent sees which answers are missing.
    let _ = spool.tell(&request, &questions, reporter);
    reporter.send(&Reply::End)
}

fn questions(input: &mut impl BufRead, count: u16) -> Result<Vec<Question>, ProtocolError> {
    let count = usize::from(count).min(MAX_QUERIES);
    (0..count).map_while(|_| receive(input).transpose()).collect()
}

/// Without an effect where the system refuses: the limits guard against a hostile database, they are not needed.
fn confine() {
    // The parent must not leave a helper behind that holds a lock on the application's database.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let most = Some(ADDRESS_SPACE_BYTES);
    let _ = setrlimit(Resource::As, Rlimit { current: most, maximum: most });
    // A core file would hold pages of the database.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
}

fn capture(request: &Request, reporter: &Reporter) -> Result<(Done, Destination), Refused> {
    if request.protocol != PROTOCOL {
        return Err(Refused::because(Refusal::Failed, "the request is of another version"));
    }
    if rusqlite::version_number() < OLDEST_LIBRARY {
        let detail = format!("SQLite {} is too old to read beside a writer", rusqlite::version());
        return Err(Refused::because(Refusal::Failed, detail));
    }
    let mut destination = Destination::open(request.spool.as_path())?;
    limit_heap()?;
    let source = Source::open(request, reporter)?;
    reporter.send(&Reply::Began)?;
    let immutable = source.is_immutable();
    let copied = destination.copy(&source, reporter)?;
    let log_grew_bytes = source.finish()?;
    let check = destination.check(reporter)?;
    let (page_size, page_count) = (copied.page_size, copied.page_count);
    Ok((Done { page_size, page_count, immutable, check, log_grew_bytes }, destination))
}

/// The limit is the process's, whichever connection sets it.
fn limit_heap() -> Result<(), Refused> {
    let connection = rusqlite::Connection::open_in_memory()?;
    Ok(connection.execute_batch(&format!("PRAGMA hard_heap_limit = {HEAP_LIMIT_BYTES}"))?)
}
