//! The life of a process: it starts, and is killed. And the birth of a message.

use std::time::Duration;

use super::{
    World,
    book::Fate,
    clock,
    event::Event,
    plan::Letter,
    process::{Lead, Life, Process},
    rows,
};
use crate::time::Time;

impl World {
    /// True if a process runs.
    pub(super) fn runs(&self, process: usize) -> bool {
        self.processes[process].life == Life::Runs
    }

    /// The process that an event is for.
    pub(super) fn process_of(&self, event: &Event) -> Option<usize> {
        match event {
            Event::Answer(session) | Event::Lost(session) | Event::Notes(session) => {
                self.lines.get(session)?.process
            }
            Event::Receive(connection) | Event::Late(connection, _) => self.owners.get(connection).copied(),
            Event::Disconnected(process, _)
            | Event::Connect(process, _)
            | Event::Wake(process, _)
            | Event::Follow(process, _)
            | Event::Claimed(process, _)
            | Event::AskAgain(process, _)
            | Event::OpenInbox(process, _) => Some(*process),
            Event::Run(run) | Event::Overdue(run) | Event::SayWorking(run) => {
                self.runs.get(run).map(|run| run.process)
            }
            Event::Handle(handler) => self.handlers.get(handler).map(|handler| handler.process),
            _ => None,
        }
    }

    pub(super) fn start(&mut self, at: usize) {
        if self.processes[at].life != Life::Dead {
            return;
        }
        let turn = self.processes[at].turn + 1;
        let (service, copy) = (self.processes[at].service, self.processes[at].copy);
        let said = Some((self.database.clock(self.now()), self.now()));
        self.processes[at] =
            Process { turn, life: Life::Runs, serves: true, said, ..Process::new(service, copy) };
        self.note(format_args!("process {at} starts, the {turn}."));
        self.connect_nats(at, turn);
        self.open_inbox(at, turn);
        self.follow_in(at, Duration::from_millis(5));
    }

    /// A process is killed: all of its sockets are closed.
    pub(super) fn kill(&mut self, at: usize) {
        if self.processes[at].life == Life::Dead {
            return;
        }
        self.note(format_args!("process {at} is killed"));
        self.processes[at].life = Life::Dead;
        self.processes[at].deferred.clear();
        self.processes[at].lead = Lead::Away;
        let sessions: Vec<_> = self.lines.iter().filter(|(_, line)| line.process == Some(at)).collect();
        for session in sessions.into_iter().map(|(session, _)| *session).collect::<Vec<_>>() {
            self.close(session);
        }
        self.runs.retain(|_, run| run.process != at);
        self.orphans.extend(self.handlers.extract_if(.., |_, handler| handler.process == at));
        self.leave_nats(at);
    }

    /// The database's time, as a copy has it: it asks now and then, and goes on by its own monotonic
    /// clock in between. A word that is older than this is asked for again.
    pub(super) fn clock_of(&mut self, at: usize, age: Duration) -> Time {
        let now = self.now();
        let can_ask = self.database_up && !self.processes[at].database_cut;
        let (theirs, asked) = self.processes[at].said.unwrap_or_default();
        if now - asked > age && can_ask {
            self.processes[at].said = Some((self.database.clock(now), now));
            return self.database.clock(now);
        }
        theirs + (now - asked)
    }

    /// A new message of this letter.
    pub(super) fn new_uid(&mut self, service: usize, transaction: Option<usize>, letter: &Letter) -> u128 {
        let mut random = [0; 10];
        let draws = [self.scheduler.random().next_u64(), self.scheduler.random().next_u64()];
        let bytes = draws.into_iter().flat_map(u64::to_be_bytes);
        random.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        let clock = self.database.clock(self.now());
        let uid = rows::number(&tpro_wire::Uid::v7(clock::unix_ms(clock), random));
        let fate = Fate {
            service,
            transaction,
            letter: letter.clone(),
            due: None,
            made: self.now(),
            id: None,
            inserted: None,
            committed: None,
            settled: None,
            lost_reply: false,
            sent: None,
            sender: None,
            attempts: 0,
            runs: 0,
            copy_of: None,
            let_through: false,
        };
        self.book.add(uid, fate);
        uid
    }
}
