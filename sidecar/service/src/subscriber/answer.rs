//! Answers, and replies that are none.

use std::{
    borrow::Cow,
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use tpro_runtime::{
    nats::{Block, Publication, PublishError},
    version,
};
use tpro_wire::{ReplyState, RpcError, Status, envelope, error::code, headers};

use super::{
    later::Later,
    request::{Back, Form, MISMATCH},
};
use crate::handler::outcome::Outcome;
use crate::host::Host;

/// The age up to which the last word counts as recent: a slow line may take as long.
const LATELY_MS: u64 = 60_000;

/// The headers of replies, made once.
pub(super) struct ReplyHeaders {
    answer: Block,
    /// With the word that the reply is an error, where its payload does not say that.
    failed: Block,
    working: Block,
    overloaded: Block,
    stale: Block,
    unsupported: Block,
    /// The start of this clock, and the milliseconds after it at which the last word was sent; 0:
    /// none was.
    begun: Instant,
    spoke: AtomicU64,
}

impl ReplyHeaders {
    pub(super) fn new(app: &Host) -> Self {
        let responder = app.responder.to_string();
        let with = |name: &'static str, value: &str| {
            let mut block = Block::of([(headers::RESPONDER, &responder)]);
            if !value.is_empty() {
                block.add(name, value);
            }
            block
        };
        let mut unsupported = with(headers::STATE, ReplyState::Unsupported.as_str());
        unsupported.add(headers::VERSIONS, &version::understood().to_string());
        Self {
            answer: with(headers::STATUS, ""),
            failed: with(headers::STATUS, Status::Error.as_str()),
            working: with(headers::STATE, ReplyState::Working.as_str()),
            overloaded: with(headers::STATE, ReplyState::Overloaded.as_str()),
            stale: with(headers::STATE, ReplyState::Stale.as_str()),
            unsupported,
            begun: Instant::now(),
            spoke: AtomicU64::new(0),
        }
    }

    /// True if a word was sent that may still be on its way.
    pub(super) fn spoke_lately(&self) -> bool {
        let spoke = self.spoke.load(Ordering::Relaxed);
        spoke > 0 && self.ms() < spoke + LATELY_MS
    }

    fn ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// Answers with an outcome.
    pub(super) async fn answer(&self, app: &Host, back: &Back, outcome: &Outcome) {
        let Some((headers, payload)) = self.compose(back, outcome) else { return };
        self.send(app, back, headers, &payload).await;
    }

    fn compose<'o>(&self, back: &Back, outcome: &'o Outcome) -> Option<(&Block, Cow<'o, [u8]>)> {
        let (headers, payload) = match (&back.form, outcome) {
            (Form::JsonRpc(Some(id)), Outcome::Result(result)) => {
                (&self.answer, envelope::success(id, result).into())
            }
            (Form::JsonRpc(id), Outcome::Error(error)) => {
                let error = back.language.of_error(error);
                (&self.answer, envelope::failure(id.as_ref(), &error).into())
            }
            // Without an id there is a request that could not be read, and so no result.
            (Form::JsonRpc(None), Outcome::Result(_)) => return None,
            (Form::Batch(ids), Outcome::Result(results)) => match envelope::successes(ids, results) {
                Some(payload) => (&self.answer, payload.into()),
                // It is the outcome of another number of requests.
                None => {
                    let error = RpcError::new(code::INVALID_REQUEST, MISMATCH);
                    (&self.failed, envelope::failures(ids, &error, back.language).into())
                }
            },
            (Form::Batch(ids), Outcome::Error(error)) => {
                (&self.failed, envelope::failures(ids, error, back.language).into())
            }
            (Form::Json, Outcome::Result(result)) => (&self.answer, result.as_bytes().into()),
            (Form::Json, Outcome::Error(error)) => {
                let error = back.language.of_error(error);
                (&self.failed, format!(r#"{{"error":{}}}"#, error.to_json()).into_bytes().into())
            }
        };
        Some((headers, payload))
    }

    /// Tells that a handler wants to be asked again later. A requester that does not know states is
    /// told the error alone, and when to ask again.
    pub(super) async fn later(&self, app: &Host, back: &Back, later: &Later, knows: bool) {
        let outcome = Outcome::Error(later.error.clone());
        let Some((headers, payload)) = self.compose(back, &outcome) else { return };
        let mut block = headers.clone();
        let after = u64::try_from(later.after.as_millis()).unwrap_or(u64::MAX);
        block.add_number(headers::RETRY_AFTER_MS, after);
        if knows {
            block.add(headers::STATE, ReplyState::Later.as_str());
        }
        self.send(app, back, &block, &payload).await;
    }

    /// Sends a state, which is no answer.
    pub(super) async fn state(&self, app: &Host, back: &Back, state: ReplyState) {
        let headers = match state {
            ReplyState::Working => &self.working,
            ReplyState::Overloaded => &self.overloaded,
            ReplyState::Stale => &self.stale,
            ReplyState::Unsupported => &self.unsupported,
            // It comes with an error.
            ReplyState::Later => return,
        };
        self.send(app, back, headers, &[]).await;
    }

    async fn send(&self, app: &Host, back: &Back, headers: &Block, payload: &[u8]) {
        let Some(subject) = back.subject() else { return };
        self.spoke.store(self.ms(), Ordering::Relaxed);
        let publish = async |headers: &Block, payload: &[u8]| {
            let headers = Some(headers);
            app.nats.publish(Publication { subject, reply: None, headers, payload }).await
        };
        let Err(mut error) = publish(headers, payload).await else { return };
        let (size, most) = (payload.len(), app.reply_max());
        if matches!(error, PublishError::TooLarge { .. }) && size > most {
            // It was made, or stored, when the server took more. To ask again would be of no use.
            let text = format!("the answer has {size} bytes, {most} can be carried");
            let outcome = Outcome::Error(RpcError::new(code::TOO_LARGE, text));
            let Some((headers, payload)) = self.compose(back, &outcome) else { return };
            match publish(headers, &payload).await {
                Ok(()) => return,
                Err(other) => error = other,
            }
        }
        // The requester asks again, and gets the stored outcome.
        app.counts.answers_lost.inc();
        tracing::warn!("an answer could not be handed to NATS: {error}");
    }
}
