//! Tells systemd that the copy is ready, what it waits for, that it lives, and that it stops.
//!
//! The protocol is sd_notify(3). Without `NOTIFY_SOCKET` in the environment nobody listens, and
//! nothing runs.

use std::{sync::Arc, time::Duration};

use sd_notify::NotifyState;
use tokio::time::{MissedTickBehavior, interval};
use tpro_runtime::{config::Config, health::Health, shutdown::Stop};

/// The pause between two looks at readiness.
const LOOK: Duration = Duration::from_secs(1);
/// The time that an end may take beyond `STOP_TIMEOUT`: the last spans and log lines go out after
/// it.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// The wait of systemd for the next word of a copy that starts. A copy waits for its database as
/// long as it takes.
const STARTING: Duration = Duration::from_secs(30);

/// Tells systemd from now on, if it has started the process. The task lives as long as the runtime,
/// so that a drain is no silence.
pub(super) fn tell(config: &Arc<Config>, health: &Health, stop: &Stop) {
    if std::env::var_os("NOTIFY_SOCKET").is_none_or(|socket| socket.is_empty()) {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled();
    // Half of the time that it is given: one word may be late.
    let pause = watchdog.map_or(LOOK, |limit| LOOK.min(limit / 2)).max(Duration::from_millis(1));
    let mut state = State::default();
    let (health, stop) = (health.clone(), stop.clone());
    let end = config.stop_timeout + LAST_WORDS;
    tokio::spawn(async move {
        let mut ticks = interval(pause);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                () = stop.soft.cancelled(), if !state.stops => state.stops = true,
            }
            // A program that puts itself in its own place does not stop for those outside.
            let ends = state.stops && stop.anew_reason().is_none();
            let words = state.words(&health.failing(), ends, end);
            let mut words: Vec<_> = words.iter().map(Word::as_state).collect();
            if watchdog.is_some() {
                words.push(NotifyState::Watchdog);
            }
            if !words.is_empty() && sd_notify::notify(&words).is_err() {
                // The socket is gone, or is no socket. The service goes on without systemd.
                tracing::debug!("systemd does not listen at NOTIFY_SOCKET");
            }
        }
    });
}

/// A word to be said.
#[derive(Debug, PartialEq, Eq)]
enum Word {
    Ready,
    Status(String),
    Stopping,
    More(Duration),
}

impl Word {
    fn as_state(&self) -> NotifyState<'_> {
        match self {
            Self::Ready => NotifyState::Ready,
            Self::Status(text) => NotifyState::Status(text),
            Self::Stopping => NotifyState::Stopping,
            Self::More(time) => {
                NotifyState::ExtendTimeoutUsec(u32::try_from(time.as_micros()).unwrap_or(u32::MAX))
            }
        }
    }
}

/// The words that were said before.
#[derive(Default)]
struct State {
    ready: bool,
    stops: bool,
    said_stopping: bool,
    status: String,
}

impl State {
    /// The new words. A copy that was ready once does not become unready for systemd: only the
    /// status names the problem.
    fn words(&mut self, failing: &[(&'static str, String)], ends: bool, end: Duration) -> Vec<Word> {
        let mut words = Vec::new();
        if ends && !self.said_stopping {
            self.said_stopping = true;
            words.extend([Word::Stopping, Word::More(end)]);
        }
        if failing.is_empty() && !self.ready {
            self.ready = true;
            words.push(Word::Ready);
        }
        if !self.ready && !ends {
            words.push(Word::More(STARTING));
        }
        let status = status(failing);
        if status != self.status {
            words.push(Word::Status(status.clone()));
            self.status = status;
        }
        words
    }
}

/// One line for `systemctl status`. A line break would begin another word of the protocol, and some
/// reasons are texts of servers.
fn status(failing: &[(&'static str, String)]) -> String {
    if failing.is_empty() {
        return "ready".to_owned();
    }
    let reasons: Vec<_> = failing.iter().map(|(check, reason)| format!("{check}: {reason}")).collect();
    format!("not ready: {}", reasons.join("; ")).replace(|c: char| c.is_control(), " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: Duration = Duration::from_secs(35);

    #[test]
    fn each_change_is_said_once() {
        let mut state = State::default();
        let starting = [("start", "starting".to_owned())];
        let waits = Word::Status("not ready: start: starting".to_owned());
        assert_eq!(state.words(&starting, false, END), [Word::More(STARTING), waits]);
        assert_eq!(state.words(&starting, false, END), [Word::More(STARTING)]);
        assert_eq!(state.words(&[], false, END), [Word::Ready, Word::Status("ready".to_owned())]);
        assert_eq!(state.words(&[], false, END), []);
        let away = [("nats", "disconnected".to_owned())];
        let says = Word::Status("not ready: nats: disconnected".to_owned());
        assert_eq!(state.words(&away, false, END), [says]);
        assert_eq!(state.words(&away, true, END), [Word::Stopping, Word::More(END)]);
        assert_eq!(state.words(&away, true, END), []);
    }

    #[test]
    fn a_reason_is_one_line() {
        let forged = [("database", "away\nMAINPID=1".to_owned())];
        assert_eq!(status(&forged), "not ready: database: away MAINPID=1");
    }
}
