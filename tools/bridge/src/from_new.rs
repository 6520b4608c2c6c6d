//! From tpro to the Go system: a service of tpro asks one that has not moved.

use std::sync::Arc;

use async_nats::Message;
use tokio::time::Instant;
use tpro_runtime::{random, version};
use tpro_wire::{
    Budget, Protocol, ReplyState, Request, RequestHeaders, RequestId, RpcError, Target, TraceParent, Uid,
    envelope, error::code,
};

use crate::{
    bridge::Bridge,
    counts,
    flights::{Found, Proof, Said},
    go::{self, Answer},
    headers::pairs,
    inbox::is_of_a_bridge,
    intake::{self, InHand},
    old_call::{Came, OldCall},
    peers,
    requester::{self, say},
};

/// Takes the requests for the services that have not moved.
pub async fn serve(bridge: &Arc<Bridge>) -> Result<(), String> {
    for service in &bridge.settings.old_services {
        let subject = format!("{}.{service}.>", bridge.settings.space);
        intake::take(bridge, &bridge.new, subject, service.queue_group(), carry).await?;
    }
    bridge.new.echo().await;
    Ok(())
}

/// The form of an answer.
enum Form {
    /// JSON-RPC, under this id.
    JsonRpc(Option<RequestId>),
    /// The result as it is; an error with a header that says so.
    Json,
}

async fn carry(bridge: Arc<Bridge>, in_hand: InHand) {
    let message = &in_hand.message;
    let service = message.subject.split('.').nth(1).unwrap_or_default();
    let headers = message.headers.as_ref().map(|map| RequestHeaders::read(pairs(map))).unwrap_or_default();
    if !version::understood().contain(headers.version) {
        // A requester asks by a version that nobody understands if somebody is there at all.
        return say(&bridge, service, message.reply.clone(), ReplyState::Unsupported).await;
    }
    if message.reply.as_deref().is_some_and(is_of_a_bridge) {
        // Another bridge says that the service has moved. Between two bridges a message could go
        // round, so it waits there until both say the same.
        return say(&bridge, service, message.reply.clone(), ReplyState::Overloaded).await;
    }
    let uid = headers.uid.unwrap_or_else(|| Uid::v7(0, random::bytes()));
    let proof = Proof::of(&message.subject, &headers, &message.payload);
    if let Some(found) = known(&bridge, &uid, &proof, message, headers.attempt).await {
        bridge.counts.repeat();
        return requester::repeat(&bridge, &uid, found, service, message.reply.clone()).await;
    }
    let (form, asked) = read(message, &headers);
    let came = match asked {
        Ok((target, body)) => {
            let payload = request(&headers, &uid, body);
            let budget = headers.budget_ms.map(std::time::Duration::from_millis);
            let budget = Budget::from_duration(budget.unwrap_or(bridge.settings.old_budget));
            let until = Instant::now() + budget.duration();
            let awaited = message.reply.is_some();
            OldCall { uid, target: &target, payload, until, awaited }.ask(&bridge).await
        }
        Err(error) => Came::Answer(Err(error)),
    };
    match came {
        Came::Answer(answer) => {
            let said = fitting(&bridge, &form, &answer);
            bridge.counts.carried(counts::NEW_TO_OLD);
            let reply = bridge.flights.answered(&uid, said.clone());
            requester::answer(&bridge, service, reply, said).await;
        }
        Came::NotTaken => {
            let reply = bridge.flights.reply(&uid);
            bridge.flights.forget(&uid);
            say(&bridge, service, reply, ReplyState::Overloaded).await;
        }
        // The requester ends it as a timeout, which is the truth.
        Came::Nothing => bridge.flights.forget(&uid),
    }
}

/// The state of a message that is no new one. One that is told as a repeat, and is not known here,
/// may be known to another copy.
async fn known(
    bridge: &Arc<Bridge>,
    uid: &Uid,
    proof: &Proof,
    message: &Message,
    attempt: u32,
) -> Option<Found> {
    let reply = message.reply.as_ref();
    if attempt > 1
        && bridge.flights.find(uid, proof, reply).is_none()
        && peers::know(bridge, uid, proof, reply).await
    {
        return Some(Found::Working);
    }
    match bridge.flights.take(uid, proof, reply) {
        Found::New => None,
        found => Some(found),
    }
}

/// Reads the question of a message, in both protocols. The form is right in each case.
fn read<'m>(message: &'m Message, headers: &RequestHeaders) -> (Form, Result<(Target, &'m str), RpcError>) {
    let target = Target::parse(&message.subject);
    let target = target.map_err(|error| RpcError::new(code::METHOD_NOT_FOUND, error.to_string()));
    if headers.protocol == Protocol::Json {
        let body = serde_json::from_slice::<&serde_json::value::RawValue>(&message.payload);
        let body = body.map_err(|_| RpcError::new(code::PARSE, "the request is not JSON"));
        let asked = target.and_then(|target| Ok((target, object(body?.get())?)));
        return (Form::Json, asked);
    }
    match Request::parse(&message.payload) {
        Ok(request) => {
            let params = request.params.get();
            let asked = target.and_then(|target| {
                if request.method != target.method() {
                    let text = "the method is not the one of the subject";
                    return Err(RpcError::new(code::INVALID_REQUEST, text));
                }
                Ok((target, object(params)?))
            });
            (Form::JsonRpc(request.id), asked)
        }
        Err(error) => (Form::JsonRpc(None), Err(error)),
    }
}

/// A body that the Go system can read.
fn object(body: &str) -> Result<&str, RpcError> {
    match body.starts_with('{') {
        true => Ok(body),
        false => Err(RpcError::new(code::INVALID_PARAMS, "a service of the Go system takes an object only")),
    }
}

fn request(headers: &RequestHeaders, uid: &Uid, body: &str) -> Vec<u8> {
    let trace = headers.traceparent.unwrap_or_else(|| TraceParent::root(random::bytes(), false));
    let service = headers.source.as_ref().map_or("tpro", |source| source.service.as_str());
    let sender =
        go::Sender { headers: headers.headers.as_deref(), service, mq_id: go::mq_id(uid), trace: &trace };
    go::write_request(&sender, body)
}

/// The answer in its form, or the error that it is too large for the server of tpro.
fn fitting(bridge: &Bridge, form: &Form, answer: &Answer) -> Said {
    let said = compose(form, answer);
    let most = bridge.new.client.max_payload().saturating_sub(tpro_runtime::nats::ENVELOPE);
    if said.payload.len() <= most {
        return said;
    }
    let text = format!("the answer has {} bytes, {most} can be carried", said.payload.len());
    compose(form, &go::error(code::TOO_LARGE, text))
}

fn compose(form: &Form, answer: &Answer) -> Said {
    let (payload, failed) = match (form, answer) {
        (Form::JsonRpc(Some(id)), Ok(result)) => (envelope::success(id, result.get()), false),
        // A request without an id is not answered: nothing is published.
        (Form::JsonRpc(None), Ok(_)) => (Vec::new(), false),
        (Form::JsonRpc(id), Err(error)) => (envelope::failure(id.as_ref(), error), false),
        (Form::Json, Ok(result)) => (result.get().as_bytes().to_vec(), false),
        (Form::Json, Err(error)) => (format!(r#"{{"error":{}}}"#, error.to_json()).into_bytes(), true),
    };
    Said { payload: payload.into(), failed }
}
