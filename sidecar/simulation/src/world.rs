//! The world of a run: processes with real cores, publishers, operators, and faults, on the
//! simulated servers.
//!
//! The product's own are the cores of the dispatcher, the start of a leader, the verdict of the
//! inbox, the order of statements of a reply handler, and all that is on the wire. The rest of a
//! process is written here a second time, as small as it can be, without IO. A seed decides all: the
//! plan of a run is drawn from it before the run begins, and later choices are draws of the scheduler.

mod batching;
mod book;
mod busy;
mod callbacks;
mod case;
mod claiming;
mod clock;
mod coverage;
mod database;
mod event;
mod fault;
mod faulting;
mod finished;
mod following;
mod handling;
mod inbox;
mod jobs;
mod leading;
mod life;
mod line;
mod moments;
mod names;
mod network;
mod operating;
mod order;
mod own;
mod plan;
mod process;
mod publishing;
mod recon;
mod releasing;
mod replying;
mod rival;
mod rows;
mod run;
mod sending;
mod serving;
mod total;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use prometheus_client::{metrics::family::Family, registry::Registry};
use tpro_dispatcher::metrics::Counts;

use self::{
    book::Book,
    event::{Event, Owner},
    fault::Weather,
    handling::AtHandler,
    line::{Ended, Line},
    names::{COPIES, LABELS, SERVICES},
    plan::{BUSY, Plan},
    process::{Life, Process},
    run::Run,
};
pub use self::{
    case::{Case, NoCase},
    coverage::Coverage,
    fault::{KINDS, Kind},
    finished::{Finished, LeftOut},
    total::Total,
};
use crate::{
    nats::{self, ConnectionId},
    postgres::{self, SessionId},
    random::Random,
    scheduler::Scheduler,
    time::Time,
    trace::Trace,
};

/// After the last fault everything must be settled within the longest budget and so long.
const AFTERWARDS: Duration = Duration::from_secs(75);
/// More events than this are no run.
const MOST_EVENTS: u64 = 4_000_000;
/// The longest that leaders that are told to stop may take when nothing is in hand.
const STOP: Duration = Duration::from_secs(2);
/// The time after the end of a fault in which it may have consequences.
const CONSEQUENCES: Duration = Duration::from_secs(16);
/// A copy asks the database for the time after so long.
const ASK_TIME: Duration = Duration::from_secs(5);
/// The lead of the database's clock over the time of the run, in microseconds, so that it can go back.
const AHEAD: i64 = 2 * 3_600 * 1_000_000;

/// The world of a run.
pub struct World {
    plan: Plan,
    scheduler: Scheduler<Event>,
    trace: Trace,
    database: postgres::Server,
    database_up: bool,
    broker: nats::Server,
    broker_up: bool,
    lines: BTreeMap<SessionId, Line>,
    /// Sessions whose statement waits.
    blocked: BTreeSet<SessionId>,
    /// Those of them of which it is planned that they go on.
    resuming: BTreeSet<SessionId>,
    next_tag: u64,
    processes: Vec<Process>,
    /// Things that are on their way to clients of NATS, as planned.
    coming: BTreeMap<ConnectionId, usize>,
    owners: BTreeMap<ConnectionId, usize>,
    runs: BTreeMap<u64, Run>,
    handlers: BTreeMap<u64, AtHandler>,
    /// Reply handlers of processes that were killed: the server may end what they had said.
    orphans: BTreeMap<u64, AtHandler>,
    next_run: u64,
    weather: Weather,
    /// Sessions of publishers and operators, by transaction.
    publishers: BTreeMap<usize, publishing::Publishing>,
    operators: BTreeMap<usize, operating::Operating>,
    releasers: releasing::Releasers,
    strangers: BTreeMap<usize, SessionId>,
    frozen_backends: BTreeMap<usize, SessionId>,
    book: Book,
    counts: Counts,
    coverage: Coverage,
    faults: BTreeMap<Kind, u64>,
    /// Rivals, by their faults.
    rivals: BTreeMap<usize, rival::Rival>,
    /// Faults of a full disk that last.
    full_disks: u32,
    /// Ids that publishers have drawn before they begin.
    drawn: BTreeMap<usize, Vec<i64>>,
    /// Faults that last.
    lasting: usize,
    /// The end has come.
    over: bool,
}

