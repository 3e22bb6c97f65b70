//! Where the helper speaks.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::sqlite::protocol::{ProtocolError, Reply, send};

/// A parent takes a much longer silence for the end.
const SIGN_OF_LIFE: Duration = Duration::from_millis(500);

/// The pipe to the parent; clones share it.
#[derive(Clone)]
pub(super) struct Reporter {
    shared: Arc<Mutex<Pipe>>,
}

struct Pipe {
    output: Box<dyn Write + Send>,
    last: Instant,
}

impl Reporter {
    pub(super) fn new(output: impl Write + Send + 'static) -> Self {
        let pipe = Pipe { output: Box::new(output), last: Instant::now() };
        Self { shared: Arc::new(Mutex::new(pipe)) }
    }

    /// Says that work goes on, if it was not said a moment ago. Fails once the parent is gone.
    pub(super) fn alive(&self) -> Result<(), ProtocolError> {
        self.sometimes(&Reply::Alive)
    }

    /// Says how far the copy is, if nothing was said a moment ago.
    pub(super) fn copied(&self, pages: u64) -> Result<(), ProtocolError> {
        self.sometimes(&Reply::Copied { pages })
    }

    fn sometimes(&self, reply: &Reply) -> Result<(), ProtocolError> {
        let mut pipe = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if pipe.last.elapsed() < SIGN_OF_LIFE { Ok(()) } else { pipe.send(reply) }
    }

    pub(super) fn send(&self, reply: &Reply) -> Result<(), ProtocolError> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).send(reply)
    }
}

impl Pipe {
    fn send(&mut self, reply: &Reply) -> Result<(), ProtocolError> {
        self.last = Instant::now();
        send(&mut self.output, reply)
    }
}
