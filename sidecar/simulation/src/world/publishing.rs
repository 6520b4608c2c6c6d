//! Publishers.

use std::time::Duration;

use super::{
    World,
    event::{Event, Owner},
    line::{Ended, Settles},
    names::{KEYS, NOBODY, SPACE, names, names_label, priority},
    plan::{Conclusion, Letter, Way},
};

use crate::{
    postgres::{Answer, NewMessage, Service, SessionId, SqlState, Statement, Step},
    scheduler::Ticket,
    time::Time,
};

/// A publisher at work.
pub struct Publishing {
    session: SessionId,
    uids: Vec<u128>,
    /// Its COMMIT, or COMMIT PREPARED, is under way.
    commits: bool,
    /// It holds its PREPARE back until its leader is awake; this is when it gives that up.
    lurks: Option<Ticket>,
    /// It waits for a message with an ordering key; this is when it gives that up.
    pub(super) waits: Option<Ticket>,
    /// The target service and the key of that message.
    pub(super) follows: Option<(usize, Option<usize>)>,
}

impl Publishing {
    /// A publisher of these messages.
    pub(super) fn new(session: SessionId, uids: Vec<u128>) -> Self {
        Self { session, uids, commits: false, lurks: None, waits: None, follows: None }
    }
}

/// The headers of a message that holds its key when it fails.
const HOLDS: &str = r#"{"ordering": {"on_error": "hold"}}"#;
/// The longest time that a PREPARE is held back.
const LURK: Duration = Duration::from_secs(3);

impl World {
    pub(super) fn publish(&mut self, at: usize) {
        let transaction = self.plan.transactions[at].clone();
        if !self.database_up && transaction.waits {
            // Those who have waited come all at once when it is back.
            let pause = Duration::from_micros(self.scheduler.random().between(5_000, 200_000));
            self.scheduler.after(pause, Event::Publish(at));
            return;
        }
        if let Some(early) = transaction.early
            && self.database_up
            && !self.drawn.contains_key(&at)
        {
            self.draw(at, transaction.service, transaction.letters.len());
            self.scheduler.after(early, Event::Publish(at));
            return;
        }
        if let Some(busy) = transaction.busy
            && self.database_up
            && !self.publishers.contains_key(&at)
        {
            return self.begin_busy(at, busy);
        }
        let letters = self.letters(at);
        let uids = letters.iter().map(|letter| self.new_uid(transaction.service, Some(at), letter));
        let uids = uids.collect();
        self.begin_to_publish(at, transaction.service, uids);
    }

    /// Draws the ids of a transaction that begins later.
    fn draw(&mut self, at: usize, service: usize, count: usize) {
        let now = self.now();
        let session = self.database.connect(now);
        let mut ids = Vec::new();
        for _ in 0..count {
            let mut step = self.database.execute(session, Statement::Draw(Service(service)), now);
            while step == Step::Waits {
                step = self.database.resume(session, now);
            }
            if let Step::Done(Ok(Answer::Number(id))) = step {
                ids.push(id);
            }
        }
        self.database.hang_up(session);
        self.drawn.insert(at, ids);
    }

    /// The session of a publisher whose transaction begins.
    pub(super) fn begin_transaction(&mut self, at: usize) -> Option<SessionId> {
        let session = self.connect(Owner::Publisher(at), None)?;
        self.ask(session, Statement::Begin);
        Some(session)
    }

    /// A publisher publishes: one of the plan, or one after it.
    pub(super) fn begin_to_publish(&mut self, at: usize, service: usize, uids: Vec<u128>) {
        let busy = self.publishers.get(&at).map(|publishing| publishing.session);
        // A publisher without a database publishes nothing.
        let Some(session) = busy.or_else(|| self.begin_transaction(at)) else { return };
        let later = self.plan.transactions.get(at).and_then(|transaction| transaction.later);
        for uid in &uids {
            let (due, fate) = (later.map(|later| self.now() + later), self.book.fates.get_mut(uid));
            fate.expect("is in the book").due = due;
        }
        let now = self.database.clock(self.now()) + later.unwrap_or_default();
        let mut drawn = self.drawn.get(&at).cloned().unwrap_or_default().into_iter();
        let messages = uids.iter().map(|uid| self.row_of(*uid, drawn.next(), now)).collect();
        self.publishers.insert(at, Publishing::new(session, uids));
        self.ask(
            session,
            match later {
                Some(_) => Statement::PublishLater(Service(service), messages, now),
                None => Statement::Publish(Service(service), messages),
            },
        );
    }

