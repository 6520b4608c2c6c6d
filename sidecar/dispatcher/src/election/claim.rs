//! The claim to lead a source from a server.
//!
//! A copy that begins to lead asks on NATS, on `_TPRO.lead.<source>`, whether the source is led
//! already, and a leader answers which server it leads on ([`Server`]). A leader goes on asking,
//! since the other may have stood still when it was asked. Only what a copy of the service has
//! signed is believed ([`Claims`]); the rest is counted.
//!
//! The claim's [`Standing`] decides who gives way to whom.

use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use tpro_runtime::{
    db::plain,
    metrics::Reason,
    nats::{Client, Message, Publication, Subscriber},
    random,
};
use tpro_wire::hex::hex;

pub(crate) use super::standing::{Heard, Stance};
use super::{
    identity::Server,
    said::{Claims, Doubt},
    standing::{Led, Standing},
};
use crate::{Context, metrics::Counts};

/// The longest time for an answer. A leader that is slower than this has other troubles.
const ANSWER: Duration = Duration::from_millis(150);

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
}

/// A claim to lead a source from a server.
pub(crate) struct Claim {
    nats: Client,
    claims: Claims,
    counts: Counts,
    standing: Standing,
    subject: String,
    questions: Subscriber,
    inbox: String,
    answers: Subscriber,
    /// The nonces of the last two questions: an answer may be a little late.
    open: [String; 2],
}

impl From<Led> for ClaimError {
    fn from(led: Led) -> Self {
        let Led { theirs, ours } = led;
        Self::Led { theirs, ours }
    }
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
        let questions = app.nats.subscribe(subject.clone());
        // In our own inbox prefix, which is what a server with permissions lets us have.
        let inbox = format!("_INBOX.tpro.{}.claim.{:016x}", app.source.service, random::next_u64());
        let answers = app.nats.subscribe(inbox.clone());
        let mut claim = Self {
            nats: app.nats.clone(),
            claims: Claims::new(&app.keys, &app.source),
            counts: app.counts.clone(),
            standing: Standing::new(server, stance, Instant::now()),
            subject,
            questions,
            inbox,
            answers,
            open: [nonce(), nonce()],
        };
        let question = claim.claims.question(&server, &claim.open[0], &claim.inbox);
        // A client that is gone fails with everything else.
        let (subject, reply) = (claim.subject.as_str(), Some(claim.inbox.as_str()));
        let question = Publication { subject, reply, headers: None, payload: &question };
        let _ = claim.nats.publish(question).await;
        let over = tokio::time::sleep(ANSWER);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => {
                    claim.standing.holds();
                    return Ok(claim);
                }
                Some(heard) = claim.next() => claim.standing.heed(&heard)?,
            }
        }
    }

    /// When to ask again.
    pub fn due(&self) -> Instant {
        self.standing.due()
    }

    /// Asks again, if it is time.
    pub fn ask_again(&mut self, now: Instant) {
        if !self.standing.ask(now) {
            return;
        }
        self.open.swap(0, 1);
        self.open[0] = nonce();
        let question = self.claims.question(self.standing.server(), &self.open[0], &self.inbox);
        self.say(&self.subject, Some(&self.inbox), &question);
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
        Ok(self.standing.heed(heard)?)
    }

    /// Reads a question and answers it.
    fn read_question(&self, message: &Message) -> Option<Heard> {
        let back = message.reply();
        let inbox = back.unwrap_or_default();
        let (answers, ours) = (self.standing.answers(), self.standing.server());
        match self.claims.read_question(message.payload(), inbox, ours) {
            Ok(said) if self.standing.is_own(&said.server) => None,
            Ok(said) => {
                if let Some(back) = back.filter(|_| answers) {
                    self.say(back, None, &self.claims.answer(ours, &said.nonce));
                }
                Some(Heard::Question(said.server))
            }
            Err(doubt) => {
                // A clone whose copies are of release 0.1.0 must hear that it is led. To where they
                // listen, and to no subject that means something to others.
                if let Some(back) =
                    back.filter(|_| answers && doubt == Doubt::Unsigned && is_plain_inbox(inbox))
                {
                    self.say(back, None, &self.claims.unsigned(ours));
                }
                self.ignore(doubt);
                None
            }
        }
    }

    /// Reads an answer to our own question.
    fn read_answer(&self, message: &Message) -> Option<Heard> {
        match self.claims.read_answer(message.payload(), &self.open, self.standing.server()) {
            Ok(said) if self.standing.is_own(&said.server) => None,
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
    fn say(&self, subject: &str, reply: Option<&str>, payload: &[u8]) {
        let message = Publication { subject, reply, headers: None, payload };
        if self.nats.has_room() {
            let _ = self.nats.publish_now(message);
        }
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
