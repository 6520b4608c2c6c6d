//! Before a copy joins its queue group it asks if another database serves there.
//!
//! Two environments on one NATS, staging and production, in one space, would answer each other's
//! requests: a queue group knows names and no databases. So a copy asks on
//! `_TPRO.serve.<space>.<service>`, and every copy that serves answers with the instance of its
//! database. While another database serves, the newcomer waits, is not ready and names the remedy.
//! Its outbox is dispatched meanwhile: replies go by the instance, and nobody else's are taken.
//!
//! A copy that serves goes on serving, in spite of any answer. Nothing here is signed, since keys
//! are a database's own. A false answer keeps newcomers waiting for as long as it is given, and a
//! little longer.
//!
//! **Quiet.** A copy that was refused joins when nobody has been in its way for a while
//! ([`QUIET`]). Without this pause a restart of production's only copy would hand its requests to
//! staging, and then production would wait. A copy that has just been started was refused by
//! nobody.
//!
//! Copies of release 0.1.0 neither ask nor answer.

mod word;

use std::time::Duration;

use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::{Instant, sleep, timeout_at};
use tpro_runtime::{
    app::App,
    backoff::jittered,
    failpoint,
    nats::{Message, Publication, Subscriber},
    random,
};

use self::word::{State, Verdict, Word};

/// The name of the readiness check.
const CHECK: &str = "serving";
/// The longest time for an answer.
const ANSWER: Duration = Duration::from_millis(200);
/// The number of questions before it joins: an answer may be late once.
const QUESTIONS: u32 = 2;
/// Between two looks of one that waits.
const PAUSE: Duration = Duration::from_secs(1);
/// The time for which nobody must have been in the way of a copy that was refused.
const QUIET: Duration = Duration::from_secs(30);

/// The turn of this copy to serve.
pub struct Turn {
    app: App,
    subject: String,
    questions: Subscriber,
    inbox: String,
    answers: Subscriber,
}

/// Waits until this copy may join the queue group. None when the process is told to stop meanwhile.
pub async fn wait(app: &App) -> Option<Turn> {
    app.stop.soft.run_until_cancelled(Turn::of(app).come()).await
}

impl Turn {
    fn of(app: &App) -> Self {
        let service = &app.source.service;
        let subject = format!("_TPRO.serve.{}.{service}", app.config.space);
        // Listening first: of two that begin at one moment at least one hears the other.
        let questions = app.nats.subscribe(subject.clone());
        let inbox = format!("{}{:016x}", home(app), random::next_u64());
        let answers = app.nats.subscribe(inbox.clone());
        Self { app: app.clone(), subject, questions, inbox, answers }
    }

    /// Asks until nobody is in the way.
    async fn come(mut self) -> Self {
        let quiet = failpoint::number("serving.quiet_ms").map(|ms| Duration::from_millis(ms.unsigned_abs()));
        let quiet = quiet.unwrap_or(QUIET);
        // The time at which this copy was refused last, and the reason.
        let mut refused: Option<(Instant, String)> = None;
        loop {
            if !self.app.is_connected() {
                // Nobody could object.
                sleep(ANSWER).await;
                continue;
            }
            let is_quiet = refused.as_ref().is_none_or(|(since, _)| since.elapsed() >= quiet);
            let ours = self.word(if is_quiet { State::Joining } else { State::Waiting });
            let heard = self.ask(&ours).await;
            match (ours.verdict(&heard), &refused) {
                (Verdict::Refused(word), _) => {
                    let why = self.reason(word);
                    self.app.health.fail(CHECK, why.clone());
                    refused = Some((Instant::now(), why));
                }
                (Verdict::Free, Some((_, why))) if !is_quiet => {
                    let seconds = quiet.as_secs();
                    let why =
                        format!("{why}. It has gone; this copy serves when nobody comes within {seconds} s");
                    self.app.health.fail(CHECK, why);
                }
                (Verdict::Welcome | Verdict::Free, _) => {
                    self.app.health.ok(CHECK);
                    return self;
                }
            }
            sleep(jittered(PAUSE)).await;
        }
    }

    /// Asks everybody and listens for a while; ends at once when a copy of this database serves.
    async fn ask(&mut self, ours: &Word) -> Vec<Word> {
        let mut heard = Vec::new();
        for _ in 0..QUESTIONS {
            let (subject, reply, payload) = (&self.subject, Some(self.inbox.as_str()), &ours.text());
            let question = Publication { subject, reply, headers: None, payload };
            // A client that is gone fails with everything else.
            if self.app.nats.publish(question).await.is_err() {
                break;
            }
            let until = Instant::now() + ANSWER;
            while let Ok(word) = timeout_at(until, self.next(ours)).await {
                heard.extend(word);
                if ours.verdict(&heard) == Verdict::Welcome {
                    return heard;
                }
            }
        }
        // Words that have come and were not read yet: a copy that asks now may have heard nothing
        // of us.
        while let Some(word) = self.next(ours).now_or_never() {
            heard.extend(word);
        }
        heard
    }

    /// The next word of somebody. None if it makes no sense. A question is answered, if we are
    /// about to join.
    async fn next(&mut self, ours: &Word) -> Option<Word> {
        tokio::select! {
            Some(answer) = self.answers.next() => Word::read(answer.payload()),
            Some(question) = self.questions.next() => {
                let own = question.reply() == Some(self.inbox.as_str());
                if own {
                    return None;
                }
                if ours.state == State::Joining {
                    self.answer(&question, ours);
                }
                Word::read(question.payload())
            }
            else => std::future::pending().await,
        }
    }

    /// Answers those who ask, for as long as this copy serves.
    pub(crate) async fn serve(mut self) {
        let serving = self.word(State::Serving);
        let stop = self.app.stop.soft.clone();
        while let Some(Some(question)) = stop.run_until_cancelled(self.questions.next()).await {
            self.answer(&question, &serving);
        }
    }

    /// Answers a question. If the answer does not fit into the client's queue, it is asked for
    /// again.
    fn answer(&self, question: &Message, word: &Word) {
        // A copy of this service asks. No other subject is answered, where our word could mean
        // something else.
        let Some(back) = question.reply().filter(|back| back.starts_with(&home(&self.app))) else { return };
        let answer = Publication { subject: back, payload: &word.text(), ..Publication::default() };
        if self.app.nats.has_room() {
            let _ = self.app.nats.publish_now(answer);
        }
    }

    fn word(&self, state: State) -> Word {
        Word {
            instance: self.app.source.instance,
            state,
            shares: self.app.config.shares,
            copy: self.app.responder.clone(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    fn reason(&self, other: &Word) -> String {
        let (service, space) = (&self.app.source.service, &self.app.config.space);
        let Word { instance, copy, .. } = other;
        format!(
            "another database serves {service} in space {space} on this NATS (instance {instance}, copy {copy}); this copy \
             waits. Give one of the two a space of its own: TPRO_SPACE of its copies, and tpro.space of its database. Or let \
             both share the requests: TPRO_SHARE_SERVICE=yes for the copies of both"
        )
    }
}

/// The subject of answers, within the service's own inbox prefix, which a server with permissions
/// allows.
fn home(app: &App) -> String {
    format!("_INBOX.tpro.{}.serve.", app.source.service)
}