    /// The row of a message that is inserted now, by the clock of the database.
    pub(super) fn row_of(&self, uid: u128, id: Option<i64>, now: Time) -> NewMessage {
        let letter = &self.book.fates[&uid].letter;
        let lane = if letter.way == Way::Nobody { NOBODY } else { names(letter.target).service.as_str() };
        NewMessage {
            id,
            uid,
            lane: format!("{SPACE}.{lane}").into(),
            method: method(letter).into(),
            protocol: "jsonrpc".into(),
            timeout: letter.budget,
            expires_at: letter.expires.map(|after| now + after),
            direct: false,
            reply_to: names_label(uid),
            priority: priority(uid),
            key: letter.key.map(|key| KEYS[key].into()),
            headers: if letter.holds { HOLDS.into() } else { "{}".into() },
            body: "{}".into(),
        }
    }

    pub(super) fn publisher_hears(&mut self, at: usize, session: SessionId, ended: Ended) {
        let Some(publishing) = self.publishers.get_mut(&at).filter(|it| it.session == session) else {
            return;
        };
        let open = self.plan.transactions.get(at).map(|transaction| transaction.open);
        match ended.result {
            Ok(Answer::Ids(ids)) => {
                for (uid, id) in publishing.uids.iter().zip(ids) {
                    if let Some(fate) = self.book.fates.get_mut(uid) {
                        fate.id = Some(id);
                    }
                }
                self.scheduler.after(open.unwrap_or_default(), Event::Conclude(at));
                if let Some((after, _)) =
                    self.plan.transactions.get(at).and_then(|transaction| transaction.cancel)
                {
                    self.scheduler.after(after, Event::Cancel(at));
                }
            }
            Err(_) => self.end_publishing(at),
            Ok(Answer::Done | Answer::RolledBack) if publishing.commits => self.end_publishing(at),
            Ok(_) => {}
        }
    }

    /// A publisher whose session is gone does not know whether it has published. What it has
    /// prepared is committed later.
    pub(super) fn publisher_lost(&mut self, at: usize, session: SessionId) {
        let Some(publishing) = self.publishers.get(&at).filter(|it| it.session == session) else { return };
        let has_published = !publishing.uids.is_empty();
        self.publishers.remove(&at);
        let prepares =
            |transaction: &super::plan::Transaction| matches!(transaction.conclusion, Conclusion::Prepare(_));
        if has_published && self.plan.transactions.get(at).is_some_and(prepares) {
            self.scheduler.after(Duration::from_secs(1), Event::Conclude(at));
        }
    }

    /// Commits what another session has prepared.
    fn commit_prepared(&mut self, at: usize) {
        let of = self.book.fates.iter().filter(|(_, fate)| fate.transaction == Some(at));
        let uids = of.map(|(uid, _)| *uid).collect();
        let Some(session) = self.connect(Owner::Publisher(at), None) else {
            self.scheduler.after(Duration::from_secs(1), Event::Conclude(at));
            return;
        };
        self.publishers.insert(at, Publishing { commits: true, ..Publishing::new(session, uids) });
        self.ask(session, Statement::CommitPrepared(format!("p{at}").into()));
    }

    fn end_publishing(&mut self, at: usize) {
        if let Some(publishing) = self.publishers.remove(&at) {
            self.close(publishing.session);
        }
    }

