//! The oracle, asked when the faults are over and all is quiet: RECON, and that no message has
//! waited longer than its reasons.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tpro_dispatcher::core::Input;
use tpro_wire::{headers, limits::DUE_CHECK};

use super::{
    Finished, World,
    book::Fate,
    event::Event,
    names::SERVICES,
    plan::{Conclusion, Letter, Transaction, Way},
    process::Lead,
    replying::REPLY_EFFECT,
    rows,
};
use crate::{
    postgres::{Message, Reply, Row, Service, Table},
    time::Time,
};

/// A message that meets no fault is settled within the time of its handler and so long: where its
/// lane may be full, and where it has room for all.
const PROMPT: (Duration, Duration) = (Duration::from_millis(1_500), Duration::from_millis(700));
/// A lane with so much room is never full.
const ROOMY: usize = 64;
/// A reply with a handler is written so much later, when as many come at once as a run has: four at
/// a time, and each commit may rest in each of its phases.
const HANDLED: Duration = Duration::from_secs(1);
/// The pause before the next look, while messages wait for those before them.
const HELD: Duration = Duration::from_secs(10);
/// A leader looks below the floor this often.
const LOOKS_BACK: Duration = Duration::from_millis(5_500);
/// An outcome that says that nobody answered has its reason at most so long before.
const REASON: Duration = Duration::from_secs(5);

impl World {
    /// Nothing has been wrong for a while: one more message of each service.
    pub(super) fn on_probe(&mut self) {
        let first = self.plan.transactions.len();
        for service in 0..SERVICES.len() {
            let letter = Letter {
                target: (service + 1) % SERVICES.len(),
                way: Way::Transactional,
                key: None,
                holds: false,
                handled: false,
                budget: 15,
                expires: None,
                work: Duration::from_millis(1),
                fails: false,
                bad: false,
            };
            let uid = self.new_uid(service, None, &letter);
            self.begin_to_publish(first + service, service, vec![uid]);
        }
        self.scheduler.after(super::AFTERWARDS, Event::Stop);
    }

    /// The leaders are told to stop. What is not settled by now has waited for too long.
    pub(super) fn on_stop(&mut self) {
        // The tables know of a commit that nobody was told of.
        let replied: BTreeSet<u128> = (0..SERVICES.len())
            .flat_map(|service| rows::uids(&self.database.rows(Service(service), Table::Reply)))
            .collect();
        let (held, late): (Vec<_>, Vec<_>) = self
            .book
            .fates
            .iter()
            .filter(|(_, fate)| fate.committed.is_some() && fate.settled.is_none())
            .filter(|(uid, _)| !replied.contains(uid))
            // By a clock that was put back its time may not have come.
            .filter(|(_, fate)| fate.due.is_none() || self.book.has_kept_time(fate, self.now()))
            .partition(|(_, fate)| self.is_held(fate));
        let text = |(uid, it): (_, &Fate)| format!("message {:?} of {uid:x} is not settled: {it:?}", it.id);
        let (is_over, late) = (held.is_empty(), late.into_iter().map(text).collect::<Vec<_>>());
        self.book.broken.extend(late);
        if !is_over {
            self.scheduler.after(HELD, Event::Stop);
            return;
        }
        let now = self.now();
        for at in 0..self.processes.len() {
            if matches!(self.processes[at].lead, Lead::Leads(..)) {
                self.processes[at].serves = false;
                self.tell(at, |leader| {
                    leader.told = Some(now);
                    Some(Input::Stop)
                });
            }
        }
        self.scheduler.after(Duration::from_secs(8), Event::End);
    }

    /// Asks the oracle.
    pub(super) fn ask_the_oracle(mut self, planned: (usize, usize), events: u64) -> Finished {
        let mut broken = std::mem::take(&mut self.book.broken);
        for service in 0..SERVICES.len() {
            self.look_at(service, &mut broken);
        }
        for fate in self.book.fates.values() {
            self.look_at_fate(fate, &mut broken);
        }
        for at in 0..self.processes.len() {
            if let Lead::Leads(session, leader) = &self.processes[at].lead
                && leader.told.is_some()
            {
                broken.push(format!("process {at} leads on {session:?}, though it was told to stop"));
            }
        }
        let passed = self.now() - Time::START;
        Finished {
            broken,
            hash: self.trace.hash(),
            lines: self.trace.last().map(str::to_owned).collect(),
            messages: self.book.fates.values().filter(|fate| fate.committed.is_some()).count(),
            faults: self.faults,
            coverage: self.coverage,
            planned,
            passed,
            events,
        }
    }

