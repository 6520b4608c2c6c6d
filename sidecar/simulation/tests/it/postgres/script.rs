//! Random statements, as the product's parts might send them.

use std::{sync::Arc, time::Duration};

use tpro_simulation::{
    postgres::{
        Cursor, Hold, Holding, NewMessage, Outcome, Reply, Service, Snapshot, Statement, Taking, Window, Xid,
    },
    random::Random,
};

/// The service.
pub const MAIN: Service = Service(0);
/// Uids of version 7 have these bits.
const VERSION_7: u128 = 0x0199_0000_0000_7000_8000_0000_0000_0000;
/// Rows of a page.
const PAGE: usize = 4;

/// What a script remembers.
pub struct Script {
    pub random: Random,
    /// Uids that were given out.
    uids: u64,
    /// The last id that may have been drawn.
    pub ids: i64,
    /// Ids that were drawn and not used.
    pub drawn: Vec<i64>,
    /// Prepared transactions.
    pub prepared: Vec<Arc<str>>,
    names: u32,
    /// The reader's place.
    pub window: Window,
    /// An earlier snapshot.
    pub seen: Snapshot,
}

impl Script {
    pub fn new(seed: u64) -> Self {
        let seen = Snapshot::at(Xid(1));
        Self {
            random: Random::new(seed),
            uids: 0,
            ids: 0,
            drawn: Vec::new(),
            prepared: Vec::new(),
            names: 0,
            window: window(seen.clone()),
            seen,
        }
    }

    /// The next statement of a session, which may be in a transaction. `now` is the snapshot of this moment.
    pub fn statement(&mut self, in_transaction: bool, pid: u32, now: &Snapshot) -> Statement {
        let kind = self.random.below(100);
        match kind {
            0..12 if !in_transaction => Statement::Begin,
            0..12 => Statement::Commit,
            12..16 if in_transaction => Statement::Rollback,
            16..18 if in_transaction && self.prepared.len() < 3 => {
                self.names += 1;
                let name: Arc<str> = format!("p{}", self.names).into();
                self.prepared.push(name.clone());
                Statement::Prepare(name)
            }
            18..21 if !in_transaction && !self.prepared.is_empty() => {
                let at = self.random.below(self.prepared.len() as u64) as usize;
                let name = self.prepared.remove(at);
                match self.random.one_in(3) {
                    true => Statement::RollbackPrepared(name),
                    false => Statement::CommitPrepared(name),
                }
            }
            21..23 => Statement::Snapshot,
            23 => Statement::Holds(MAIN, self.holding()),
            24 => Statement::TakeXid,
            25..27 => Statement::Draw(MAIN),
            27..41 => {
                let messages = (0..=self.random.below(3)).map(|_| self.message()).collect();
                Statement::Publish(MAIN, messages)
            }
            41..52 => Statement::Read(MAIN, self.window.clone()),
            52..54 => {
                let after = (Xid(self.seen.xmin().0.saturating_sub(1)), i64::MAX);
                let last = self.id();
                Statement::LookBack(MAIN, self.seen.clone(), now.clone(), last, after, PAGE)
            }
            54 => Statement::Drawn(MAIN),
            55..58 => Statement::Fetch(MAIN, self.some_ids()),
            58..60 => Statement::Unsettled(MAIN, self.some_ids()),
            60 => Statement::Settled(MAIN, self.some_ids()),
            61 if self.flag() => Statement::Owed(MAIN, self.some_ids()),
            61 => Statement::Forward(MAIN, self.some_ids()),
            62..67 => Statement::Settle(MAIN, self.replies(), 0),
            67..71 if self.flag() => {
                let replies = self.replies();
                let mut holds: Vec<Hold> = replies.iter().map(|reply| self.hold(reply.mq_id)).collect();
                holds.retain(|_| self.flag());
                Statement::SettleHolding(MAIN, replies, 0, holds)
            }
            67..71 => Statement::SettleUnsettled(MAIN, self.replies(), 0),
            71 => Statement::SettleOwn(MAIN, self.reply()),
            72..74 => Statement::Cancel(MAIN, self.id()),
            74 => Statement::Cursor(MAIN),
            75..77 => {
                let pending = self.some_ids();
                Statement::MoveCursor(MAIN, Cursor { snapshot: now.clone(), pending, clean: self.flag() })
            }
            77 => Statement::NoteBacklog(MAIN, self.random.below(3) as i64, self.flag(), self.id()),
            78 => Statement::Lead(MAIN),
            79..82 => Statement::Sleep(MAIN),
            82 => Statement::Wake(MAIN),
            83 => Statement::Present(MAIN, self.copy()),
            84 => Statement::IsPresent(MAIN, self.copy()),
            85 => Statement::IsLed(MAIN, pid),
            86..88 => Statement::Listen(self.channel()),
            88 => Statement::Notify(self.channel(), ["", "x"][usize::from(self.flag())].into()),
            89 if in_transaction => Statement::SetPatience(self.flag().then(|| Duration::from_millis(30))),
            90..93 => {
                let takings = (0..=self.random.below(2)).map(|_| self.taking()).collect();
                Statement::Accept(MAIN, self.copy(), takings)
            }
            93 => Statement::Known(MAIN, self.copy(), vec![self.inbox_uid(), self.inbox_uid()]),
            94..96 => {
                let outcome = |script: &mut Self| Outcome {
                    uid: script.inbox_uid(),
                    run: 1 + script.random.below(2) as i32,
                    answer: format!("{{\"result\": {}}}", script.random.below(9)).into(),
                };
                let outcomes: Vec<_> = (0..=self.random.below(2)).map(|_| outcome(self)).collect();
                match self.flag() {
                    true => Statement::Finish(MAIN, outcomes),
                    false => Statement::FinishAccepted(MAIN, self.copy(), outcomes),
                }
            }
            96 => Statement::Outcomes(MAIN, vec![self.inbox_uid()]),
            97 => Statement::Begun(MAIN, self.inbox_uid()),
            98 => Statement::CountRepeat(MAIN, self.copy(), self.taking()),
            99 => Statement::Effect(MAIN, self.inbox_uid()),
            _ => Statement::Snapshot,
        }
    }

