//! The protocol of the leader, without IO.
//!
//! Nothing in this module opens a connection, reads a clock or draws a random number of its own:
//! moments come in as arguments, and the seed of the generator is handed in. So the same inputs
//! give the same actions, and the test `walls` keeps it that way. The part that knows PostgreSQL
//! and NATS is the driver.
//!
//! A [`TakeOver`] finds out how far the leader before has come, and a [`Core`] goes on from there.
//! The driver tells it what happens ([`Core::handle`]), does what it asks for until it asks for
//! nothing more ([`Core::poll`]), and waits for the next event or the next moment
//! ([`Core::next_timeout`]).
//!
//! Each part has its state for itself: [`reading`] the place in the outbox, [`messages`] what is in
//! flight, [`lanes`] the room of each target, [`chains`] the order by key, [`holds`] the keys that
//! are held, [`settling`] the outcomes, [`schedule`] the rows that the cursor is about,
//! [`forwarding`] the replies for subscribers of labels, [`later`] the moment at which the next
//! message is due. This file puts them together, and the files `turn`, `intake`, `attempts`,
//! `replies`, `belts`, `timing`, `outcomes`, `recalls`, `forwards`, `due` and `hand_over` are what
//! passes between them.

pub(crate) mod action;
mod answer;
mod attempts;
mod barrier;
pub mod bell;
mod belts;
pub mod chains;
pub mod cursor;
mod due;
pub mod floor;
pub(crate) mod forwarding;
mod forwards;
mod hand_over;
pub mod holds;
pub(crate) mod in_flight;
pub mod incoming;
pub(crate) mod input;
mod intake;
pub(crate) mod lane;
pub(crate) mod lane_id;
pub(crate) mod lanes;
pub(crate) mod later;
pub(crate) mod link;
mod message;
mod messages;
pub(crate) mod moment;
mod note;
mod outcome;
mod outcomes;
pub(crate) mod outgoing;
pub mod published;
pub(crate) mod pulse;
mod put_off;
pub mod reader;
mod reading;
pub mod recall;
mod recalls;
pub mod recovery;
mod replies;
mod reply_queue;
mod retry;
mod ring_cost;
mod ring_pace;
mod schedule;
pub(crate) mod settings;
mod settle_spans;
pub(crate) mod settled;
mod settler;
mod settling;
pub mod snapshot;
mod stuck;
pub(crate) mod take_over;
#[cfg(test)]
mod tests;
mod timers;
mod timing;
mod trace;
mod turn;
pub(crate) mod unreplied;
pub(crate) mod writing;
mod young;

use std::{
    collections::VecDeque,
    time::{Duration, Instant, SystemTime},
};

use tpro_runtime::telemetry::Spans;
use tpro_wire::random::Random;

pub use self::{
    action::{Action, End, Handling, Notice, Question, Statement},
    forwarding::Forward,
    in_flight::Key,
    incoming::{Headers, Incoming},
    input::{Done, Handled, HandlerEnd, Input},
    lane::Waiting,
    lane_id::LaneId,
    lanes::Bounds,
    later::{AT_MOST, Sent},
    link::NATS_PATIENCE,
    moment::Moment,
    outgoing::Outgoing,
    pulse::SILENCE,
    reply_queue::Place,
    settings::Settings,
    settled::Settled,
    stuck::SWALLOWED,
    take_over::{Begin, Finding, Found, Inquiry, TakeOver},
    unreplied::Unreplied,
    writing::{Trouble, Unwritten, Writing},
};
use self::{
    bell::Bell, chains::Chains, forwarding::Forwarding, lanes::Lanes, later::Looks, link::Link,
    messages::Messages, pulse::Pulse, reading::Reading, schedule::CursorSchedule, settling::Settling,
};
use crate::metrics::Counts;

/// The longest wait of a leader that is told to stop for the replies it awaits. It holds the lock
/// meanwhile, so that what is published waits for the next leader; what is not answered by then,
/// that one sends again, and the inbox of the target makes it one effect.
const LAST_REPLIES: Duration = Duration::from_secs(3);

/// Where a leader is between its first statement and its last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It leads.
    Leading,
    /// It was told to stop, and waits for the replies that it awaits, until this moment at most.
    Stopping { until: Instant },
    /// It leaves the cursor where the next leader finds everything, by this moment at the latest.
    HandingOver { until: Instant },
    /// It leads no more.
    Over,
}

/// A leader, from what it has found at its start to its end.
pub struct Core {
    settings: Settings,
    counts: Counts,
    spans: Spans,
    link: Link,
    pulse: Pulse,
    reading: Reading,
    messages: Messages,
    lanes: Lanes,
    chains: Chains,
    settling: Settling,
    schedule: CursorSchedule,
    forwarding: Forwarding,
    later: Looks,
    state: State,
    /// The reason why nothing can be settled, as it was shown last.
    shown: Option<String>,
    /// Actions that are still to be handed out.
    actions: VecDeque<Action>,
    /// NATS takes a message without waiting.
    room: bool,
    /// Nothing has happened since everything was looked at.
    looked: bool,
    /// The moment of the last input or poll.
    now: Instant,
    /// The time by the database's clock, and when it was told.
    clock: (SystemTime, Instant),
}

