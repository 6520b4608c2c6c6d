//! Answers, and replies that are none.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Instant,
};

use async_nats::{HeaderMap, HeaderName, HeaderValue, PublishErrorKind};
use bytes::Bytes;
use tpro_runtime::version;
use tpro_wire::{ReplyState, RpcError, Status, envelope, error::code, headers};

use super::request::{Back, Form};
use crate::handler::outcome::Outcome;
use crate::host::Host;

/// The age up to which the last word counts as recent: a slow line may take as long.
const LATELY_MS: u64 = 60_000;

/// The headers of replies, made once.
pub(super) struct ReplyHeaders {
    answer: HeaderMap,
    json_error: HeaderMap,
    working: HeaderMap,
    overloaded: HeaderMap,
    stale: HeaderMap,
    unsupported: HeaderMap,
    /// The start of this clock, and the milliseconds after it at which the last word was sent; 0:
    /// none was.
    begun: Instant,
    spoke: AtomicU64,
}

impl ReplyHeaders {
    pub(super) fn new(app: &Host) -> Self {
        let with = |name: &'static str, value: &str| {
            let mut map = HeaderMap::new();
            // A responder is letters, digits and a few signs; the others are constants.
            if let Ok(responder) = app.responder.to_string().parse::<HeaderValue>() {
                map.insert(HeaderName::from_static(headers::RESPONDER), responder);
            }
            if let Ok(value) = value.parse::<HeaderValue>()
                && !value.as_str().is_empty()
            {
                map.insert(HeaderName::from_static(name), value);
            }
            map
        };
        let mut unsupported = with(headers::STATE, ReplyState::Unsupported.as_str());
        if let Ok(versions) = version::understood().to_string().parse::<HeaderValue>() {
            unsupported.insert(HeaderName::from_static(headers::VERSIONS), versions);
        }
        Self {
            answer: with(headers::STATUS, ""),
            json_error: with(headers::STATUS, Status::Error.as_str()),
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
        self.send(app, back, headers, payload).await;
    }

    fn compose(&self, back: &Back, outcome: &Outcome) -> Option<(&HeaderMap, Bytes)> {
        let (headers, payload) = match (&back.form, outcome) {
            (Form::JsonRpc(Some(id)), Outcome::Result(result)) => {
                (&self.answer, envelope::success(id, result))
            }
            (Form::JsonRpc(id), Outcome::Error(error)) => {
                (&self.answer, envelope::failure(id.as_ref(), error))
            }
            // Without an id there is a request that could not be read, and so no result.
            (Form::JsonRpc(None), Outcome::Result(_)) => return None,
            (Form::Json, Outcome::Result(result)) => (&self.answer, result.clone().into_bytes()),
            (Form::Json, Outcome::Error(error)) => {
                (&self.json_error, format!(r#"{{"error":{}}}"#, error.to_json()).into_bytes())
            }
        };
        Some((headers, payload.into()))
    }

    /// Sends a state, which is no answer.
    pub(super) async fn state(&self, app: &Host, back: &Back, state: ReplyState) {
        let headers = match state {
            ReplyState::Working => &self.working,
            ReplyState::Overloaded => &self.overloaded,
            ReplyState::Stale => &self.stale,
            ReplyState::Unsupported => &self.unsupported,
        };
        self.send(app, back, headers, Bytes::new()).await;
    }

    async fn send(&self, app: &Host, back: &Back, headers: &HeaderMap, payload: Bytes) {
        let Some(subject) = back.subject.clone() else { return };
        self.spoke.store(self.ms(), Ordering::Relaxed);
        let size = payload.len();
        let publish = async |headers: &HeaderMap, payload| {
            app.nats.publish_with_headers(subject.clone(), headers.clone(), payload).await
        };
        let Err(mut error) = publish(headers, payload).await else { return };
        let most = app.reply_max();
        if error.kind() == PublishErrorKind::MaxPayloadExceeded && size > most {
            // It was made, or stored, when the server took more. To ask again would be of no use.
            let text = format!("the answer has {size} bytes, {most} can be carried");
            let told = self.compose(back, &Outcome::Error(RpcError::new(code::TOO_LARGE, text)));
            let Some((headers, payload)) = told else { return };
            match publish(headers, payload).await {
                Ok(()) => return,
                Err(other) => error = other,
            }
        }
        // The requester asks again, and gets the stored outcome.
        app.counts.answers_lost.inc();
        tracing::warn!("an answer could not be handed to NATS: {error}");
    }
}
