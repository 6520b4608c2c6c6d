//! A message in flight: a published row and what has become of it so far.

use std::time::{Instant, SystemTime};

use tpro_runtime::telemetry::Span;
use tpro_wire::{Versions, trace::TraceParent};

use super::{lane_id::LaneId, published::Published};

/// Where a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Sent, or about to be: the reply may come.
    Flying,
    /// Nobody took it: it waits for another try.
    Refused,
}

/// Why nobody took the last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// NATS knows no subscriber of the subject.
    NoResponders,
    /// A copy is there and has too much to do.
    Overloaded {
        /// An attempt before was not answered and may be at work ([`Message::unanswered`]): what the copy can do is not to be seen from
        /// this one. Also what may have ended a copy comes back so, and is refused until it can run alone.
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

/// What a message needs to know between its first send and its outcome.
pub struct Message {
    pub row: Published,
    pub lane: LaneId,
    pub phase: Phase,
    /// Attempts so far.
    pub attempt: u32,
    /// When the row stops being worth an answer, by our clock.
    pub expires: Option<Instant>,
    /// The end of the budget; known from the first send on. None for an event, which is sent until NATS has it.
    pub deadline: Option<Instant>,
    /// It waits to be handed to the NATS client.
    pub queued: bool,
    /// When it is to be looked at.
    pub due: Instant,
    /// The earliest moment for which a timer of it is set.
    pub timer: Option<Instant>,
    pub first_sent: Option<SystemTime>,
    /// An attempt may have reached a handler: one was not answered, or a leader before us may have sent it.
    pub may_have_run: bool,
    /// A leader before us may have sent it.
    pub recovered: bool,
    /// An attempt of this leader was neither answered nor refused.
    pub unanswered: bool,
    /// When its service is to be asked whether it is there, if nothing has come from it by then.
    pub question: Option<Instant>,
    /// Why the last attempt was refused.
    pub refusal: Option<Refusal>,
    /// Replies that were no answers.
    pub noise: u32,
    /// The CLIENT span, when the trace is sampled.
    pub span: Option<Span>,
    /// The PRODUCER span: parent of what follows the reply.
    pub producer: TraceParent,
}

impl Message {
    pub fn is_event(&self) -> bool {
        self.row.budget.is_event()
    }

    /// Why it waits for another try, if it does.
    pub fn refused(&self) -> Option<Refusal> {
        self.refusal.filter(|_| self.phase == Phase::Refused)
    }

    /// The context to inject: the CLIENT span if there is one.
    pub fn context(&self) -> TraceParent {
        self.span.as_ref().map_or(self.producer, Span::context)
    }
}
