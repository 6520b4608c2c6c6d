//! Statements of the inbox: `accept.sql`, `known.sql`, `finish.sql`, `finish_accepted.sql`, `outcome.sql`, `counted.sql`, `count_repeat.sql` of the service.

use super::{
    locks::LockKind,
    row::{Outcome, Receive, Row, Service, Table},
    server::Server,
    session::SessionId,
    statement::{Answer, Known, Taking},
    transactions::View,
    work::{Insert, Returns},
    writing::Flow,
};
use crate::time::Time;

impl Server {
    /// `inbox.accept_unaccepted`.
    pub(super) fn accept(
        &mut self,
        session: SessionId,
        service: Service,
        copy_key: i32,
        mut takings: Vec<Taking>,
        now: Time,
    ) -> Flow {
        takings.sort_by_key(|taking| taking.uid);
        let rows = takings.into_iter().map(|taking| Row::Receive(receive(taking, copy_key, now))).collect();
        self.insert(
            session,
            Insert { service, rows, skips: true, inserted: Vec::new(), returns: Returns::Uids },
        )
    }

    /// `inbox.finish_unfinished`.
    pub(super) fn finish(
        &mut self,
        session: SessionId,
        service: Service,
        mut outcomes: Vec<Outcome>,
    ) -> Flow {
        outcomes.sort_by_key(|outcome| outcome.uid);
        let rows = outcomes.into_iter().map(Row::Outcome).collect();
        self.insert(
            session,
            Insert { service, rows, skips: true, inserted: Vec::new(), returns: Returns::Uids },
        )
    }

    /// True if a copy has accepted a message, as a statement sees it: `inbox.finish_accepted` asks
    /// for it.
    pub(super) fn is_accepted(&self, view: View, service: Service, copy_key: i32, uid: u128) -> bool {
        let by_copy = |row: &Row| matches!(row, Row::Receive(receive) if receive.copy_key == copy_key);
        self.heap.of_uid(service, Table::Receive, uid, view).any(by_copy)
    }

    /// `inbox.count_repeat`: by the least number that is seen.
    pub(super) fn count_repeat(
        &mut self,
        session: SessionId,
        service: Service,
        copy_key: i32,
        taking: Taking,
        begun: i32,
        now: Time,
    ) -> Flow {
        let row = Row::Receive(receive(Taking { run: -begun - 1, ..taking }, copy_key, now));
        let rows = [row].into();
        self.insert(
            session,
            Insert { service, rows, skips: true, inserted: Vec::new(), returns: Returns::Repeat },
        )
    }

    /// `inbox.counted`: the number of repeats that were counted.
    pub(super) fn begun(&self, view: View, service: Service, uid: u128) -> i32 {
        let runs = self.heap.of_uid(service, Table::Receive, uid, view).filter_map(run_of);
        runs.min().map_or(0, |least| -least.min(0))
    }

    /// `inbox.known`, for a copy.
    pub(super) fn known(
        &self,
        view: View,
        session: SessionId,
        service: Service,
        copy_key: i32,
        uids: &[u128],
        now: Time,
    ) -> Answer {
        let known = |uid: &u128| {
            let outcome = self.heap.of_uid(service, Table::Outcome, *uid, view).next();
            let answer = outcome.and_then(|row| match row {
                Row::Outcome(outcome) => Some(outcome.answer.clone()),
                _ => None,
            });
            let last = self.heap.of_uid(service, Table::Receive, *uid, view).next_back();
            let last = last.and_then(|row| match row {
                Row::Receive(receive) => Some(receive),
                _ => None,
            });
            let is_present = last.is_some_and(|last| {
                answer.is_none()
                    && last.copy_key != copy_key
                    && self.locks.is_held_elsewhere((service, LockKind::Copy(last.copy_key)), session)
            });
            Known {
                uid: *uid,
                answer,
                run: last.map(|last| last.run),
                ours: last.is_some_and(|last| last.copy_key == copy_key),
                has_time: last.is_some_and(|last| now < last.deadline),
                is_present,
                first: last.map(|last| (last.source.clone(), last.target.clone(), last.proof.clone())),
                is_awaited: last.is_some_and(|last| now < last.deadline + (last.deadline - last.at)),
            }
        };
        Answer::Known(uids.iter().map(known).collect())
    }

    /// `inbox.outcome`.
    pub(super) fn outcomes(&self, view: View, service: Service, uids: &[u128]) -> Answer {
        let stored = |uid: &u128| match self.heap.of_uid(service, Table::Outcome, *uid, view).next()? {
            Row::Outcome(outcome) => Some((*uid, outcome.answer.clone())),
            _ => None,
        };
        Answer::Outcomes(uids.iter().filter_map(stored).collect())
    }
}

fn run_of(row: &Row) -> Option<i32> {
    match row {
        Row::Receive(receive) => Some(receive.run),
        _ => None,
    }
}

fn receive(taking: Taking, copy_key: i32, now: Time) -> Receive {
    Receive {
        uid: taking.uid,
        run: taking.run,
        copy_key,
        source: taking.source,
        target: taking.target,
        attempt: taking.attempt,
        at: now,
        deadline: now + taking.budget,
        proof: taking.proof,
    }
}
