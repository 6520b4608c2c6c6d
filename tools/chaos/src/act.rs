//! One fault: its kind, its victim, and its length.

use std::fmt;
use std::time::Duration;

use tpro_testkit::StopMode;
use tpro_testkit::proxy::Fault;

/// The services, two copies of each.
pub const SERVICES: [&str; 4] = ["main", "analytic", "co", "rogue"];
/// Copies of each service.
pub const COPIES: u32 = 2;

/// The tables of a service that somebody may read for long.
pub const TABLES: [&str; 4] = ["mq_publish", "mq_reply", "mq_receive", "mq_outcome"];

/// The victim of a fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Whom {
    /// A copy by its number.
    Copy(&'static str, u32),
    /// The copy that leads its service's outbox at that moment.
    Leader(&'static str),
}

impl fmt::Display for Whom {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy(service, number) => write!(out, "{service}-{number}"),
            Self::Leader(service) => write!(out, "the leader of {service}"),
        }
    }
}

/// The kind of a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum What {
    /// SIGKILL, and a new start after the pause.
    Kill(Whom, Duration),
    /// SIGTERM, and a new start after its end and the pause.
    Stop(Whom, Duration),
    /// SIGSTOP, and SIGCONT after the pause.
    Freeze(Whom, Duration),
    /// `pg_terminate_backend` on some sessions of sidecars, one each 200 ms.
    Terminate(u32),
    /// PostgreSQL goes, and comes back after the pause.
    Postgres(StopMode, Duration),
    /// nats-server goes (killed or in good order), and comes back after the pause.
    Nats(bool, Duration),
    /// A bad line between a copy and NATS.
    NatsLine(Whom, Fault, Duration),
    /// A bad line between a copy and PostgreSQL.
    DatabaseLine(Whom, Fault, Duration),
    /// A bad line between the publishers and PostgreSQL.
    PublisherLine(Fault, Duration),
    /// A transaction that has read one table of a service stays open.
    Reader(&'static str, &'static str, Duration),
    /// The ids of a service's outbox go on this much higher, as after a large transaction that was
    /// rolled back.
    Jump(&'static str, i64),
}

impl What {
    /// The time that it lasts.
    pub fn length(&self) -> Duration {
        match *self {
            Self::Kill(_, length)
            | Self::Stop(_, length)
            | Self::Freeze(_, length)
            | Self::Postgres(_, length)
            | Self::Nats(_, length)
            | Self::NatsLine(_, _, length)
            | Self::DatabaseLine(_, _, length)
            | Self::PublisherLine(_, length)
            | Self::Reader(_, _, length) => length,
            // Done in a moment; the next one waits until the maintenance may have seen it.
            Self::Jump(..) => Duration::from_secs(8),
            Self::Terminate(sessions) => Duration::from_millis(200) * sessions,
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.length().as_secs_f64();
        match self {
            Self::Kill(whom, _) => write!(out, "SIGKILL {whom}, back after {seconds:.1} s"),
            Self::Stop(whom, _) => write!(out, "SIGTERM {whom}, back {seconds:.1} s after its end"),
            Self::Freeze(whom, _) => write!(out, "SIGSTOP {whom} for {seconds:.1} s"),
            Self::Terminate(sessions) => write!(out, "terminate {sessions} sessions of sidecars"),
            Self::Postgres(mode, _) => write!(out, "PostgreSQL stops ({mode:?}), back after {seconds:.1} s"),
            Self::Nats(killed, _) => {
                let how = if *killed { "is killed" } else { "stops" };
                write!(out, "nats-server {how}, back after {seconds:.1} s")
            }
            Self::NatsLine(whom, fault, _) => write!(out, "{whom} to NATS: {fault:?} for {seconds:.1} s"),
            Self::DatabaseLine(whom, fault, _) => {
                write!(out, "{whom} to PostgreSQL: {fault:?} for {seconds:.1} s")
            }
            Self::PublisherLine(fault, _) => {
                write!(out, "publishers to PostgreSQL: {fault:?} for {seconds:.1} s")
            }
            Self::Reader(service, table, _) => {
                write!(out, "a transaction that reads {table} of {service}, open for {seconds:.1} s")
            }
            Self::Jump(service, ids) => write!(out, "the ids of {service} jump by {ids}"),
        }
    }
}

/// A fault at its time.
#[derive(Clone, Debug, PartialEq)]
pub struct Act {
    /// The time since the start of the run.
    pub at: Duration,
    /// The fault.
    pub what: What,
}

impl fmt::Display for Act {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:7.1} s  {}", self.at.as_secs_f64(), self.what)
    }
}
