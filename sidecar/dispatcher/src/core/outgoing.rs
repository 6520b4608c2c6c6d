//! The next attempt of a message, as far as it goes on the wire.

use std::time::{Duration, Instant};

use tpro_wire::{priority::Priority, trace::TraceParent};

use super::{message::Message, published::Published};

/// An attempt that is about to be sent.
pub struct Outgoing<'m> {
    /// The row.
    pub row: &'m Published,
    /// The trace context that goes with it.
    pub context: TraceParent,
    /// The number of the attempt, which its reply subject has.
    pub attempt: u32,
    /// The number that the target is told. A message that a leader before may have sent is told as
    /// a repeat: the target counts the runs of a repeat before they begin, and a message that kills
    /// each copy would be run for ever else.
    pub told: u32,
    /// Its priority, which the target is told.
    pub priority: Priority,
    /// The time that is left for a reply; none for an event, and nothing for one that a stream is
    /// to keep: for the answer of a service that hears it as well nobody waits.
    pub left: Option<Duration>,
}

impl<'m> Outgoing<'m> {
    /// The attempt that was counted last.
    pub(super) fn of(message: &'m Message, now: Instant) -> Self {
        Self {
            row: &message.row,
            context: message.context(),
            attempt: message.attempt,
            priority: message.lane.priority,
            told: message.attempt.saturating_add(message.ran.is_by_earlier_leader().into()),
            left: match message.row.is_acked {
                true => Some(Duration::ZERO),
                false => message.deadline.map(|deadline| deadline.saturating_duration_since(now)),
            },
        }
    }
}
