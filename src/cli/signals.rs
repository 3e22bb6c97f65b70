//! What Ctrl-C does: the first signal asks the work to stop at a safe point, a second one ends the process at once.

use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use crate::cli::exit;
use crate::cli::failure::{Failure, Result};

/// The signals that were caught. Until [`Signals::watch`], signals end the process as usual.
#[derive(Debug, Default, Clone)]
pub(crate) struct Signals {
    asked_to_stop: Arc<AtomicBool>,
    caught: Arc<AtomicUsize>,
}

impl Signals {
    /// From now on the first INT, TERM or HUP is only noted.
    pub(crate) fn watch(&self) -> Result<()> {
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            self.watch_one(signal).map_err(|error| Failure::io("catching signals", &error))?;
        }
        Ok(())
    }

    fn watch_one(&self, signal: c_int) -> std::io::Result<()> {
        // The order matters: the handler that ends the process must find the flag as the signals before have left it.
        flag::register_conditional_shutdown(signal, 128 + signal, self.asked_to_stop.clone())?;
        flag::register(signal, self.asked_to_stop.clone())?;
        flag::register_usize(signal, self.caught.clone(), usize::try_from(signal).unwrap_or(0))?;
        Ok(())
    }

    /// True once the work should stop.
    pub(crate) fn asked_to_stop(&self) -> bool {
        self.asked_to_stop.load(Ordering::Relaxed)
    }

    /// The signal that was caught, else SIGINT.
    pub(crate) fn caught(&self) -> u8 {
        match self.caught.load(Ordering::Relaxed) {
            0 => exit::SIGINT,
            signal => u8::try_from(signal).unwrap_or(exit::SIGINT),
        }
    }
}
