//! The core as a whole, driven by hand: inputs in, actions out.

mod batches;
mod belts;
mod events;
mod forwards;
mod holds;
mod later;
mod moves;
mod order;
mod put_off;
mod refusals;
mod session;
mod stop;
mod take_over;
mod way;

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use prometheus_client::{metrics::family::Family, registry::Registry};
use tpro_wire::{
    budget::Budget, name::ServiceName, priority::Priority, protocol::Protocol, reply_subject::ReplyPrefix,
    status::Status, target::Target, trace::TraceParent, uid::Uid,
};
use uuid::Uuid;

use super::{
    published::{Content, Published, Row},
    snapshot::{Snapshot, Xid},
    *,
};

const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
const HEARTBEAT: Duration = Duration::from_secs(5);

/// An attempt that the core has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attempt {
    uid: Uid,
    number: u32,
    told: u32,
}

/// A core, its moment, and what it has asked for and nobody has looked at.
struct Leader {
    core: Core,
    now: Instant,
    sent: Vec<Attempt>,
    statements: Vec<Statement>,
    others: Vec<Action>,
    /// NATS has room for each message.
    open: bool,
}

impl Leader {
    /// A leader that has found this, with all it asks for at its start answered.
    fn new(found: Found) -> Self {
        Self::with(settings(), found)
    }

