//! A message in flight: a published row and the fate of its attempts so far.

use std::time::{Instant, SystemTime};

use tpro_runtime::telemetry::Span;
use tpro_wire::{RpcError, Versions, trace::TraceParent};

use super::{lane_id::LaneId, published::Published};

/// The stage of a message in flight. Before it, a row waits as its id in its lane; after it, the
/// outcome is settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits to be handed to NATS.
    Queued {
        /// The last attempt was refused, for this reason.
        after: Option<Refusal>,
    },
    /// It was sent: the reply may come.
    Sent,
    /// Nobody took it: it waits for another try.
    Refused(Refusal),
    /// Its handler has put it off: it waits until it is due.
    PutOff,
}

/// The place of a message in its lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It was sent or is to be sent: a place in the window.
    Flying,
    /// Among the refused.
    Refused(Refusal),
    /// Among those that wait until they are due.
    PutOff,
}

/// The wish of a handler to be asked again later.
pub struct Later {
    /// Not before this moment.
    pub(super) until: Instant,
    /// The error if the budget does not suffice.
    pub(super) error: RpcError,
    /// The copy that said so.
    pub(super) responder: Option<String>,
}

/// The longest text of an error that is kept while a message waits, in bytes.
const LATER_TEXT: usize = 1024;

impl Later {
    /// Leaves what is worth memory for as long as the message waits: the code and the beginning of
    /// the text.
    pub(super) fn shorten(&mut self) {
        self.error.data = self.error.data.take().filter(|data| data.get().len() <= LATER_TEXT);
        let end = self.error.message.floor_char_boundary(LATER_TEXT);
        self.error.message.truncate(end);
    }
}

/// The attempts of a message that may have reached a handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ran {
    /// None: each was refused.
    No,
    /// Perhaps one of a leader before us.
    ByEarlierLeader {
        /// And one of ours, which was neither answered nor refused.
        unanswered: bool,
    },
    /// One of ours, which was neither answered nor refused.
    Unanswered,
}

impl Ran {
    /// For a message that a leader before us may have sent, or not.
    pub fn before(recovered: bool) -> Self {
        if recovered { Self::ByEarlierLeader { unanswered: false } } else { Self::No }
    }

    /// True if an attempt may have reached a handler.
    pub fn is_possible(self) -> bool {
        self != Self::No
    }

    /// True if a leader before us may have sent it.
    pub fn is_by_earlier_leader(self) -> bool {
        matches!(self, Self::ByEarlierLeader { .. })
    }

    /// True if an attempt of this leader was neither answered nor refused.
    pub fn is_unanswered(self) -> bool {
        matches!(self, Self::Unanswered | Self::ByEarlierLeader { unanswered: true })
    }

    /// An attempt of this leader was neither answered nor refused.
    pub fn goes_unanswered(&mut self) {
        *self = match self {
            Self::ByEarlierLeader { .. } => Self::ByEarlierLeader { unanswered: true },
            Self::No | Self::Unanswered => Self::Unanswered,
        };
    }
}

/// The reason why nobody took the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// NATS knows no subscriber of the subject.
    NoResponders,
    /// A copy is there and has too much to do.
    Overloaded {
        /// An attempt before was not answered and may be at work: how much the copy can do is not
        /// to be seen from this one. Also a message that may have ended a copy comes back so, and
        /// is refused until it can run alone.
        repeat: bool,
    },
    /// The NATS server does not let us publish to it.
    Forbidden,
    /// A copy is there and understands other versions than ours.
    Unsupported(Versions),
}

impl Refusal {
    /// As the wire has it.
    pub fn on_the_wire(self) -> tpro_wire::Refusal {
        match self {
            Self::NoResponders => tpro_wire::Refusal::NoResponders,
            Self::Overloaded { .. } => tpro_wire::Refusal::Overloaded,
            Self::Forbidden => tpro_wire::Refusal::Forbidden,
            Self::Unsupported(theirs) => tpro_wire::Refusal::Unsupported(theirs),
        }
    }
}

impl From<tpro_wire::Refusal> for Refusal {
    fn from(refusal: tpro_wire::Refusal) -> Self {
        match refusal {
            tpro_wire::Refusal::NoResponders => Self::NoResponders,
            tpro_wire::Refusal::Overloaded => Self::Overloaded { repeat: false },
            tpro_wire::Refusal::Forbidden => Self::Forbidden,
            tpro_wire::Refusal::Unsupported(theirs) => Self::Unsupported(theirs),
        }
    }
}

