//! The claim to lead a source from a server.
//!
//! A copy that begins to lead asks on NATS, on `_TPRO.lead.<source>`, whether the source is led
//! already, and a leader answers which server it leads on ([`Server`]). A leader goes on asking,
//! since the other may have stood still when it was asked. Only what a copy of the service has
//! signed is believed ([`Claims`]); the rest is counted.
//!
//! A question makes nobody give way: it may have been overheard and said again. A leader that hears
//! one from a promoted server asks for itself, and gives way to the answer.

use std::time::{Duration, Instant};

use async_nats::{Client, Message, Subject, Subscriber, client::traits::Publisher, message::OutboundMessage};
use futures_util::{FutureExt as _, StreamExt as _};
use tpro_runtime::{db::plain, metrics::Reason, random};
use tpro_wire::hex::hex;

use super::{
    identity::Server,
    said::{Claims, Doubt},
};
use crate::{Context, metrics::Counts};

/// The longest time for an answer. A leader that is slower than this has other troubles.
const ANSWER: Duration = Duration::from_millis(150);
/// The pause before a leader asks again.
const ASK_AGAIN: Duration = Duration::from_secs(3);
/// The shortest pause before it asks again, no matter what it hears.
const ASK_SOON: Duration = Duration::from_millis(250);

/// The reasons why the source cannot be led from here, or could not be asked about.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ClaimError {
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
pub(crate) struct Claim {
    nats: Client,
    claims: Claims,
    counts: Counts,
    server: Server,
    stance: Stance,
    subject: String,
    questions: Subscriber,
    inbox: String,
    answers: Subscriber,
    /// The nonces of the last two questions: an answer may be a little late.
    open: [String; 2],
    asked: Instant,
    /// When to ask again.
    due: Instant,
}

/// The purpose of a claim: to lead, or only to ask if somebody else does. A copy that only asks
/// answers nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    /// By a session that has the lock.
    Leads,
    /// By one that has not.
    Asks,
}

/// A word that comes to a leader about its claim, and was signed by a copy of its service.
pub(crate) enum Heard {
    /// Somebody wants to lead this source.
    Question(Server),
    /// Somebody leads it, too.
    Answer(Server),
}