    pub(super) fn conclude(&mut self, at: usize) {
        let conclusion =
            self.plan.transactions.get(at).map_or(Conclusion::Commit, |transaction| transaction.conclusion);
        let Some(publishing) = self.publishers.get_mut(&at) else {
            if matches!(conclusion, Conclusion::Prepare(_)) {
                self.commit_prepared(at);
            }
            return;
        };
        let session = publishing.session;
        // A transaction that is prepared while its leader is awake keeps the bell from it. Leaders
        // sleep most of the time, so some wait for that.
        let lurks = matches!(conclusion, Conclusion::Prepare(_)) && at.is_multiple_of(2);
        if lurks && publishing.lurks.is_none() {
            publishing.lurks = Some(self.scheduler.after(LURK, Event::Conclude(at)));
            return;
        }
        if std::mem::replace(&mut publishing.commits, true) {
            return;
        }
        let statement = match conclusion {
            Conclusion::Commit => Statement::Commit,
            Conclusion::Rollback => {
                publishing.uids.clear();
                Statement::Rollback
            }
            Conclusion::Prepare(after) => {
                // Another session commits it.
                self.scheduler.after(after + Duration::from_millis(50), Event::Conclude(at));
                Statement::Prepare(format!("p{at}").into())
            }
        };
        self.ask(session, statement);
    }

    /// The leader of this service is awake now: those who have waited for that prepare their transactions.
    pub(super) fn pounce(&mut self, service: usize) {
        for (at, publishing) in &self.publishers {
            let of = self.plan.transactions.get(*at).map(|transaction| transaction.service);
            if of == Some(service)
                && let Some(ticket) = publishing.lurks
                && self.scheduler.take_back(ticket).is_some()
            {
                self.scheduler.after(Duration::ZERO, Event::Conclude(*at));
            }
        }
    }

    /// A statement has ended on the server: the book is kept by what others see.
    pub(super) fn executed(&mut self, owner: Owner, settles: Settles, result: &Result<Answer, SqlState>) {
        let now = self.now();
        if result.is_err() {
            return;
        }
        if let Ok(Answer::SentDue(sent)) = result {
            for (uid, id) in &sent.renamed {
                if let Some(fate) = self.book.fates.get_mut(uid) {
                    fate.id = Some(*id);
                }
            }
        }
        let (mut committed, mut settled) = (Vec::new(), settles);
        match owner {
            Owner::Publisher(at) if matches!(result, Ok(Answer::Ids(_))) => {
                for uid in self.publishers.get(&at).into_iter().flat_map(|publishing| &publishing.uids) {
                    if let Some(fate) = self.book.fates.get_mut(uid) {
                        fate.inserted = Some(now);
                    }
                }
            }
            Owner::Publisher(at) if *result == Ok(Answer::Done) => {
                if let Some(publishing) = self.publishers.get(&at).filter(|it| it.commits) {
                    committed.clone_from(&publishing.uids);
                }
            }
            Owner::Operator(at) if *result == Ok(Answer::Done) => {
                settled.extend(self.operators.get(&at).filter(|it| it.commits).map(|it| it.uid));
            }
            Owner::Releaser(releaser) => {
                committed.extend(result.as_ref().ok().and_then(|it| self.releaser_executes(releaser, it)));
            }
            Owner::Handler(handler) => {
                let commits = result.as_ref().ok().and_then(|answer| self.handler_executes(handler, answer));
                settled.extend(commits);
            }
            _ => {}
        }
        for uid in committed {
            if let Some(fate) = self.book.fates.get_mut(&uid)
                && self.database.is_published(Service(fate.service), fate.id.unwrap_or_default(), uid)
            {
                fate.committed.get_or_insert(now);
                let fate = fate.clone();
                self.follow(&fate);
            }
        }
        for uid in settled {
            if let Some(fate) = self.book.fates.get_mut(&uid) {
                fate.settled.get_or_insert(now);
            }
        }
    }
}

/// The method of a message, `entity.method_name`.
fn method(letter: &Letter) -> String {
    let way = match letter.way {
        Way::Transactional => "transactional",
        Way::Batched | Way::Nobody => "batched",
        Way::Stateless => "stateless",
        Way::Event => "event",
    };
    format!("example.{}{way}", if letter.handled { "handled_" } else { "" })
}
