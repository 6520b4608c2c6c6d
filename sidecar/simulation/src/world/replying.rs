//! Reply handlers: an outcome and the effect of its handler are one transaction.
//!
//! The order of the statements is the product's (`tpro_service::handler::settling`).

use std::time::Duration;

use tpro_dispatcher::core::{Handled, HandlerEnd, Handling, Settled};
use tpro_service::handler::settling::{Ending, Settling};
use tpro_wire::Status;

use super::{
    World,
    callbacks::is_named,
    database::passes,
    event::{Event, Owner},
    handling::{AtHandler, Stage},
    line::Ended,
    process::{Lead, Leader},
    rows,
};
use crate::postgres::{Answer, Holding, Service, SessionId, SqlState, Statement};

/// The longest time for the tries of a reply handler.
const TRIES: Duration = Duration::from_secs(10);
/// The effect of a reply handler is told from that of a handler by this bit of the uid.
pub const REPLY_EFFECT: u128 = 1 << 127;

impl World {
    /// The core has an outcome for its reply handler.
    pub(super) fn handle(&mut self, at: usize, session: SessionId, leader: &mut Leader, handling: Handling) {
        let Handling { place, settled, by_leader } = handling;
        leader.flying.remove(&settled.settlement.uid);
        leader.ids.remove(&settled.settlement.id);
        self.book.handed.insert(rows::number(&settled.settlement.uid));
        self.next_run += 1;
        let handler = self.next_run;
        let at_handler = AtHandler {
            process: at,
            leader: by_leader.then_some(session.0),
            term: session,
            place,
            settled,
            led: true,
            settling: Settling::begin(by_leader),
            stage: Stage::Begin,
            session: None,
            until: self.now() + TRIES,
        };
        self.handlers.insert(handler, at_handler);
        self.begin_handler(handler);
    }

    pub(super) fn begin_handler(&mut self, handler: u64) {
        let Some(at_handler) = self.handlers.get_mut(&handler) else { return };
        let process = at_handler.process;
        if let (Stage::Work, Some(session)) = (at_handler.stage, at_handler.session) {
            at_handler.stage = Stage::Commit;
            self.ask(session, Statement::Commit);
            return;
        }
        if !self.runs(process) {
            return;
        }
        let session = self.connect(Owner::Handler(handler), Some(process));
        let Some(at_handler) = self.handlers.get_mut(&handler) else { return };
        at_handler.settling = Settling::begin(at_handler.leader.is_some());
        at_handler.session = session;
        at_handler.stage = Stage::Begin;
        match session {
            Some(session) => {
                let (lock, most) = (Duration::from_secs(1), Duration::from_secs(15));
                self.database.set_timeouts(session, Some(lock), Some(most), Some(most));
                self.ask(session, Statement::Begin);
            }
            None => self.try_handler_again(handler, SqlState::LOST),
        }
    }

    pub(super) fn handler_hears(&mut self, handler: u64, session: SessionId, ended: Ended) {
        let Some(at_handler) = self.handlers.get_mut(&handler).filter(|it| it.session == Some(session))
        else {
            return;
        };
        let service = Service(self.processes[at_handler.process].service);
        let answer = match ended.result {
            Ok(answer) => answer,
            Err(state) => return self.try_handler_again(handler, state),
        };
        let statement = match (at_handler.stage, answer) {
            (Stage::Begin, _) => {
                at_handler.stage = Stage::Settling;
                Statement::SettleOwn(service, rows::reply(&at_handler.settled))
            }
            (Stage::Settling, Answer::Count(1..)) if at_handler.settled.settlement.hold.is_some() => {
                at_handler.stage = Stage::Hold;
                Statement::Holds(service, holding(&at_handler.settled))
            }
            (Stage::Settling | Stage::Hold, answer) => {
                let is_held = std::mem::replace(&mut at_handler.stage, Stage::Settling) == Stage::Hold;
                at_handler.settling = match answer {
                    Answer::Count(rows) => at_handler.settling.inserted(is_held || rows > 0),
                    Answer::Flag(leads) => at_handler.settling.asked(leads),
                    _ => at_handler.settling,
                };
                match at_handler.settling {
                    Settling::AskLeader => Statement::IsLed(service, at_handler.leader.unwrap_or_default()),
                    // The program's handler goes before the function, which is looked up here.
                    Settling::End(Ending::Commit) => {
                        at_handler.stage = Stage::Look;
                        Statement::Callbacks(service)
                    }
                    Settling::End(Ending::Settled) => return self.end_handler(handler, HandlerEnd::Written),
                    Settling::End(Ending::Deposed) => {
                        return self.end_handler(handler, HandlerEnd::Unwritten);
                    }
                    Settling::Insert { .. } => return,
                }
            }
            (Stage::Look, Answer::Callbacks(callbacks)) => {
                let settlement = &at_handler.settled.settlement;
                let target = &settlement.target;
                if target.method_name().starts_with("handled") || is_named(&callbacks, target) {
                    at_handler.stage = Stage::Effect;
                    Statement::Effect(service, rows::number(&settlement.uid) | REPLY_EFFECT)
                } else {
                    at_handler.stage = Stage::Commit;
                    Statement::Commit
                }
            }
            (Stage::Look, _) => return,
            (Stage::Effect, _) => {
                at_handler.stage = Stage::Work;
                let uid = rows::number(&at_handler.settled.settlement.uid);
                let work = self.book.fates.get(&uid).map(|fate| fate.letter.work).unwrap_or_default();
                self.scheduler.after(work, Event::Handle(handler));
                return;
            }
            (Stage::Work, _) => return,
            (Stage::Commit, Answer::Done) => return self.end_handler(handler, HandlerEnd::Written),
            (Stage::Commit, _) => return self.try_handler_again(handler, SqlState::FAILED_TRANSACTION),
            (Stage::Pause, _) => return,
        };
        self.ask(session, statement);
    }