impl Claim {
    /// Claims the source for the server of this session: asks whether somebody leads it elsewhere,
    /// and listens from then on to others who ask.
    pub async fn make(
        app: &Context,
        session: &tokio_postgres::Client,
        stance: Stance,
    ) -> Result<Self, ClaimError> {
        let server = Server::of(session).await.map_err(ClaimError::Identity)?;
        let seen = app.servers.note(server.timeline);
        if seen > server.timeline {
            return Err(ClaimError::LeftBehind { seen, ours: server.timeline });
        }
        let subject = format!("_TPRO.lead.{}", app.source);
        // Listening first: of two who begin at the same moment at least one hears the other.
        let questions = app.nats.subscribe(subject.clone()).await?;
        // In our own inbox prefix, which is what a server with permissions lets us have.
        let inbox = format!("_INBOX.tpro.{}.claim.{:016x}", app.source.service, random::next_u64());
        let answers = app.nats.subscribe(inbox.clone()).await?;
        let now = Instant::now();
        let mut claim = Self {
            nats: app.nats.clone(),
            claims: Claims::new(&app.keys, &app.source),
            counts: app.counts.clone(),
            server,
            stance,
            subject,
            questions,
            inbox,
            answers,
            open: [nonce(), nonce()],
            asked: now,
            due: now + ASK_AGAIN,
        };
        let question = claim.claims.question(&server, &claim.open[0], &claim.inbox);
        // A client that is gone fails with everything else.
        let _ = claim.nats.publish_with_reply(claim.subject.clone(), claim.inbox.clone(), question).await;
        let over = tokio::time::sleep(ANSWER);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return Ok(claim),
                Some(heard) = claim.next() => claim.heed(&heard, Server::may_begin_beside)?,
            }
        }
    }

    /// When to ask again: a leader that we asked may have stood still, or been cut off.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Asks again, if it is time.
    pub fn ask_again(&mut self, now: Instant) {
        if now < self.due {
            return;
        }
        (self.asked, self.due) = (now, now + ASK_AGAIN);
        self.open.swap(0, 1);
        self.open[0] = nonce();
        let question = self.claims.question(&self.server, &self.open[0], &self.inbox);
        self.say(self.subject.clone().into(), Some(self.inbox.clone().into()), question);
    }

    /// The next thing that comes about this claim and is believed.
    pub async fn next(&mut self) -> Option<Heard> {
        loop {
            let heard = tokio::select! {
                question = self.questions.next() => self.read_question(&question?),
                answer = self.answers.next() => self.read_answer(&answer?),
            };
            if heard.is_some() {
                return heard;
            }
        }
    }

    /// Heeds what a leader hears; an error when another has the better right.
    pub fn heed_leading(&mut self, heard: &Heard) -> Result<(), ClaimError> {
        self.heed(heard, Server::may_go_on_beside)
    }

    fn heed(&mut self, heard: &Heard, may_lead: impl Fn(&Server, &Server) -> bool) -> Result<(), ClaimError> {
        match heard {
            Heard::Question(theirs) if self.server.is_behind(theirs) => {
                self.due = self.due.min(self.asked + ASK_SOON);
                Ok(())
            }
            Heard::Answer(theirs) if !may_lead(&self.server, theirs) => {
                Err(ClaimError::Led { theirs: theirs.timeline, ours: self.server.timeline })
            }
            _ => Ok(()),
        }
    }

    /// Reads a question and answers it.
    fn read_question(&self, message: &Message) -> Option<Heard> {
        let back = message.reply.as_ref();
        let inbox = back.map_or("", |back| back.as_str());
        let answers = self.stance == Stance::Leads;
        match self.claims.read_question(&message.payload, inbox, &self.server) {
            Ok(said) if said.server.asker == self.server.asker => None,
            Ok(said) => {
                if let Some(back) = back.filter(|_| answers) {
                    self.say(back.clone(), None, self.claims.answer(&self.server, &said.nonce));
                }
                Some(Heard::Question(said.server))
            }
            Err(doubt) => {
                // A clone whose copies are of release 0.1.0 must hear that it is led. To where they
                // listen, and to no subject that means something to others.
                if let Some(back) =
                    back.filter(|_| answers && doubt == Doubt::Unsigned && is_plain_inbox(inbox))
                {
                    self.say(back.clone(), None, self.claims.unsigned(&self.server));
                }
                self.ignore(doubt);
                None
            }
        }
    }

    /// Reads an answer to our own question.
    fn read_answer(&self, message: &Message) -> Option<Heard> {
        match self.claims.read_answer(&message.payload, &self.open, &self.server) {
            Ok(said) if said.server.asker == self.server.asker => None,
            Ok(said) => Some(Heard::Answer(said.server)),
            Err(doubt) => {
                self.ignore(doubt);
                None
            }
        }
    }

    /// Counts what is not believed; says it the first time.
    fn ignore(&self, doubt: Doubt) {
        let reason = doubt.as_str();
        if self.counts.claims_ignored.get_or_create(&Reason { reason }).inc() == 0 {
            let subject = &self.subject;
            tracing::warn!(
                "a claim of leadership on {subject} is ignored: {reason}. It is forged, or a copy of release 0.1.0 makes it; \
                 more of them are counted in tpro_claims_ignored_total"
            );
        }
    }

    /// Says something. What does not fit into the client's queue is said the next time.
    fn say(&self, subject: Subject, reply: Option<Subject>, payload: bytes::Bytes) {
        let message = OutboundMessage { subject, reply, payload, headers: None };
        let _ = Publisher::publish_message(&self.nats, message).now_or_never();
    }
}

/// A number that nobody has used before. That nobody can guess it is not needed: nobody else signs
/// it.
fn nonce() -> String {
    hex(&random::bytes::<16>())
}

/// True if this is the inbox of a plain NATS client: `_INBOX.<one token>`.
fn is_plain_inbox(subject: &str) -> bool {
    subject.strip_prefix("_INBOX.").is_some_and(|token| !token.is_empty() && !token.contains('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_subject_of_ours_is_no_plain_inbox() {
        assert!(is_plain_inbox("_INBOX.SLmDSTHuJ0fF8ouQ1NlJpX"));
        for other in ["", "_INBOX.", "_INBOX.tpro.main.019108f7.x.1", "tpro.main.a.b", "INBOX.x"] {
            assert!(!is_plain_inbox(other), "{other}");
        }
    }
}
