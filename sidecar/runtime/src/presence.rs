//! The question if a service is there at all, for requesters that hear nothing from it.
//!
//! NATS says that nobody subscribes to a subject only where that is true, and a bystander who
//! subscribes to `>` is somebody. So a service from which nothing has ever come is asked, by a
//! request of a version that no release understands. Each copy refuses it at once, in any state,
//! and before it looks at anything else of it (0.1.0 does so, too). If no refusal comes back, no
//! copy has the message.
//!
//! Only services that speak JSON-RPC are asked. A service that knows nothing of tpro may do with a
//! question what it likes, and its silence says nothing.

use std::time::{Duration, Instant};

use tpro_wire::{Version, headers};

use crate::nats::Block;

/// The attempt in the reply subject of a question: a message's own are counted from 1.
pub const QUESTION: u32 = 0;
/// The shortest pause between two questions to a service.
const PAUSE: Duration = Duration::from_millis(250);

/// The time for the answer to a question. A message with little time asks when the answer can
/// hardly come before its end, and so short a silence says nothing.
const ANSWER: Duration = Duration::from_millis(250);

/// The knowledge about a service.
#[derive(Clone, Copy, Debug, Default)]
pub struct Presence {
    heard: bool,
    /// The moment of the last question, and the number of the connection to NATS that it went over.
    asked: Option<(Instant, u64)>,
}

impl Presence {
    /// The presence of a service that is not to be asked.
    pub fn known() -> Self {
        Self { heard: true, asked: None }
    }

    /// Something has come from it.
    pub fn hear(&mut self) {
        self.heard = true;
    }

    /// True if anything has come from it.
    pub fn is_heard(&self) -> bool {
        self.heard
    }

    /// True if it may be asked now.
    pub fn may_ask(&self, now: Instant) -> bool {
        !self.heard && self.asked.is_none_or(|(last, _)| now >= last + PAUSE)
    }

    /// It was asked.
    pub fn asked(&mut self, now: Instant, connection: u64) {
        self.asked = Some((now, connection));
    }

    /// True if it was asked since then, over the present connection, had the time to answer by now,
    /// and has never said anything.
    pub fn is_absent(&self, since: Instant, now: Instant, connection: u64) -> bool {
        let is_silent = |(last, over)| last >= since && now >= last + ANSWER && over == connection;
        !self.heard && self.asked.is_some_and(is_silent)
    }
}

/// The moment to ask a service, within the time that somebody waits for it.
pub fn ask_at(now: Instant, until: Instant) -> Instant {
    now + until.saturating_duration_since(now) / 2
}

/// The headers of the question; its payload is empty.
pub fn question() -> Block {
    Block::of([(headers::VERSION, Version::UNKNOWN.to_string())])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_absent_when_it_was_asked_over_this_connection_and_has_never_said_anything() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut service = Presence::default();
        assert!(service.may_ask(at(0)) && !service.is_absent(at(0), at(900), 1), "nobody has asked");
        service.asked(at(100), 1);
        assert!(!service.may_ask(at(300)) && service.may_ask(at(400)));
        assert!(service.is_absent(at(50), at(350), 1));
        assert!(!service.is_absent(at(50), at(349), 1), "its answer may be on its way");
        assert!(!service.is_absent(at(150), at(900), 1), "not since then");
        assert!(!service.is_absent(at(50), at(900), 2), "the question may have gone with its connection");
        service.hear();
        assert!(!service.may_ask(at(900)) && !service.is_absent(at(50), at(900), 1));
    }
}