    /// The tables of a service.
    fn look_at(&mut self, service: usize, broken: &mut Vec<String>) {
        let name = SERVICES[service];
        let read = |table| self.database.rows(Service(service), table);
        let mut replies: BTreeMap<i64, Reply> = BTreeMap::new();
        for row in read(Table::Reply) {
            if let Row::Reply(reply) = row {
                replies.insert(reply.mq_id, reply);
            }
        }
        let published = self.published();
        let mut statuses = Vec::new();
        for row in read(Table::Publish) {
            let Row::Publish(message) = row else { continue };
            match replies.remove(&message.id) {
                None => broken.push(format!("message {} of {name} has no reply", message.id)),
                Some(reply) if reply.uid != message.uid => {
                    broken.push(format!("message {} of {name} has the reply of another", message.id));
                }
                Some(reply) => {
                    self.look_at_reply(&reply, broken);
                    self.look_at_label(&message, &reply, published.get(&message.uid), broken);
                    self.look_at_hold(service, &message, &reply, broken);
                    statuses.push(reply.status);
                }
            }
        }
        for reply in replies.values() {
            broken.push(format!("reply {} of {name} has no message", reply.mq_id));
        }
        // Effects and outcomes of this service, as the one that is asked.
        let mut effects: BTreeMap<u128, usize> = BTreeMap::new();
        for row in read(Table::Effect) {
            if let Row::Effect(uid) = row {
                *effects.entry(uid).or_default() += 1;
            }
        }
        let outcomes: BTreeSet<u128> = rows::uids(&read(Table::Outcome));
        let accepted: BTreeSet<u128> = rows::uids(&read(Table::Receive));
        for (uid, times) in &effects {
            if *times > 1 {
                broken.push(format!("{uid:x} has {times} effects in {name}"));
            }
            let of_handler = uid & REPLY_EFFECT == 0;
            if of_handler && !(outcomes.contains(uid) && accepted.contains(uid)) {
                broken.push(format!("{uid:x} has an effect in {name} and no outcome"));
            }
        }
        for uid in &outcomes {
            if !accepted.contains(uid) {
                broken.push(format!("{uid:x} has an outcome in {name} and was not accepted"));
            }
            let is_own = self.book.fates.get(uid).is_some_and(|fate| {
                matches!(fate.letter.way, Way::Transactional | Way::Event) && !fate.letter.fails
            });
            let is_done = self.stored(service, *uid).is_some_and(|answer| answer.starts_with("{\"result\""));
            if is_own && is_done && !effects.contains_key(uid) {
                broken.push(format!("{uid:x} has an outcome in {name} and no effect"));
            }
        }
        for status in statuses {
            self.coverage.status(&status);
        }
    }

    /// The stored outcome of a message in the inbox of a service.
    fn stored(&self, service: usize, uid: u128) -> Option<std::sync::Arc<str>> {
        self.database.stored(Service(service), uid)
    }

    /// The statuses that were published to labels, by the uids of their messages.
    fn published(&self) -> BTreeMap<u128, BTreeSet<Arc<str>>> {
        let mut published: BTreeMap<u128, BTreeSet<Arc<str>>> = BTreeMap::new();
        for message in self.broker.kept() {
            let header = |name: &str| message.headers.iter().find(|(other, _)| **other == *name);
            if let (Some((_, uid)), Some((_, status))) = (header(headers::MSG_ID), header(headers::STATUS)) {
                let uid = uid.parse().expect("is a uid");
                published.entry(rows::number(&uid)).or_default().insert(status.clone());
            }
        }
        published
    }

    /// A message that names a label: its reply was published there as it is in the table, and no
    /// other was.
    fn look_at_label(
        &self,
        message: &Message,
        reply: &Reply,
        published: Option<&BTreeSet<Arc<str>>>,
        broken: &mut Vec<String>,
    ) {
        let (id, status) = (message.id, &reply.status);
        match published {
            None if message.reply_to => broken.push(format!("the reply of {id} was not published")),
            Some(_) if !message.reply_to => broken.push(format!("{id} names no label and was published")),
            Some(all) if !all.contains(status) || (all.len() > 1 && !self.has_lost()) => {
                broken.push(format!("{id} ended as {status}, and {all:?} was published"));
            }
            _ => {}
        }
    }

