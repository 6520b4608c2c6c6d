//! The words to a service of tpro that has asked: answers and states.

use async_nats::{HeaderMap, Subject};
use tpro_runtime::version;
use tpro_wire::{ReplyState, RequestId, RpcError, Status, Uid, envelope, error::code, headers};

use crate::{
    bridge::Bridge,
    flights::{Found, Said},
    headers::header_map,
};

/// Tells the requester of a repeat what is known.
pub async fn repeat(bridge: &Bridge, uid: &Uid, found: Found, service: &str, reply: Option<Subject>) {
    match found {
        Found::New | Found::Working => say_working(bridge, service, reply).await,
        Found::Answered(said) => answer(bridge, service, reply, said).await,
        Found::Another => {
            let error = RpcError::new(code::INVALID_REQUEST, "another message has this uid");
            let payload = envelope::failure(Some(&RequestId::from(*uid)), &error).into();
            answer(bridge, service, reply, Said { payload, failed: false }).await;
        }
    }
}

/// Says that a message is at work.
pub async fn say_working(bridge: &Bridge, service: &str, reply: Option<Subject>) {
    say(bridge, service, reply, ReplyState::Working).await;
}

/// Publishes an answer, for the first time or again.
pub async fn answer(bridge: &Bridge, service: &str, reply: Option<Subject>, said: Said) {
    if said.payload.is_empty() {
        return;
    }
    let failed = said.failed.then(|| (headers::STATUS, Status::Error.as_str().to_owned()));
    let map = header_map([responder(service)].into_iter().chain(failed));
    publish(bridge, reply, map, said.payload).await;
}

/// Publishes a state, which is no answer.
pub async fn say(bridge: &Bridge, service: &str, reply: Option<Subject>, state: ReplyState) {
    let versions =
        (state == ReplyState::Unsupported).then(|| (headers::VERSIONS, version::understood().to_string()));
    let state = (headers::STATE, state.as_str().to_owned());
    let map = header_map([responder(service), state].into_iter().chain(versions));
    publish(bridge, reply, map, bytes::Bytes::new()).await;
}

/// The header that shows who it was: the Go copy of a service, which tells neither its version nor
/// its number.
fn responder(service: &str) -> (&'static str, String) {
    (headers::RESPONDER, format!("{service}/go/0"))
}

async fn publish(bridge: &Bridge, reply: Option<Subject>, headers: HeaderMap, payload: bytes::Bytes) {
    let Some(reply) = reply else { return };
    if let Err(error) = bridge.new.client.publish_with_headers(reply, headers, payload).await {
        // The requester asks again, and gets the answer that is kept.
        bridge.counts.dropped("answer");
        tracing::warn!("an answer could not be handed to NATS: {error}");
    }
}