/// Runs a seed. `whole` has every line of the trace kept.
pub fn run(seed: u64, left_out: &LeftOut, whole: bool) -> Finished {
    let mut world = World::new(seed, whole);
    let planned = (world.plan.transactions.len(), world.plan.faults.len());
    world.begin(left_out);
    let mut events = 0;
    while !world.over
        && let Some(event) = world.scheduler.next_event()
    {
        events += 1;
        world.on_event(event);
        if events > MOST_EVENTS {
            world.book.broken.push("time hardly passes: something is looked at again and again".into());
            break;
        }
    }
    world.ask_the_oracle(planned, events)
}

impl World {
    fn new(seed: u64, whole: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::draw(&mut random);
        let mut database = postgres::Server::new(&SERVICES);
        database.set_clock(AHEAD);
        database.pause_commits(plan.knobs.stepwise);
        database.commit_synchronously(plan.knobs.synchronous);
        let processes = (0..SERVICES.len() * COPIES).map(|at| Process::new(at / COPIES, at % COPIES));
        Self {
            scheduler: Scheduler::new(random.next_u64()),
            trace: if whole { Trace::whole() } else { Trace::default() },
            database,
            database_up: true,
            broker: nats::Server::watching(LABELS),
            broker_up: true,
            lines: BTreeMap::new(),
            blocked: BTreeSet::new(),
            resuming: BTreeSet::new(),
            next_tag: 0,
            processes: processes.collect(),
            coming: BTreeMap::new(),
            owners: BTreeMap::new(),
            runs: BTreeMap::new(),
            handlers: BTreeMap::new(),
            orphans: BTreeMap::new(),
            next_run: 0,
            weather: Weather::default(),
            publishers: BTreeMap::new(),
            operators: BTreeMap::new(),
            releasers: releasing::Releasers::default(),
            strangers: BTreeMap::new(),
            frozen_backends: BTreeMap::new(),
            book: Book::default(),
            counts: Counts::new(&mut Registry::default(), Family::default()),
            coverage: Coverage::default(),
            faults: BTreeMap::new(),
            rivals: BTreeMap::new(),
            full_disks: 0,
            drawn: BTreeMap::new(),
            lasting: 0,
            over: false,
            plan,
        }
    }

    fn begin(&mut self, left_out: &LeftOut) {
        for at in 0..self.processes.len() {
            let span = Duration::from_micros(self.scheduler.random().below(400_000));
            self.scheduler.after(span, Event::Start(at));
        }
        for (at, transaction) in self.plan.transactions.iter().enumerate() {
            if !left_out.transactions.contains(&at) {
                self.scheduler.at(transaction.at, Event::Publish(at));
            }
        }
        let mut end = Time::START + BUSY;
        for (at, fault) in self.plan.faults.iter().enumerate() {
            if !left_out.faults.contains(&at) {
                self.scheduler.at(fault.at, Event::Fault(at));
                end = end.max(fault.at + fault.lasts + fault.patience());
            }
        }
        self.plan_namings();
        self.scheduler.at(Time::START, Event::LookForHolds);
        self.scheduler.at(end + CONSEQUENCES, Event::Probe);
    }

    fn now(&self) -> Time {
        self.scheduler.now()
    }

    fn note(&mut self, text: std::fmt::Arguments) {
        let now = self.scheduler.now();
        self.trace.line(now, text);
    }

    /// A time within which something gets through.
    fn latency(&mut self) -> Duration {
        let most = self.plan.knobs.latency * if self.weather.delay > 0 { 100 } else { 1 };
        Duration::from_micros(20 + self.scheduler.random().below(most))
    }

