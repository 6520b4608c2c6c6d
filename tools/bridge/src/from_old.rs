//! From the Go system to tpro: a Go service asks one that has moved.

use std::sync::Arc;

use async_nats::Subject;
use tpro_wire::{Language, ServiceName, Target, error::code};

use crate::{
    bridge::Bridge,
    counts, go,
    inbox::is_of_a_bridge,
    intake::{self, InHand},
    new_call::{Came, NewCall},
};

/// Takes the requests for the services that have moved, beside Go copies of these that still run.
pub async fn serve(bridge: &Arc<Bridge>) -> Result<(), String> {
    for service in &bridge.settings.new_services {
        let subject = subject(&bridge.settings.space, service);
        intake::take(bridge, &bridge.old, subject, service.queue_group(), carry).await?;
    }
    bridge.old.echo().await;
    Ok(())
}

fn subject(space: &str, service: &ServiceName) -> String {
    format!("{}{space}.{service}.>", go::SCHEME)
}

async fn carry(bridge: Arc<Bridge>, in_hand: InHand) {
    let message = &in_hand.message;
    if let Some(reply) = message.reply.clone().filter(|reply| is_of_a_bridge(reply)) {
        // Another bridge says that the service has not moved. Between two bridges a message could
        // go round, so it waits there until both say the same.
        return back(&bridge, reply, go::busy().to_vec()).await;
    }
    let Some(request) = go::read_request(&message.payload) else {
        bridge.counts.dropped("no_request");
        tracing::warn!(nats.subject = %message.subject, "dropped: this is no request of the Go system");
        return;
    };
    let named = message.subject.strip_prefix(go::SCHEME);
    let payload = match named.and_then(|subject| Target::parse(subject).ok()) {
        Some(target) => {
            let call = NewCall::new(&target, &request, message, bridge.settings.old_budget);
            match call.answer(&bridge).await {
                Came::OfGo(answer) => answer.payload.to_vec(),
                Came::Answer(answer) => {
                    if let Err(error) = &answer {
                        tracing::debug!(tpro.target = %target, error.code = error.code, "carried back an error");
                    }
                    fitting(&bridge, &request, answer)
                }
            }
        }
        None => go::wrong_handler(request.meta.get()),
    };
    if let Some(reply) = message.reply.clone() {
        bridge.counts.carried(counts::OLD_TO_NEW);
        back(&bridge, reply, payload).await;
    }
}

/// The answer, or the error that it is too large for the Go system's server.
fn fitting(bridge: &Bridge, request: &go::Request<'_>, answer: go::Answer) -> Vec<u8> {
    let language = Language::of(request.language.as_deref());
    let write = |answer: go::Answer| {
        let answer = answer.map_err(|error| language.of_error(&error).into_owned());
        go::write_answer(request.meta, &answer)
    };
    let payload = write(answer);
    let most = bridge.old.client.max_payload();
    if payload.len() <= most {
        return payload;
    }
    let text = format!("the answer has {} bytes, the NATS of the Go system carries {most}", payload.len());
    write(go::error(code::TOO_LARGE, text))
}

async fn back(bridge: &Bridge, reply: Subject, payload: Vec<u8>) {
    if let Err(error) = bridge.old.client.publish(reply, payload.into()).await {
        bridge.counts.dropped("answer");
        tracing::warn!("an answer could not be handed to the NATS of the Go system: {error}");
    }
}
