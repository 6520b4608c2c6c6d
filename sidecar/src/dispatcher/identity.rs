//! Which server this is, so that a clone of it does not send the original's messages.
//!
//! The database says whether it was adopted (`tpro.adopted()`), but a physical clone (`pg_basebackup`) has the same system
//! identifier, the same oids and the same lock free to take. Only beside it does the difference show: so whoever begins to
//! lead asks on NATS, on `_TPRO.lead.<source>`, whether the source is led already, and a leader answers with its server's
//! timeline and the start of its postmaster. The higher timeline wins, since a promoted standby is where the data is; of
//! two servers on one timeline the newcomer gives way. A leader goes on asking, since the other may have stood still when it
//! was asked; of two that lead already, the server that was started first keeps the source. A leader before us on the *same* server is no clone: the lock has
//! decided between us, and its session is gone.

use std::{
    cmp::Ordering,
    time::{Duration, Instant, SystemTime},
};

use async_nats::{Client, Message, Subject, Subscriber, client::traits::Publisher, message::OutboundMessage};
use futures_util::{FutureExt as _, StreamExt as _};
use serde::{Deserialize, Serialize};
use tpro_wire::source::Source;

use crate::{
    db::{Servers, plain},
    random,
};

/// How long an answer may take. A leader that is slower than this has other troubles.
const ANSWER: Duration = Duration::from_millis(150);

/// How often a leader asks again.
const ASK_AGAIN: Duration = Duration::from_secs(3);

/// A server, as told to others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Server {
    timeline: u32,
    /// The start of its postmaster, in microseconds since 1970.
    started: i64,
    /// Tells our own question from others'.
    asker: u64,
}

/// Why the source cannot be led from here, or could not be asked about.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClaimError {
    /// It is led from another server that has the better right.
    #[error(
        "another server with the same identity leads already (timeline {theirs}, ours is {ours}): one of the two is a clone; \
         if it is this one: SELECT tpro.adopt()"
    )]
    Led {
        /// Its timeline.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// It was refused for so long that it stays so.
    #[error("{0}; it was refused for a while, and stays so until this copy or its server is started again")]
    Refused(String),
    /// A server was seen with a higher timeline: this one is what the standby was promoted from.
    #[error(
        "this server was left behind: its timeline is {ours}, and {seen} was seen; connect to the promoted one"
    )]
    LeftBehind {
        /// The highest seen by this process.
        seen: u32,
        /// This server's.
        ours: u32,
    },
    /// This server could not say who it is.
    #[error("leader.identity failed: {}", plain(.0))]
    Identity(#[source] tokio_postgres::Error),
    /// The claim's subject could not be subscribed to.
    #[error("the claim to lead cannot be subscribed to: {0}")]
    Subscribe(#[from] async_nats::SubscribeError),
}

/// A claim to lead a source from a server.
pub(super) struct Claim {
    nats: Client,
    server: Server,
    subject: String,
    questions: Subscriber,
    inbox: String,
    answers: Subscriber,
    /// When to ask again.
    due: Instant,
}

/// Whether a claim is to lead, or only asks whether somebody else does; who only asks answers nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stance {
    /// By a session that has the lock.
    Leads,
    /// By one that has not.
    Asks,
}

/// What comes to a leader about its claim.
pub(super) enum Heard {
    /// Somebody wants to lead this source.
    Question(Message),
    /// Somebody leads it, too.
    Answer(Message),
}

