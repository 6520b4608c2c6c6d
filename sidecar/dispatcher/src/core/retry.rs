//! The next step of a message that has no answer: the one place that decides on another attempt
//! or the end.

use std::time::{Duration, Instant};

use tpro_runtime::backoff::LAST_TRY;
use tpro_wire::Protocol;

use super::message::{Message, Refusal, Stage};
use super::outcome::Outcome;

/// A new attempt with less budget left than this could not be answered in time.
const TOO_LATE: Duration = Duration::from_millis(5);

/// The thing that a timer finds to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing before this moment.
    Wait(Instant),
    /// Send it again: the reply is overdue.
    Send,
    /// Send it again: the time is over for which its handler has put it off.
    Again,
    /// It is over.
    End(End),
}

/// The end of a message without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Sent, perhaps worked on, not answered within the budget.
    Timeout,
    /// Nobody took it, all the time.
    Unavailable(Refusal),
    /// Put off by its handler, and nothing came of it since.
    PutOff,
}

/// The effect of a handler's wish to be asked again later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deferral {
    /// The message waits until then.
    Wait,
    /// The budget does not suffice: the error that came with the wish is the end.
    End,
    /// Another attempt is under way, and its reply counts. The next one waits until then.
    Note,
}

/// When the first send is, the budget begins to run; the row's expiry may end it sooner. None for
/// an event.
pub fn deadline(message: &Message, now: Instant) -> Option<Instant> {
    let end = now + message.row.budget.duration();
    (!message.is_event()).then(|| message.expires.map_or(end, |expires| expires.min(end)))
}

/// The outcome of a message that has expired while it waited for its first send, say for NATS. It
/// is not sent.
pub fn unsent(message: &Message, now: Instant) -> Option<Outcome> {
    let has_expired = message.attempt == 0 && message.expires.is_some_and(|expires| expires <= now);
    has_expired.then(|| Outcome::expired(&message.row.target, message.ran.is_possible()))
}

/// When to look at a message that was just sent: when the reply to this attempt is overdue or the
/// budget is spent.
pub fn after_send(message: &Message, attempt_timeout: Duration, now: Instant) -> Instant {
    let overdue = now + attempt_timeout;
    message.deadline.map_or(overdue, |deadline| deadline.min(overdue))
}

/// True if a refused message may be sent again. One that may have run ends as a timeout anyway, and
/// may still find its answer.
pub fn may_try_again(message: &Message, now: Instant) -> bool {
    let left = message.deadline.map(|deadline| deadline.saturating_duration_since(now));
    message.ran.is_possible() || is_worth_a_try(left)
}

/// True if a message that awaits a reply may be sent again before its patience ends, since the
/// reply or the request may be lost: its target must know repeats, and have the time to answer.
pub fn may_repeat_at_once(message: &Message, now: Instant) -> bool {
    let awaits = message.attempt > 0 && message.stage == Stage::Sent;
    let knows_repeats = message.row.protocol == Protocol::JsonRpc && !message.is_event();
    let in_time = message.deadline.is_none_or(|deadline| deadline.saturating_duration_since(now) >= TOO_LATE);
    let wanted = message.not_before().is_none_or(|until| now >= until);
    awaits && knows_repeats && in_time && wanted
}

/// In the reply to this attempt a handler has asked to be asked again, not before `until`.
pub fn on_later(message: &Message, attempt: u32, until: Instant) -> Deferral {
    let is_last = attempt == message.attempt;
    if !is_last && message.stage == Stage::Sent {
        return Deferral::Note;
    }
    let left = message.deadline.map(|deadline| deadline.saturating_duration_since(until));
    match is_worth_a_try(left) {
        true => Deferral::Wait,
        false if is_last => Deferral::End,
        // An attempt after it may be at work.
        false => Deferral::Note,
    }
}

/// A message's timer has fired.
pub fn on_timer(message: &Message, now: Instant) -> Next {
    if now < message.due {
        return Next::Wait(message.due);
    }
    match (message.deadline, message.stage) {
        (Some(deadline), _) if now >= deadline => Next::End(end(message)),
        // Its lane sends it again; the timer only watches the budget.
        (Some(deadline), Stage::Refused(_)) => Next::Wait(deadline),
        (Some(deadline), _) if deadline.saturating_duration_since(now) < TOO_LATE => Next::Wait(deadline),
        (_, Stage::PutOff) => Next::Again,
        (deadline, _) => match message.not_before().filter(|until| now < *until) {
            Some(until) => Next::Wait(deadline.map_or(until, |deadline| deadline.min(until))),
            None => Next::Send,
        },
    }
}

/// The last word of a handler is the end if no attempt after it may have run.
///
/// `unavailable` says that nobody took the message. That must be true of every attempt, those of a
/// leader before us included; else the truth is that nobody answered.
fn end(message: &Message) -> End {
    let is_out = message.stage == Stage::Sent || message.ran.is_unanswered();
    match message.last_refusal() {
        _ if message.later.is_some() && !is_out => End::PutOff,
        Some(refusal) if !message.ran.is_possible() => End::Unavailable(refusal),
        _ => End::Timeout,
    }
}

/// True if a message that nobody has taken may be sent again with so much of its budget left; none
/// without a budget.
fn is_worth_a_try(left: Option<Duration>) -> bool {
    left.is_none_or(|left| left >= LAST_TRY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_taken_is_not_sent_in_the_last_fifty_milliseconds() {
        assert!(is_worth_a_try(None));
        assert!(is_worth_a_try(Some(Duration::from_millis(50))));
        assert!(!is_worth_a_try(Some(Duration::from_millis(49))));
        assert!(!is_worth_a_try(Some(Duration::ZERO)));
    }
}