impl Core {
    /// A leader that has found all this. It counts and makes spans by what it is handed.
    pub fn new(settings: Settings, found: Found, counts: Counts, spans: Spans, now: Instant) -> Self {
        let Found { seen, until, pending, owed, stuck } = found;
        let bell = Bell::new(settings.park_after, settings.slow_poll, now);
        let mut core = Self {
            counts,
            spans,
            link: Link::new(settings.echo, settings.connection, now),
            pulse: Pulse::new(settings.heartbeat, now),
            reading: Reading::new(bell, seen, until, settings.partition_rows, now),
            messages: Messages::new(now),
            lanes: Lanes::new(settings.bounds, settings.go.is_some(), Random::new(settings.seed)),
            chains: Chains::default(),
            settling: Settling::new(settings.pool, stuck, now),
            schedule: CursorSchedule::new(now),
            forwarding: Forwarding::default(),
            later: Looks::new(now),
            state: State::Leading,
            shown: None,
            actions: VecDeque::new(),
            room: false,
            looked: false,
            now,
            clock: (SystemTime::UNIX_EPOCH, now),
            settings,
        };
        pending.iter().for_each(|row| core.keep(row));
        owed.into_iter().for_each(|id| core.note_reply(id, true));
        core.pulse.first_beat();
        core.run(Statement::Heartbeat);
        core
    }

    /// Something has happened.
    pub fn handle(&mut self, input: Input<'_>, now: Instant) {
        (self.now, self.looked) = (now, false);
        match self.state {
            State::Leading | State::Stopping { .. } => self.on_input(input),
            State::HandingOver { .. } => self.on_last_input(input),
            State::Over => {}
        }
    }

    fn on_input(&mut self, input: Input<'_>) {
        match input {
            Input::Connection { up, number } => self.on_connection(up, number),
            Input::Clock(time) => self.clock = (time, self.now),
            Input::Room => self.room = true,
            Input::Sent(key) => self.on_sent(key),
            Input::TooLarge { key, size, most } => self.on_too_large(key, size, most),
            Input::Asked { lane, went } => {
                self.lanes.asked(lane, went.then(|| self.link.number()), self.now);
            }
            Input::NotAskedForGo(lane) => self.lanes.not_asked_for_go(lane, self.now),
            Input::Reply(reply) => self.on_reply(&reply),
            Input::Forbidden(subject) => self.on_forbidden(subject),
            Input::Back(service) => self.on_back(service),
            Input::Rung => self.reading.rung(self.now),
            Input::Cancelled => self.reading.cancelled(),
            Input::DueSoon(moment) => self.later.told(moment, self.time(), self.now),
            Input::Done(done) => self.on_done(done),
            Input::Handled(handled) => self.on_handled(handled),
            Input::Standby(waits) => {
                if self.pulse.on_standby(waits, self.now) {
                    self.actions.push_back(Action::Show(Notice::Standby(true)));
                }
            }
            Input::Time => {}
            Input::Stop => self.on_stop(),
        }
    }

    /// The next thing to do; none: everything that can be done by now is asked for.
    pub fn poll(&mut self, now: Instant) -> Option<Action> {
        self.now = now;
        loop {
            if let Some(action) = self.actions.pop_front() {
                return Some(action);
            }
            if let Some(reply) = self.next_to_forward() {
                return Some(Action::Forward(reply));
            }
            if let Some(key) = self.next_to_send() {
                return Some(Action::Send(key));
            }
            if std::mem::replace(&mut self.looked, true) {
                return None;
            }
            self.turn();
        }
    }

    /// The next attempt of a message, as it goes on the wire.
    pub fn outgoing(&self, key: Key) -> Option<Outgoing<'_>> {
        self.messages.get(key).map(|message| Outgoing::of(message, self.now))
    }

    /// True if messages wait for room at NATS.
    pub fn wants_room(&self) -> bool {
        !self.room && (self.may_forward() || self.may_send() && self.messages.has_queued())
    }

    /// True if messages may be sent.
    fn may_send(&self) -> bool {
        let leads = matches!(self.state, State::Leading | State::Stopping { .. });
        leads && self.link.is_up() && !self.settling.is_stuck()
    }

    /// Has a statement run.
    fn run(&mut self, statement: Statement) {
        self.pulse.begins(self.now);
        self.actions.push_back(Action::Run(statement));
    }

    /// Leads no more.
    fn end(&mut self, end: End) {
        self.state = State::Over;
        self.actions.clear();
        self.actions.push_back(Action::End(end));
    }

    /// The time by the database's clock.
    fn time(&self) -> SystemTime {
        self.clock.0 + self.now.saturating_duration_since(self.clock.1)
    }
}