impl Claim {
    /// Claims the source for the server of this session: asks whether somebody leads it elsewhere, and listens from then on
    /// to others who ask.
    pub async fn make(
        nats: &Client,
        source: &Source,
        session: &tokio_postgres::Client,
        servers: &Servers,
        stance: Stance,
    ) -> Result<Self, ClaimError> {
        let server = Server::of(session).await.map_err(ClaimError::Identity)?;
        let seen = servers.note(server.timeline);
        if seen > server.timeline {
            return Err(ClaimError::LeftBehind { seen, ours: server.timeline });
        }
        let subject = format!("_TPRO.lead.{source}");
        // Listening first: of two who begin at the same moment at least one hears the other.
        let questions = nats.subscribe(subject.clone()).await?;
        let inbox = nats.new_inbox();
        let answers = nats.subscribe(inbox.clone()).await?;
        let due = Instant::now() + ASK_AGAIN;
        let mut claim = Self { nats: nats.clone(), server, subject, questions, inbox, answers, due };
        // A client that is gone fails with everything else.
        let _ = nats.publish_with_reply(claim.subject.clone(), claim.inbox.clone(), server.text()).await;
        let over = tokio::time::sleep(ANSWER);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return Ok(claim),
                Some(answer) = claim.answers.next() => claim.weigh(&answer, |ours, theirs| ours.may_begin_beside(theirs))?,
                Some(question) = claim.questions.next(), if stance == Stance::Leads => { claim.answer(&question)?; }
            }
        }
    }

    /// When to ask again: whoever led when we asked may have stood still, or been cut off.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Asks again, if it is time.
    pub fn ask_again(&mut self, now: Instant) {
        if now < self.due {
            return;
        }
        self.due = now + ASK_AGAIN;
        self.say(self.subject.clone().into(), Some(self.inbox.clone().into()));
    }

    /// The next thing that comes about this claim.
    pub async fn next(&mut self) -> Option<Heard> {
        tokio::select! {
            question = self.questions.next() => question.map(Heard::Question),
            answer = self.answers.next() => answer.map(Heard::Answer),
        }
    }

    /// Heeds it; an error when another has the better right.
    pub fn heed(&self, heard: &Heard) -> Result<(), ClaimError> {
        match heard {
            Heard::Question(question) => self.answer(question),
            Heard::Answer(answer) => self.weigh(answer, |ours, theirs| ours.may_go_on_beside(theirs)),
        }
    }

    /// Answers a question; an error when the asker has the better right.
    fn answer(&self, question: &Message) -> Result<(), ClaimError> {
        let Some(theirs) = Server::read(question) else { return Ok(()) };
        if theirs.asker == self.server.asker {
            return Ok(());
        }
        if let Some(reply) = question.reply.clone() {
            self.say(reply, None);
        }
        if theirs.timeline > self.server.timeline && !theirs.is_same(&self.server) {
            return Err(ClaimError::Led { theirs: theirs.timeline, ours: self.server.timeline });
        }
        Ok(())
    }

    /// Says who we are. What does not fit into the client's queue is said the next time.
    fn say(&self, subject: Subject, reply: Option<Subject>) {
        let message = OutboundMessage { subject, reply, payload: self.server.text(), headers: None };
        let _ = Publisher::publish_message(&self.nats, message).now_or_never();
    }

    /// An answer to our own question.
    fn weigh(&self, answer: &Message, may_lead: impl Fn(&Server, &Server) -> bool) -> Result<(), ClaimError> {
        match Server::read(answer) {
            Some(theirs) if theirs.asker != self.server.asker && !may_lead(&self.server, &theirs) => {
                Err(ClaimError::Led { theirs: theirs.timeline, ours: self.server.timeline })
            }
            _ => Ok(()),
        }
    }
}

impl Server {
    pub async fn of(session: &tokio_postgres::Client) -> Result<Self, tokio_postgres::Error> {
        let sql = "/* leader.identity */ \
            SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8), pg_postmaster_start_time()";
        let row = session.query_one(sql, &[]).await?;
        let timeline: &str = row.try_get(0)?;
        let started: SystemTime = row.try_get(1)?;
        let started = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(Self {
            timeline: u32::from_str_radix(timeline, 16).unwrap_or_default(),
            started: i64::try_from(started.as_micros()).unwrap_or(i64::MAX),
            asker: random::next_u64(),
        })
    }

    fn text(&self) -> bytes::Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    fn read(message: &Message) -> Option<Self> {
        serde_json::from_slice(&message.payload).ok()
    }

    pub fn is_same(&self, other: &Self) -> bool {
        (self.timeline, self.started) == (other.timeline, other.started)
    }

    /// Whether a leader on this server may go on although somebody leads on that one, too. Neither is a newcomer; the server
    /// that was started first stays.
    fn may_go_on_beside(&self, leading: &Self) -> bool {
        (self.timeline, leading.started) >= (leading.timeline, self.started)
    }

    /// Whether a newcomer on this server may lead although somebody leads on that one.
    fn may_begin_beside(&self, leading: &Self) -> bool {
        match self.timeline.cmp(&leading.timeline) {
            Ordering::Greater => true,
            Ordering::Less => false,
            Ordering::Equal => self.is_same(leading),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(timeline: u32, started: i64) -> Server {
        Server { timeline, started, asker: 1 }
    }

    #[test]
    fn the_higher_timeline_wins_and_at_a_tie_the_newcomer_gives_way() {
        assert!(server(2, 9).may_begin_beside(&server(1, 5)));
        assert!(!server(1, 9).may_begin_beside(&server(2, 5)));
        assert!(!server(1, 9).may_begin_beside(&server(1, 5)));
    }

    #[test]
    fn of_two_that_lead_the_higher_timeline_stays_or_else_the_server_that_was_started_first() {
        assert!(
            server(2, 9).may_go_on_beside(&server(1, 5)) && !server(1, 5).may_go_on_beside(&server(2, 9))
        );
        assert!(
            server(1, 5).may_go_on_beside(&server(1, 9)) && !server(1, 9).may_go_on_beside(&server(1, 5))
        );
        assert!(server(1, 5).may_go_on_beside(&server(1, 5)), "a leader before us, on the same server");
    }

    #[test]
    fn a_leader_before_us_on_the_same_server_is_no_clone() {
        assert!(server(3, 5).may_begin_beside(&server(3, 5)));
    }
}