    /// A page was read: the reader goes on as the product's does.
    pub fn read(&mut self, cur: Snapshot, last: Option<(Xid, i64)>, rows: usize) {
        match last {
            Some(last) if rows == PAGE => {
                self.window.until.get_or_insert(cur);
                self.window.after = last;
            }
            _ => {
                self.seen = self.window.seen.clone();
                self.window = window(self.window.until.take().unwrap_or(cur));
            }
        }
        self.window.closed = match self.random.below(4) {
            0 => None,
            1 => Some(vec!["tpro.co.0".into(), "tpro.analytic.3".into()]),
            _ => Some(Vec::new()),
        };
    }

    /// A message to be published.
    pub fn message(&mut self) -> NewMessage {
        self.uids += 1;
        let id = if self.random.one_in(3) { self.drawn.pop() } else { None };
        let lane = ["tpro.co", "tpro.analytic"][usize::from(self.flag())].into();
        let (uid, direct) = (VERSION_7 | u128::from(self.uids), self.random.one_in(8));
        let reply_to = self.uids.is_multiple_of(3);
        let priority = self.random.below(4) as i32;
        NewMessage { id, uid, lane, direct, reply_to, priority, ..NewMessage::default() }
    }

    fn replies(&mut self) -> Vec<Reply> {
        (0..=self.random.below(3)).map(|_| self.reply()).collect()
    }

    fn reply(&mut self) -> Reply {
        let mq_id = self.id();
        let result = if self.random.one_in(12) { "\"\\u0000\"" } else { "1" };
        let fails = self.random.one_in(3);
        Reply {
            mq_id,
            uid: VERSION_7 | u128::from(1 + self.random.below(self.uids + 1)),
            status: if fails { "error" } else { "ok" }.into(),
            result: (!fails).then(|| result.into()),
            error: fails.then(|| r#"{"code": 1, "message": "no"}"#.into()),
            attempts: 1,
        }
    }

    /// The hold of a message by one of two keys.
    fn hold(&mut self, id: i64) -> Hold {
        Hold { id, lane: "tpro.co".into(), key: self.key(), gone: false }
    }

    fn key(&mut self) -> Arc<str> {
        ["a", "b"][usize::from(self.flag())].into()
    }

    fn holding(&mut self) -> Holding {
        match self.random.below(6) {
            0 => Holding::Behind(self.id(), 2),
            1 => Holding::Behind(0, PAGE),
            2 => Holding::Of(self.some_ids()),
            3 => {
                let id = self.id();
                Holding::Add(self.hold(id))
            }
            4 => Holding::LetGo(self.id()),
            _ => Holding::Release("tpro.co".into(), self.key()),
        }
    }

    fn taking(&mut self) -> Taking {
        let budget = if self.random.one_in(3) { Duration::ZERO } else { Duration::from_secs(3_600) };
        Taking {
            uid: self.inbox_uid(),
            run: 1 + self.random.below(2) as i32,
            source: self.flag().then(|| "main/x".into()),
            target: "tpro.co.example.x".into(),
            attempt: 1,
            budget,
            proof: Some("k:1".into()),
        }
    }

    fn some_ids(&mut self) -> Vec<i64> {
        let mut ids: Vec<i64> = (0..=self.random.below(4)).map(|_| self.id()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids
    }

    /// An id that may be there.
    fn id(&mut self) -> i64 {
        // The newest more often.
        let back = self.random.below(8).min(self.random.below(40));
        (self.ids + 1 - back as i64).max(1)
    }

    fn inbox_uid(&mut self) -> u128 {
        VERSION_7 | u128::from(1_000 + self.random.below(12))
    }

    fn copy(&mut self) -> i32 {
        1 + self.random.below(3) as i32
    }

    fn channel(&mut self) -> Arc<str> {
        let channels =
            ["published_in_main_service", "published_in_main_service", "cancelled_in_main_service", "c"];
        channels[self.random.below(4) as usize].into()
    }

    fn flag(&mut self) -> bool {
        self.random.one_in(2)
    }
}

fn window(seen: Snapshot) -> Window {
    Window {
        seen,
        until: None,
        after: Default::default(),
        rows: PAGE,
        closed: Some(Vec::new()),
        first: i64::MIN,
    }
}
