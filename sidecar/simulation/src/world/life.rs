//! The life of a process: it starts, and is killed. And the birth of a message.

use std::time::Duration;

use super::{
    World,
    book::Fate,
    clock,
    plan::Letter,
    process::{Lead, Life, Process},
    rows,
};

impl World {
    /// True if a process runs.
    pub(super) fn runs(&self, process: usize) -> bool {
        self.processes[process].life == Life::Runs
    }

    pub(super) fn start(&mut self, at: usize) {
        if self.processes[at].life != Life::Dead {
            return;
        }
        let turn = self.processes[at].turn + 1;
        let (service, copy) = (self.processes[at].service, self.processes[at].copy);
        self.processes[at] = Process { turn, life: Life::Runs, serves: true, ..Process::new(service, copy) };
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

    /// A new message of this letter.
    pub(super) fn new_uid(&mut self, service: usize, transaction: Option<usize>, letter: &Letter) -> u128 {
        let mut random = [0; 10];
        let draws = [self.scheduler.random().next_u64(), self.scheduler.random().next_u64()];
        let bytes = draws.into_iter().flat_map(u64::to_be_bytes);
        random.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        let uid = rows::number(&tpro_wire::Uid::v7(clock::unix_ms(self.now()), random));
        let fate = Fate {
            service,
            transaction,
            letter: letter.clone(),
            id: None,
            committed: None,
            settled: None,
            sent: None,
            attempts: 0,
            runs: 0,
        };
        self.book.fates.insert(uid, fate);
        uid
    }
}