/// A message between its first send and its outcome.
pub struct Message {
    pub(super) row: Published,
    pub(super) lane: LaneId,
    pub(super) stage: Stage,
    pub(super) ran: Ran,
    /// Attempts so far.
    pub(super) attempt: u32,
    /// When the row stops being worth an answer, by our clock.
    pub(super) expires: Option<Instant>,
    /// The end of the budget; known from the first send on. None for an event, which is sent until
    /// NATS has it.
    pub(super) deadline: Option<Instant>,
    /// When it is to be looked at.
    pub(super) due: Instant,
    /// The earliest moment for which a timer of it is set.
    pub(super) timer: Option<Instant>,
    pub(super) first_sent: Option<SystemTime>,
    /// When its service is to be asked if it is there, should nothing have come from it by then.
    pub(super) question: Option<Instant>,
    /// Replies that were no answers.
    pub(super) noise: u32,
    /// The last wish of its handler to be asked again later, if there was one.
    pub(super) later: Option<Box<Later>>,
    /// The CLIENT span, when the trace is sampled.
    pub(super) span: Option<Span>,
    /// The PRODUCER span: parent of what follows the reply.
    pub(super) producer: TraceParent,
}

impl Message {
    /// A message that is about to be sent for the first time.
    pub(super) fn new(row: Published, lane: LaneId, recovered: bool, now: Instant) -> Self {
        let expires = row.expires_in.map(|ms| now + std::time::Duration::from_millis(ms.unsigned_abs()));
        let producer = row.traceparent;
        Self {
            row,
            lane,
            stage: Stage::Queued { after: None },
            ran: Ran::before(recovered),
            attempt: 0,
            expires,
            deadline: None,
            due: now,
            timer: None,
            first_sent: None,
            question: None,
            noise: 0,
            later: None,
            span: None,
            producer,
        }
    }

    pub(super) fn is_event(&self) -> bool {
        self.row.budget.is_event()
    }

    /// True while it waits to be handed to NATS.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.stage, Stage::Queued { .. })
    }

    /// Its place in its lane.
    pub(super) fn place(&self) -> Place {
        match self.stage {
            Stage::Refused(refusal) => Place::Refused(refusal),
            Stage::Queued { .. } | Stage::Sent => Place::Flying,
            Stage::PutOff => Place::PutOff,
        }
    }

    /// The reason why it waits for another try, if it does.
    pub(super) fn refused(&self) -> Option<Refusal> {
        match self.place() {
            Place::Refused(refusal) => Some(refusal),
            Place::Flying | Place::PutOff => None,
        }
    }

    /// The reason why the last attempt was refused, if it was.
    pub(super) fn last_refusal(&self) -> Option<Refusal> {
        match self.stage {
            Stage::Refused(refusal) | Stage::Queued { after: Some(refusal) } => Some(refusal),
            Stage::Queued { after: None } | Stage::Sent | Stage::PutOff => None,
        }
    }

    /// The moment before which its handler does not want to be asked again.
    pub(super) fn not_before(&self) -> Option<Instant> {
        self.later.as_ref().map(|later| later.until)
    }

    /// Queues it for another attempt. Returns false if it is queued already.
    pub(super) fn queue(&mut self) -> bool {
        let after = self.refused();
        let queues = !self.is_queued();
        if queues {
            self.stage = Stage::Queued { after };
        }
        queues
    }

    /// The context to inject: the CLIENT span if there is one.
    pub(super) fn context(&self) -> TraceParent {
        self.span.as_ref().map_or(self.producer, Span::context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unanswered_attempt_is_not_forgotten_and_neither_is_the_leader_before() {
        let mut ran = Ran::before(false);
        assert!(!ran.is_possible());
        ran.goes_unanswered();
        assert!(ran.is_possible() && ran.is_unanswered() && !ran.is_by_earlier_leader());
        let mut ran = Ran::before(true);
        assert!(ran.is_possible() && !ran.is_unanswered());
        ran.goes_unanswered();
        assert!(ran.is_unanswered() && ran.is_by_earlier_leader());
    }
}
