//! A process: a copy of a service, which serves, and leads or follows.

use std::collections::BTreeMap;

use tpro_dispatcher::{
    core::{Core, Handled, TakeOver},
    election::standing::Standing,
};
use tpro_wire::Uid;

use super::{callbacks::Known, event::Event, inbox::Inbox, jobs::Job, line::Tag};
use crate::{nats::ConnectionId, postgres::SessionId, time::Time};

/// The life of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Runs,
    /// It stands still.
    Frozen,
    /// It is dead.
    Dead,
}

/// A copy that leads.
pub struct Leader {
    /// The core.
    pub core: Core,
    /// The reply handlers in SQL that it knows.
    pub callbacks: Known,
    /// Statements of it that are under way.
    pub jobs: BTreeMap<Tag, Job>,
    /// Messages that await an answer: their targets, and the ends of their budgets.
    pub flying: BTreeMap<Uid, (usize, Time)>,
    /// Ids of messages by uid, for those that are flying.
    pub ids: BTreeMap<i64, Uid>,
    /// It was told to stop.
    pub told: Option<Time>,
}

/// The leadership, as a copy has it.
pub enum Lead {
    /// It has no session.
    Away,
    /// It wants to lead.
    Follows(SessionId),
    /// It has the lock, and asks whether its service is led from another server.
    Claims(SessionId),
    /// It has the lock, and finds out what there is to do.
    Begins(SessionId, Box<TakeOver>),
    /// It leads.
    Leads(SessionId, Box<Leader>),
}

impl Lead {
    /// Its session.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::Away => None,
            Self::Follows(session)
            | Self::Claims(session)
            | Self::Begins(session, _)
            | Self::Leads(session, _) => Some(*session),
        }
    }
}

/// A process.
pub struct Process {
    /// Its service.
    pub service: usize,
    /// Its number among the copies of the service.
    pub copy: usize,
    /// Counts the processes that were this copy.
    pub turn: u64,
    /// Its life.
    pub life: Life,
    /// Events that it gets when it goes on.
    pub deferred: Vec<Event>,
    /// Nothing gets through to the database.
    pub database_cut: bool,
    /// Nothing gets through to NATS.
    pub nats_cut: bool,
    /// Its connection to NATS.
    pub connection: Option<ConnectionId>,
    /// The number of that connection.
    pub number: u64,
    /// It serves, if it is connected.
    pub serves: bool,
    /// NATS has no room for what it sends.
    pub full: bool,
    /// Requests are taken slowly.
    pub slow: bool,
    /// It leads or follows.
    pub lead: Lead,
    /// Its claim to lead.
    pub claim: Option<Standing>,
    /// What it waits for in its own time has this number.
    pub token: u64,
    /// When it asked for the lead last.
    pub asked: Option<Time>,
    /// When it looked last whether its leader is frozen.
    pub looked: Time,
    /// Sessions of it that failed one after the other.
    pub failures: u32,
    /// When its session for leading began.
    pub since: Time,
    /// The time that the database has said last, and when.
    pub said: Option<(Time, Time)>,
    /// Its inbox.
    pub inbox: Inbox,
    /// Handlers at work.
    pub at_work: usize,
    /// The run of the one suspect that may run.
    pub suspect: Option<u64>,
    /// Runs by uid.
    pub flight: BTreeMap<u128, u64>,
    /// Reply handlers that have ended, for the core.
    pub handled: Vec<Handled>,
}

impl Process {
    /// A process that has not started.
    pub fn new(service: usize, copy: usize) -> Self {
        Self {
            service,
            copy,
            turn: 0,
            life: Life::Dead,
            deferred: Vec::new(),
            database_cut: false,
            nats_cut: false,
            connection: None,
            number: 0,
            serves: false,
            full: false,
            slow: false,
            lead: Lead::Away,
            claim: None,
            token: 0,
            asked: None,
            looked: Time::START,
            failures: 0,
            since: Time::START,
            said: None,
            inbox: Inbox::default(),
            at_work: 0,
            suspect: None,
            flight: BTreeMap::new(),
            handled: Vec::new(),
        }
    }

    /// The number by which the inbox knows it: another one for each process.
    pub fn key(&self) -> i32 {
        (self.turn * 100 + self.service as u64 * 10 + self.copy as u64) as i32
    }
}
