//! The faults of a run.

use std::time::Duration;

use crate::{random::Random, time::Time};

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A process is killed, and another one takes its place after a while.
    Kill,
    /// A process stands still.
    Freeze,
    /// A process is told to stop, and another one takes its place.
    Stop,
    /// Nothing gets through between a process and the database.
    CutDatabase,
    /// Nothing gets through between a process and NATS.
    CutNats,
    /// The NATS server stops, and starts again.
    NatsRestart,
    /// Messages to clients get lost.
    Loss,
    /// Messages to clients come twice.
    Doubles,
    /// Messages to clients overtake each other.
    Reorder,
    /// Everything takes long.
    Delay,
    /// NATS has no room for what a copy sends.
    NoRoom,
    /// A copy takes requests slowly, and drops what it has no room for.
    SlowConsumer,
    /// The database restarts in good order.
    Restart,
    /// The database falls, and starts again from its log.
    Crash,
    /// A standby takes the place of the database, and lacks its newest part.
    FailOver,
    /// Sessions are terminated.
    Terminate,
    /// A backend stands still.
    FreezeBackend,
    /// A transaction of a stranger stays open.
    LongTransaction,
    /// The clock of a host jumps.
    Clock,
}

/// All kinds.
pub const KINDS: [Kind; 19] = [
    Kind::Kill,
    Kind::Freeze,
    Kind::Stop,
    Kind::CutDatabase,
    Kind::CutNats,
    Kind::NatsRestart,
    Kind::Loss,
    Kind::Doubles,
    Kind::Reorder,
    Kind::Delay,
    Kind::NoRoom,
    Kind::SlowConsumer,
    Kind::Restart,
    Kind::Crash,
    Kind::FailOver,
    Kind::Terminate,
    Kind::FreezeBackend,
    Kind::LongTransaction,
    Kind::Clock,
];

impl Kind {
    /// One of them. A crash loses something only where commits are not synchronous.
    pub fn draw(random: &mut Random, synchronous: bool) -> Self {
        let kind = match random.one_in(6) {
            // The one that loses most.
            true => Self::FailOver,
            false => random.pick(&KINDS).copied().unwrap_or(Self::Kill),
        };
        if kind == Self::Restart && !synchronous { Self::Crash } else { kind }
    }

    /// True if nothing else waits for the reason of such a fault.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::LongTransaction | Self::Clock)
    }
}

/// A fault.
#[derive(Clone, Debug)]
pub struct Fault {
    /// When it begins.
    pub at: Time,
    /// When it began.
    pub began: Option<Time>,
    /// How long it lasts.
    pub lasts: Duration,
    /// Its kind.
    pub kind: Kind,
    /// The copy that it hits.
    pub copy: usize,
    /// It hits the copy that leads the service of that one.
    pub leads: bool,
    /// A number for what else is to be decided.
    pub size: u64,
}

/// The faults that hit all messages, now.
#[derive(Clone, Copy, Debug, Default)]
pub struct Weather {
    /// Faults of a kind that last now.
    pub loss: u32,
    /// Doubles.
    pub doubles: u32,
    /// Overtaking.
    pub reorder: u32,
    /// Delay.
    pub delay: u32,
}
