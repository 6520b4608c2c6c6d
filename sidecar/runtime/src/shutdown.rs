//! The end of the process: a first signal drains, a second one forces.

use std::{
    io,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The time that a forced process has to go (drop its tasks, write its last log lines) before it is
/// cut off.
const LAST_BREATH: Duration = Duration::from_secs(1);
/// The time after the end of its terminal at which a process that ends with it has heard SIGHUP.
const HANGUP_AFTER: Duration = Duration::from_secs(2);

/// The tokens every task holds.
#[derive(Clone, Default)]
pub struct Stop {
    /// Cancelled at the first signal: take no more, finish what is taken.
    pub soft: CancellationToken,
    /// Cancelled at the second signal or when the time is up: drop everything.
    pub hard: CancellationToken,
    /// Every task is spawned here, so that none outlives the process's end unseen.
    pub tasks: TaskTracker,
    fatal: Arc<OnceLock<String>>,
    anew: Arc<OnceLock<String>>,
    told: Arc<OnceLock<()>>,
    /// Rung by SIGHUP: the log file is to be opened again.
    pub hangup: Arc<Notify>,
}

impl Stop {
    /// Ends the process from within, gracefully but not with 0, after an error that no retry can
    /// mend. The first reason wins.
    pub fn fatal(&self, reason: impl Into<String>) {
        // Set before the token: a task that sees the token sees the reason.
        let _ = self.fatal.set(reason.into());
        self.soft.cancel();
    }

    /// Ends everything gracefully and starts the program again, in this process: the ground of all
    /// its parts has changed. The first reason wins.
    pub fn begin_anew(&self, reason: impl Into<String>) {
        let _ = self.anew.set(reason.into());
        self.soft.cancel();
    }

    /// The reason why the program starts again, if it does.
    pub fn anew_reason(&self) -> Option<&str> {
        self.anew.get().map(String::as_str)
    }

    /// True if a signal has told us to end; then nothing starts again.
    pub fn was_told(&self) -> bool {
        self.told.get().is_some()
    }

    /// The reason why the process ends from within, if it does.
    pub fn fatal_reason(&self) -> Option<&str> {
        self.fatal.get().map(String::as_str)
    }

    /// Listens to SIGTERM, SIGINT, SIGQUIT and SIGHUP from now on.
    ///
    /// SIGHUP has the log file opened again, as with other services. It is a signal to stop only if
    /// the terminal is gone from which the program was started. A program that is to outlive its
    /// terminal does: one that was started by `nohup`, and one that the terminal has left without
    /// this signal.
    ///
    /// The task is not on the tracker: it must outlive all others, to hear the second signal.
    pub fn heed_signals(&self) -> io::Result<()> {
        let mut signals = Signals::new(self.hangup.clone())?;
        let stop = self.clone();
        tokio::spawn(async move {
            let first = signals.next().await;
            let _ = stop.told.set(());
            tracing::info!("{first}: stopping; a second signal forces it");
            stop.soft.cancel();
            let second = signals.next().await;
            tracing::warn!("{second}: a second signal; stopping at once");
            stop.hard.cancel();
            tokio::time::sleep(LAST_BREATH).await;
            // Nobody finished in time: a task that blocks its thread must not make the process
            // immortal.
            std::process::exit(1);
        });
        Ok(())
    }
}

/// The signals that mean "stop".
struct Signals {
    term: Signal,
    int: Signal,
    hup: Signal,
    quit: Signal,
    /// True if the process ends with its terminal.
    terminal: bool,
    hangup: Arc<Notify>,
}

impl Signals {
    fn new(hangup: Arc<Notify>) -> io::Result<Self> {
        // Before our own handler is set.
        let ignores_hangup = ignores_hangup();
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
            quit: signal(SignalKind::quit())?,
            terminal: has_terminal() && !ignores_hangup,
            hangup,
        })
    }

    async fn next(&mut self) -> &'static str {
        loop {
            return tokio::select! {
                _ = self.term.recv() => "SIGTERM",
                _ = self.int.recv() => "SIGINT",
                _ = self.quit.recv() => "SIGQUIT",
                _ = self.hup.recv() => {
                    if self.terminal && !has_terminal() {
                        "SIGHUP (the terminal is gone)"
                    } else {
                        self.hangup.notify_one();
                        continue;
                    }
                }
                () = outlives_terminal(), if self.terminal => {
                    tracing::info!("the terminal is gone and has not stopped this copy: from now on SIGHUP does not either");
                    self.terminal = false;
                    continue;
                }
            };
        }
    }
}

/// Waits until the terminal has been gone for a while.
async fn outlives_terminal() {
    while has_terminal() {
        tokio::time::sleep(HANGUP_AFTER).await;
    }
    tokio::time::sleep(HANGUP_AFTER).await;
}

/// True if SIGHUP was to be ignored, as `nohup` has it: the first bit of a mask in hexadecimal.
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

/// True if the process has a controlling terminal.
fn has_terminal() -> bool {
    std::fs::File::open("/dev/tty").is_ok()
}
