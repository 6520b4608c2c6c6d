//! The keys and signals that end `tpro top`: q, ctrl-C, SIGTERM.

use std::io::{self, IsTerminal as _, Read as _};

use rustix::termios::{self, LocalModes, OptionalActions, Termios};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use crate::problem::{Ending, Problem};

/// Keys and signals. Dropping this value restores the terminal.
pub struct Keys {
    saved: Option<Termios>,
    pressed: mpsc::UnboundedReceiver<u8>,
    /// Kept, so that the channel stays open where nobody presses a key.
    _presses: mpsc::UnboundedSender<u8>,
    interrupt: Signal,
    terminate: Signal,
}

impl Keys {
    /// Listens to signals, and to keys if `watched` is set and standard input is a terminal.
    ///
    /// Keys then come without Enter and are not shown.
    pub fn listen(watched: bool) -> Result<Self, Problem> {
        let failed = |error: io::Error| {
            Problem::new(Ending::Unreachable, format!("the terminal cannot be watched: {error}"), "")
        };
        let (presses, pressed) = mpsc::unbounded_channel();
        let mut saved = None;
        if watched && io::stdin().is_terminal() {
            let was = termios::tcgetattr(io::stdin()).map_err(|error| failed(error.into()))?;
            let mut keys = was.clone();
            keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
            termios::tcsetattr(io::stdin(), OptionalActions::Now, &keys)
                .map_err(|error| failed(error.into()))?;
            saved = Some(was);
            let presses = presses.clone();
            // The thread ends with the process: a read of a terminal cannot be broken off.
            std::thread::spawn(move || {
                for key in io::stdin().lock().bytes().map_while(Result::ok) {
                    if presses.send(key).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Self {
            saved,
            pressed,
            _presses: presses,
            interrupt: signal(SignalKind::interrupt()).map_err(failed)?,
            terminate: signal(SignalKind::terminate()).map_err(failed)?,
        })
    }

    /// Waits for a key or a signal that ends the program.
    pub async fn end(&mut self) {
        loop {
            tokio::select! {
                key = self.pressed.recv() => if matches!(key, Some(b'q' | b'Q')) { return },
                _ = self.interrupt.recv() => return,
                _ = self.terminate.recv() => return,
            }
        }
    }
}

impl Drop for Keys {
    fn drop(&mut self) {
        if let Some(saved) = &self.saved {
            // The terminal may be gone.
            let _ = termios::tcsetattr(io::stdin(), OptionalActions::Now, saved);
        }
    }
}