    /// A reply, beside what its target has stored.
    fn look_at_reply(&self, reply: &Reply, broken: &mut Vec<String>) {
        let Some(fate) = self.book.fates.get(&reply.uid) else {
            return broken.push(format!("nobody has published the message of reply {}", reply.mq_id));
        };
        if fate.letter.way == Way::Event || fate.letter.way == Way::Nobody {
            return;
        }
        let stored = self.stored(fate.letter.target, reply.uid);
        let result = reply.result.as_ref().map(|result| format!("{{\"result\":{result}}}"));
        match &*reply.status {
            "ok" if fate.letter.way == Way::Stateless => {}
            "ok" if !self.has_lost() && stored.as_deref() != result.as_deref() => broken
                .push(format!("reply {} says {result:?}, and the target has stored {stored:?}", reply.mq_id)),
            "unavailable" | "expired" if fate.runs > 0 && !self.book.doubled && !self.has_lost() => {
                broken.push(format!("message {} ran, and its reply says {}", reply.mq_id, reply.status));
            }
            _ => {}
        }
    }

    /// True if the database may have lost a part of what was committed.
    fn has_lost(&self) -> bool {
        use super::fault::Kind::{Crash, FailOver};
        self.faults.contains_key(&Crash) || self.faults.contains_key(&FailOver)
    }

    /// The wait of a message, and its end.
    fn look_at_fate(&self, fate: &Fate, broken: &mut Vec<String>) {
        let (Some(committed), Some(settled), Some(id)) = (fate.committed, fate.settled, fate.id) else {
            return;
        };
        if let (Some(due), Some(sent)) = (fate.due, fate.sent)
            && sent < due
            && self.book.has_kept_time(fate, sent)
        {
            broken.push(format!(
                "message {id} of {} was sent {:?} early",
                SERVICES[fate.service],
                due - sent
            ));
        }
        // A message that waits for its time has a reason to wait.
        let committed = fate.due.map_or(committed, |due| due.max(committed));
        // So has one with an ordering key while another of its chain is at work.
        let begin = self.book.held_until(fate).map_or(committed, |held| held.max(committed));
        let is_troubled = |from, until| self.book.is_troubled(from, until, Some(fate));
        // With its outcome lost and its accept kept, a message seems to be at work until its deadline.
        let may_be_half = self.book.lost.is_some_and(|lost| committed <= lost);
        let is_plain = !self.plan.knobs.tight
            && fate.letter.way != Way::Nobody
            && !may_be_half
            && !self.book.has_jumped(fate, settled)
            && (fate.due.is_none() || self.book.has_kept_time(fate, settled));
        let transaction = fate.transaction.and_then(|at| self.plan.transactions.get(at));
        let was_cancelled = transaction.is_some_and(|transaction| transaction.cancel.is_some());
        // What is prepared while the dispatcher sleeps cannot ring when it is committed.
        let is_prepared =
            |transaction: &Transaction| matches!(transaction.conclusion, Conclusion::Prepare(_));
        let poll = self.plan.knobs.slow_poll.filter(|_| transaction.is_some_and(is_prepared));
        // Nor does it tell of what is due soon, which is found by looking.
        let looks = fate.due.filter(|_| transaction.is_some_and(is_prepared)).map(|_| DUE_CHECK);
        let prompt = if self.plan.knobs.lane >= ROOMY { PROMPT.1 } else { PROMPT.0 };
        // Ids that were drawn before lie below the floor, where the leader looks now and then.
        let early = transaction.and_then(|transaction| transaction.early).map(|_| LOOKS_BACK);
        // Handlers write few replies at a time, each in a commit of its own.
        let mut namings = self.plan.namings.iter();
        let has_function = namings.any(|naming| naming.is_of(fate.service, &fate.letter));
        let written = if fate.letter.handled || has_function { HANDLED } else { Duration::ZERO };
        let limit = poll.unwrap_or_default()
            + looks.unwrap_or_default()
            + early.unwrap_or_default()
            + fate.letter.work
            + prompt
            + written;
        if is_plain && !was_cancelled && settled - begin > limit && !is_troubled(begin, settled) {
            let (waited, name) = (settled - begin, SERVICES[fate.service]);
            broken.push(format!("message {id} of {name} waited {waited:?} without a reason"));
        }
        let late = begin.max(Time::of_micros(settled.micros().saturating_sub(REASON.as_micros() as u64)));
        if let Some(reply) = self.database.reply_of(Service(fate.service), id)
            && is_plain
            && is_failure(&reply)
            && !fate.letter.bad
            && fate.letter.expires.is_none()
            && !is_troubled(late, settled)
        {
            broken.push(format!(
                "message {id} of {} ends as {} ({:?}) without a reason",
                SERVICES[fate.service], reply.status, reply.error
            ));
        }
    }
}

/// True if a reply says that nobody has done it.
fn is_failure(reply: &Reply) -> bool {
    let is_by_us = reply.error.as_deref().is_some_and(|error| !error.contains("it fails"));
    match &*reply.status {
        "timeout" | "unavailable" => true,
        "error" => is_by_us,
        _ => false,
    }
}