    fn soon(&mut self, event: Event) {
        let span = self.latency();
        self.scheduler.after(span, event);
    }

    fn on_event(&mut self, event: Event) {
        if let Some(process) = self.process_of(&event)
            && self.processes[process].life == Life::Frozen
        {
            self.processes[process].deferred.push(event);
            return;
        }
        match event {
            Event::Publish(at) => self.publish(at),
            Event::Conclude(at) => self.conclude(at),
            Event::Cancel(at) => self.cancel(at),
            Event::ConcludeCancel(at) => self.conclude_cancel(at),
            Event::LookForHolds => self.look_for_holds(),
            Event::ConcludeRelease(releaser) => self.conclude_release(releaser),
            Event::Name(at) => self.name_callbacks(at),
            Event::Fault(at) => self.on_fault(at),
            Event::Heal(at) => self.heal(at),
            Event::Reach(session) => self.on_reach(session),
            Event::Resume(session) => self.on_resume(session),
            Event::Idle(session) => self.on_idle(session),
            Event::HangUp(session) => self.on_hang_up(session),
            Event::Silent(session) => self.on_silent(session),
            Event::Answer(session) => self.on_answer(session),
            Event::Lost(session) => self.on_lost(session),
            Event::Notes(session) => self.on_notes(session),
            Event::Carry(connection) => self.on_carry(connection),
            Event::Receive(connection) => self.on_receive(connection),
            Event::Late(connection, delivery) => self.deliver(connection, *delivery),
            Event::Closed(connection) => self.on_closed(connection),
            Event::Disconnected(process, connection) => self.on_disconnected(process, connection),
            Event::Connect(process, turn) => self.connect_nats(process, turn),
            Event::Wake(process, token) => self.on_wake(process, token),
            Event::Follow(process, token) => self.on_follow(process, token),
            Event::Claimed(process, session) => self.on_claimed(process, session),
            Event::AskAgain(process, session) => self.on_ask_again(process, session),
            Event::Rival(at) => self.on_rival(at),
            Event::OpenInbox(process, turn) => self.open_inbox(process, turn),
            Event::Handle(handler) => self.begin_handler(handler),
            Event::Run(run) => self.go_on_with_run(run),
            Event::Overdue(run) => self.on_overdue(run),
            Event::SayWorking(run) => self.say_working(run),
            Event::Start(process) => self.start(process),
            Event::Kill(process, turn) => {
                if self.processes[process].turn == turn {
                    self.kill(process);
                    self.scheduler.after(Duration::from_millis(300), Event::Start(process));
                }
            }
            Event::Probe => self.on_probe(),
            Event::Stop => self.on_stop(),
            Event::End => self.over = true,
        }
    }

    /// An answer of the database has come to the one who asked.
    fn on_ended(&mut self, owner: Owner, session: SessionId, ended: Ended) {
        match owner {
            Owner::Leader(process) => self.leader_hears(process, session, ended),
            Owner::Writer(process) => self.inbox_hears(process, session, ended),
            Owner::Run(run) => self.run_hears(run, session, ended),
            Owner::Handler(handler) => self.handler_hears(handler, session, ended),
            Owner::Publisher(at) => self.publisher_hears(at, session, ended),
            Owner::Operator(at) => self.operator_hears(at, session, ended),
            Owner::Releaser(releaser) => self.releaser_hears(releaser, session, ended),
        }
    }

    /// A session is gone.
    fn on_session_lost(&mut self, owner: Owner, session: SessionId) {
        match owner {
            Owner::Leader(process) => self.leader_falls(process, session),
            Owner::Writer(process) => self.inbox_lost(process, session),
            Owner::Run(run) => self.run_lost(run, session),
            Owner::Handler(handler) => self.handler_lost(handler, session),
            Owner::Publisher(at) => self.publisher_lost(at, session),
            Owner::Operator(at) => drop(self.operators.remove(&at)),
            Owner::Releaser(releaser) => self.end_releasing(releaser),
        }
    }
}