    fn with(settings: Settings, found: Found) -> Self {
        let now = Instant::now();
        let counts = Counts::new(&mut Registry::default(), Family::default());
        let core = Core::new(settings, found, counts, Spans::off(), now);
        let (sent, statements, others) = (Vec::new(), Vec::new(), Vec::new());
        let mut leader = Self { core, now, sent, statements, others, open: true };
        leader.tell(Input::Clock(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)));
        leader.take("Heartbeat");
        leader.tell(Input::Done(Done::Beat));
        leader.take("SendDue");
        leader.tell(Input::Done(Done::SentDue(Some(Sent::default()))));
        leader
    }

    /// One that a leader before has left nothing to.
    fn fresh() -> Self {
        Self::new(Found {
            seen: Snapshot::at(1),
            until: None,
            pending: Vec::new(),
            owed: Vec::new(),
            stuck: None,
        })
    }

    /// A fresh one that has the bell and sleeps.
    fn quiet() -> Self {
        let mut leader = Self::fresh();
        while !leader.core.reading.is_armed() {
            let asked: Vec<_> = leader.statements.iter().map(name).collect();
            if asked.contains(&"Page") {
                leader.reads(Vec::new());
            } else if asked.contains(&"Sleep") {
                leader.take("Sleep");
                leader.tell(Input::Done(Done::Slept { ours: true, leaders: 1 }));
            } else {
                leader.pass(Duration::from_millis(1));
            }
        }
        leader.reads(Vec::new());
        leader
    }

    /// Tells something, and notes what is asked for then.
    fn tell(&mut self, input: Input<'_>) {
        self.core.handle(input, self.now);
        loop {
            while let Some(action) = self.core.poll(self.now) {
                match action {
                    Action::Run(statement) => self.statements.push(statement),
                    Action::Send(key) => self.send(key),
                    other => self.others.push(other),
                }
            }
            if !self.open || !self.core.wants_room() {
                return;
            }
            self.core.handle(Input::Room, self.now);
        }
    }

    fn send(&mut self, key: Key) {
        let message = self.core.outgoing(key).expect("is in flight");
        self.sent.push(Attempt { uid: message.row.uid, number: message.attempt, told: message.told });
        self.core.handle(Input::Sent(key), self.now);
    }

    /// Lets time pass, from one moment that the core wants to the next. Heartbeats are answered.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let next = self.core.next_timeout().map_or(end, |next| next.min(end));
            assert!(next > self.now, "it would spin");
            self.now = next;
            self.tell(Input::Time);
            while let Some(at) = self.statements.iter().position(|it| matches!(it, Statement::Heartbeat)) {
                self.statements.remove(at);
                self.tell(Input::Done(Done::Beat));
            }
        }
    }

    /// The statement of this kind that was asked for.
    fn take(&mut self, kind: &str) -> Statement {
        let at = self.statements.iter().position(|it| name(it) == kind);
        let names: Vec<_> = self.statements.iter().map(name).collect();
        self.statements.remove(at.unwrap_or_else(|| panic!("no {kind} among {names:?}")))
    }

    /// Answers the read that was asked for with these rows, and nothing after it.
    fn reads(&mut self, rows: Vec<Row>) {
        let Statement::Page { limit, .. } = self.take("Page") else { unreachable!() };
        let cur = Snapshot::at(100);
        self.tell(Input::Done(Done::Page { cur, rows, limit, gone: Vec::new() }));
    }

    /// A reply to an attempt.
    fn replies(
        &mut self,
        attempt: Attempt,
        status: Option<u16>,
        headers: &[(String, String)],
        payload: &str,
    ) {
        let subject = settings().replies.subject("co", &attempt.uid, attempt.number);
        self.tell(Input::Reply(Incoming {
            subject: &subject,
            status,
            headers: &headers.to_vec(),
            payload: payload.as_bytes(),
        }));
    }

    fn answers(&mut self, attempt: Attempt) {
        let payload = format!(r#"{{"jsonrpc":"2.0","id":"{}","result":1}}"#, attempt.uid);
        self.replies(attempt, None, &[], &payload);
    }

    /// The handler of an attempt wants to be asked again after so many seconds.
    fn puts_off(&mut self, attempt: Attempt, seconds: u64) {
        let (state, after) = ("later".to_owned(), (seconds * 1_000).to_string());
        let headers = [("Tpro-State".to_owned(), state), ("Tpro-Retry-After-Ms".to_owned(), after)];
        let error = r#"{"code":7,"message":"not now"}"#;
        let payload = format!(r#"{{"jsonrpc":"2.0","id":"{}","error":{error}}}"#, attempt.uid);
        self.replies(attempt, None, &headers, &payload);
    }

    /// Nobody subscribes to the subject of an attempt.
    fn finds_nobody(&mut self, attempt: Attempt) {
        self.replies(attempt, Some(503), &[], "");
    }

    /// The outcomes that are to be written; they are written.
    fn settles(&mut self) -> Vec<(i64, Status)> {
        self.pass(Duration::from_millis(10));
        let Statement::Settle(writing) = self.take("Settle") else { unreachable!() };
        let outcomes: Vec<_> =
            writing.part().iter().map(|it| (it.settlement.id, it.settlement.status)).collect();
        let rows = outcomes.len() as u64;
        self.tell(Input::Done(Done::Settled(writing, Ok(rows))));
        outcomes
    }

    fn unsettled(&self) -> usize {
        self.core.schedule.unsettled().len()
    }

    fn end(&self) -> Option<&End> {
        self.others.iter().find_map(|action| match action {
            Action::End(end) => Some(end),
            _ => None,
        })
    }

    fn shown(&self) -> Vec<&Notice> {
        let notices = self.others.iter().filter_map(|action| match action {
            Action::Show(notice) => Some(notice),
            _ => None,
        });
        notices.collect()
    }
}

fn settings() -> Settings {
    let service = ServiceName::parse("main").expect("is a name");
    Settings {
        replies: ReplyPrefix::new(&service, &Uuid::from_u128(7)),
        service,
        has_handler: Box::new(|_| false),
        pool: 4,
        bounds: Bounds { lane: 100, total: 400, bytes: 1 << 20, page: 50 },
        partition_rows: 1_000,
        hops: 16,
        park_after: Duration::from_millis(50),
        slow_poll: Some(Duration::from_secs(5)),
        attempt_timeout: ATTEMPT_TIMEOUT,
        heartbeat: HEARTBEAT,
        echo: Uid::v7(1, [9; 10]),
        go: None,
        seed: 1,
        connection: 1,
    }
}

/// A row with this id that has so many seconds for its reply.
fn row(id: i64, seconds: i32) -> Row {
    let target = Target::new("tpro", "co", "example", "x").expect("is a target");
    let published = Published {
        id,
        uid: Uid::v7(1, [id as u8; 10]),
        target,
        protocol: Protocol::JsonRpc,
        budget: Budget::from_seconds(seconds).expect("is a budget"),
        is_acked: false,
        requests: None,
        created_at: SystemTime::UNIX_EPOCH,
        expires_in: None,
        traceparent: TraceParent::root([1; 24], false),
        parent: None,
        tracestate: None,
        headers: None,
        language: None,
        hops: 0,
        reply_to: None,
        on_reply: None,
        hold: None,
        payload: Bytes::from_static(b"{}"),
    };
    Row {
        tx: Xid(2),
        id,
        lane: "tpro.co".into(),
        priority: Priority::default(),
        key: None,
        forwards: false,
        content: Content::Whole(Box::new(published)),
    }
}

fn name(statement: &Statement) -> &'static str {
    match statement {
        Statement::Page { .. } => "Page",
        Statement::Recover(_) => "Recover",
        Statement::Fetch { .. } => "Fetch",
        Statement::Holds(_) => "Holds",
        Statement::Recall(_) => "Recall",
        Statement::Forward(_) => "Forward",
        Statement::Sleep => "Sleep",
        Statement::Wake => "Wake",
        Statement::Settle(_) => "Settle",
        Statement::Missing(_) => "Missing",
        Statement::LookBack { .. } => "LookBack",
        Statement::MoveCursor(_) => "MoveCursor",
        Statement::Note { .. } => "Note",
        Statement::SendDue(_) => "SendDue",
        Statement::TryToSettle => "TryToSettle",
        Statement::Heartbeat => "Heartbeat",
    }
}
