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
    /// The disk of the database is full.
    DiskFull,
    /// Sessions are terminated.
    Terminate,
    /// A backend stands still.
    FreezeBackend,
    /// A transaction of a stranger stays open.
    LongTransaction,
    /// The clock of the database's host jumps, and back.
    Clock,
    /// A service is led from another server, too: a clone of the database, or a promoted standby.
    Rival,
}

/// All kinds.
pub const KINDS: [Kind; 21] = [
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
    Kind::DiskFull,
    Kind::Terminate,
    Kind::FreezeBackend,
    Kind::LongTransaction,
    Kind::Clock,
    Kind::Rival,
];

impl Kind {
    /// One of them. A crash loses something only where commits are not synchronous.
    pub fn draw(random: &mut Random, synchronous: bool) -> Self {
        let kind = match random.one_in(12) {
            // The one that loses most.
            true => Self::FailOver,
            false => random.pick(&KINDS).copied().unwrap_or(Self::Kill),
        };
        if kind == Self::Restart && !synchronous { Self::Crash } else { kind }
    }

    /// True if nothing waits for the reason that such a fault lasts.
    pub fn is_harmless(self) -> bool {
        matches!(self, Self::LongTransaction | Self::Clock | Self::Rival)
    }
}

/// The longest jumps of a clock, in microseconds: some disturb nobody, some make a leader seem
/// silent, some a message seem to come from the future.
const JUMPS: [u64; 4] = [1_000_000, 15_000_000, 600_000_000, 3_600_000_000];

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

/// The longest time that a fault waits for a bad moment.
const PATIENCE: Duration = Duration::from_secs(5);

impl Fault {
    /// The longest time that it waits for a bad moment.
    pub fn patience(&self) -> Duration {
        if self.is_patient() { PATIENCE } else { Duration::ZERO }
    }

    /// True if it waits for a bad moment: a failover for a reply handler at work whose message is
    /// lost with it, and whose id is soon given out again; a kill for a copy that works on what it
    /// has accepted; the end of a leader's session for a leader that will have to say itself that
    /// nobody has answered; a lack of room in NATS for one whose message has been refused.
    pub fn is_patient(&self) -> bool {
        match self.kind {
            Kind::FailOver | Kind::Terminate | Kind::NoRoom => self.size.is_multiple_of(3),
            Kind::Kill => !self.size.is_multiple_of(3),
            _ => false,
        }
    }

    /// The time that it lasts: what happens at one moment has only consequences.
    pub fn span(&self) -> Duration {
        match self.kind {
            // Publishers come together meanwhile.
            Kind::FailOver if self.is_patient() => Duration::from_micros(500_000 + self.size % 3_000_000),
            Kind::NoRoom if self.is_patient() => self.lasts.max(Duration::from_millis(2_500)),
            Kind::Kill => self.lasts.min(Duration::from_secs(4)),
            Kind::Stop => self.lasts.min(Duration::from_secs(5)),
            Kind::Terminate => self.lasts.min(Duration::from_millis(1)),
            _ => self.lasts,
        }
    }

    /// The jump of a clock, in microseconds.
    pub fn jump(&self) -> i64 {
        let most = JUMPS[(self.size >> 1) as usize % JUMPS.len()];
        let span = ((self.size >> 8) % most).cast_signed();
        if self.size & 1 == 0 { span } else { -span }
    }
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
