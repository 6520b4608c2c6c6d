//! A request to a service of tpro, within a budget: sent, sent again, answered.

use std::time::Duration;

use async_nats::Message;
use tokio::time::{Instant, sleep_until, timeout_at};
use tpro_runtime::{backoff::Backoff, clock, random};
use tpro_wire::{Refusal, Reply, RequestHeaders, Target, Uid, envelope, error::code};

use crate::{
    bridge::Bridge,
    go::{self, Answer},
    headers::{header_map, read_reply},
    inbox::{Asked, is_refusal},
};

/// The wait for a reply, or for the word that the message is at work, before it is sent again. The
/// inbox of the target knows the repeat.
const ATTEMPT: Duration = Duration::from_secs(5);
/// The pauses while nobody takes it: a service is changing over.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(500));

/// The request.
pub struct NewCall<'a> {
    /// The method that is asked for.
    pub target: &'a Target,
    /// The request of the Go service.
    pub request: &'a go::Request<'a>,
    /// Its message.
    message: &'a Message,
    /// The uid under which it is asked.
    uid: Uid,
    /// The end of its budget.
    until: Instant,
    attempt: u32,
    /// The last refusal, as long as no attempt may have been taken.
    refused: Option<Refusal>,
    silent: bool,
}

/// The end of a request.
pub enum Came {
    /// An answer of tpro, or an error of the bridge.
    Answer(Answer),
    /// The answer of a Go copy, as it came.
    OfGo(Message),
}

/// The thing to do after an attempt.
enum After {
    End(Answer),
    Again,
}

impl<'a> NewCall<'a> {
    /// A request with a uid of its own and the whole budget.
    pub fn new(
        target: &'a Target,
        request: &'a go::Request<'a>,
        message: &'a Message,
        budget: Duration,
    ) -> Self {
        let now = clock::host().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let uid = Uid::v7(unix_ms, random::bytes());
        let until = Instant::now() + budget;
        Self { target, request, message, uid, until, attempt: 0, refused: None, silent: false }
    }

    /// Asks until there is an answer or the budget is spent. While nobody takes it on the side of
    /// tpro, Go copies are asked as well: they run still, or run again.
    pub async fn answer(mut self, bridge: &Bridge) -> Came {
        let payload = envelope::request(&self.uid, self.target.method(), self.request.body);
        let mut asked = bridge.new.ask();
        let mut pauses = Backoff::new(PAUSES.0, PAUSES.1);
        while Instant::now() < self.until {
            // Without a connection a message waits in the client and goes out later, as a ghost.
            if bridge.new.is_connected() {
                self.attempt += 1;
                let headers = header_map(self.headers().pairs());
                let subject = self.target.subject().to_owned();
                let client = &bridge.new.client;
                let sent = client.publish_with_reply_and_headers(
                    subject,
                    asked.subject(),
                    headers,
                    payload.clone().into(),
                );
                if let Err(error) = sent.await {
                    let text = format!("the request cannot be carried: {error}");
                    return Came::Answer(go::error(code::TOO_LARGE, text));
                }
                if let After::End(answer) = self.wait(&mut asked).await {
                    return Came::Answer(answer);
                }
                // Only what no copy of tpro can have taken.
                if self.refused.is_some()
                    && !self.silent
                    && let Some(answer) = self.ask_go(bridge).await
                {
                    return Came::OfGo(answer);
                }
            }
            if self.refused.is_some() || !bridge.new.is_connected() {
                sleep_until(self.until.min(Instant::now() + pauses.next_pause())).await;
            }
        }
        Came::Answer(self.spent())
    }

    /// Asks the Go copies. None if none of them has taken it, or if the budget is spent.
    async fn ask_go(&mut self, bridge: &Bridge) -> Option<Message> {
        if !bridge.old.is_connected() {
            return None;
        }
        let mut asked = bridge.old.ask();
        let (subject, payload) = (self.message.subject.clone(), self.message.payload.clone());
        bridge.old.client.publish_with_reply(subject, asked.subject(), payload).await.ok()?;
        loop {
            let Ok(Some(reply)) = timeout_at(self.until, asked.next()).await else {
                self.silent = true;
                return None;
            };
            if is_refusal(&reply) {
                return None;
            }
            if go::read_answer(&reply.payload).is_some() {
                return Some(reply);
            }
        }
    }

    fn headers(&self) -> RequestHeaders {
        let left = self.until.saturating_duration_since(Instant::now());
        RequestHeaders {
            traceparent: self.request.trace,
            uid: Some(self.uid),
            budget_ms: u64::try_from(left.as_millis()).ok(),
            attempt: self.attempt,
            language: self.request.language.clone(),
            headers: self.request.headers.clone(),
            ..RequestHeaders::default()
        }
    }

    /// Waits for what comes of an attempt.
    async fn wait(&mut self, asked: &mut Asked) -> After {
        self.refused = None;
        let mut patience = self.until.min(Instant::now() + ATTEMPT);
        loop {
            let Ok(reply) = timeout_at(patience, asked.next()).await else {
                self.silent = true;
                return After::Again;
            };
            let Some(reply) = reply else { return After::Again };
            match read_reply(&self.uid, &reply) {
                Reply::Result(result) => return After::End(Ok(result)),
                // A handler that asks for another try later tells it to services only.
                Reply::Error(error) | Reply::Later { error, .. } => return After::End(Err(error)),
                Reply::Unreadable(what) => {
                    return After::End(go::error(code::BAD_REPLY, what.to_string()));
                }
                Reply::Stale => {
                    let text = "the service refuses the time of the request: compare the clocks of its database and of the bridge";
                    return After::End(go::error(code::STALE, text));
                }
                Reply::Working => {
                    self.silent = true;
                    patience = self.until.min(Instant::now() + ATTEMPT);
                }
                Reply::Refused(refusal) => {
                    self.refused = Some(refusal);
                    return After::Again;
                }
                Reply::Noise(_) => {}
            }
        }
    }

    /// The error of a request whose budget is spent. It says that nobody took the request only if
    /// that is sure.
    fn spent(&self) -> Answer {
        let service = self.target.service();
        match self.refused.filter(|_| !self.silent) {
            Some(_) => go::error(code::UNAVAILABLE, format!("nobody runs service {service}")),
            None => go::error(code::TIMEOUT, format!("service {service} has not answered in time")),
        }
    }
}