    /// A statement of a reply handler has ended. Returns the message that its COMMIT settles.
    pub(super) fn handler_executes(&mut self, handler: u64, answer: &Answer) -> Option<u128> {
        let at_handler = match self.handlers.get_mut(&handler) {
            Some(at_handler) => at_handler,
            None => self.orphans.get_mut(&handler)?,
        };
        match (at_handler.stage, at_handler.leader, answer) {
            (Stage::Settling, Some(leader), Answer::Count(_)) => {
                let service = Service(self.processes[at_handler.process].service);
                at_handler.led = self.database.leader(service) == Some(SessionId(leader));
                None
            }
            (Stage::Commit, _, Answer::Done) => {
                let settlement = &at_handler.settled.settlement;
                if !at_handler.led {
                    let text = format!("a leader that was deposed has settled message {}", settlement.id);
                    self.book.broken.push(text);
                }
                Some(rows::number(&settlement.uid))
            }
            _ => None,
        }
    }

    pub(super) fn handler_lost(&mut self, handler: u64, session: SessionId) {
        let is_its_own = self.handlers.get(&handler).is_some_and(|it| it.session == Some(session));
        if is_its_own {
            self.try_handler_again(handler, SqlState::LOST);
        }
    }

    fn try_handler_again(&mut self, handler: u64, state: SqlState) {
        let now = self.now();
        let Some(at_handler) = self.handlers.get_mut(&handler) else { return };
        at_handler.stage = Stage::Pause;
        if let Some(session) = at_handler.session.take() {
            self.close(session);
        }
        let Some(at_handler) = self.handlers.get_mut(&handler) else { return };
        if !passes(state) {
            return self.end_handler(handler, HandlerEnd::Unwritten);
        }
        if now >= at_handler.until {
            return self.end_handler(handler, HandlerEnd::Again);
        }
        let pause = Duration::from_micros(self.scheduler.random().between(20_000, 500_000));
        self.scheduler.after(pause, Event::Handle(handler));
    }

    fn end_handler(&mut self, handler: u64, end: HandlerEnd) {
        let Some(at_handler) = self.handlers.remove(&handler) else { return };
        if let Some(session) = at_handler.session {
            self.close(session);
        }
        let AtHandler { process, term, place, settled, .. } = at_handler;
        self.note(format_args!("the handler of reply {} ends: {end:?}", settled.settlement.id));
        if matches!(self.processes[process].lead, Lead::Leads(of, _) if of == term) {
            self.processes[process].handled.push(Handled { place, settled, end });
            self.drive(process);
        }
    }

    /// The leader of this session leads no more: the words that only it may say are dropped.
    pub(super) fn end_words_of(&mut self, session: SessionId) {
        let words: Vec<u64> = self
            .handlers
            .iter()
            .filter(|(_, handler)| handler.leader == Some(session.0))
            .map(|(handler, _)| *handler)
            .collect();
        for word in words {
            if let Some(session) = self.handlers.remove(&word).and_then(|handler| handler.session) {
                self.close(session);
            }
        }
    }
}

/// The statement on the hold of a key: a message that has failed holds it, any other lets it go.
fn holding(settled: &Settled) -> Holding {
    let is_ok = settled.settlement.status == Status::Ok;
    rows::hold(settled).filter(|_| !is_ok).map_or(Holding::LetGo(settled.settlement.id), Holding::Add)
}
