//! Answers, and replies that are none.

use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use tpro_wire::{ReplyState, Status, envelope, headers};

use super::request::{Back, Form};
use crate::{app::App, handler::outcome::Outcome, version};

/// The headers of replies, made once.
pub(super) struct ReplyHeaders {
    answer: HeaderMap,
    json_error: HeaderMap,
    working: HeaderMap,
    overloaded: HeaderMap,
    stale: HeaderMap,
    unsupported: HeaderMap,
}

impl ReplyHeaders {
    pub(super) fn new(app: &App) -> Self {
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
        }
    }

    /// Answers with an outcome.
    pub(super) async fn answer(&self, app: &App, back: &Back, outcome: &Outcome) {
        let (headers, payload) = match (&back.form, outcome) {
            (Form::JsonRpc(Some(id)), Outcome::Result(result)) => {
                (&self.answer, envelope::success(id, result))
            }
            (Form::JsonRpc(id), Outcome::Error(error)) => {
                (&self.answer, envelope::failure(id.as_ref(), error))
            }
            // Without an id there is a request that could not be read, and so no result.
            (Form::JsonRpc(None), Outcome::Result(_)) => return,
            (Form::Json, Outcome::Result(result)) => (&self.answer, result.clone().into_bytes()),
            (Form::Json, Outcome::Error(error)) => {
                (&self.json_error, format!(r#"{{"error":{}}}"#, error.to_json()).into_bytes())
            }
        };
        self.send(app, back, headers, payload.into()).await;
    }

    /// Says something that is no answer.
    pub(super) async fn state(&self, app: &App, back: &Back, state: ReplyState) {
        let headers = match state {
            ReplyState::Working => &self.working,
            ReplyState::Overloaded => &self.overloaded,
            ReplyState::Stale => &self.stale,
            ReplyState::Unsupported => &self.unsupported,
        };
        self.send(app, back, headers, Bytes::new()).await;
    }

    async fn send(&self, app: &App, back: &Back, headers: &HeaderMap, payload: Bytes) {
        let Some(subject) = back.subject.clone() else { return };
        if let Err(error) = app.nats.publish_with_headers(subject, headers.clone(), payload).await {
            // The requester asks again, and gets the stored outcome.
            app.metrics.serving.answers_lost.inc();
            tracing::warn!("an answer could not be handed to NATS: {error}");
        }
    }
}
