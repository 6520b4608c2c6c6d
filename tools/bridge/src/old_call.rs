//! A request to a Go service: sent once, and never again when it may have been taken.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until, timeout_at};
use tpro_runtime::backoff::Backoff;
use tpro_wire::{Target, Uid};

use crate::{
    bridge::Bridge,
    go::{self, Answer},
    inbox::{Asked, is_refusal},
    requester,
};

/// The interval of the word `working`, on which a requester waits instead of asking again. It does
/// so after 5 s of silence.
const WORKING: Duration = Duration::from_secs(2);
/// The time for which a request that nobody takes is held. Then the requester is told to try again,
/// within its own budget.
const HOLD: Duration = Duration::from_secs(2);
/// The time before the end of a budget at which the requester is told at the latest.
const MARGIN: Duration = Duration::from_millis(500);
/// The pauses while nobody takes it: a service is changing over.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(250));

/// The end of a request.
pub enum Came {
    /// An answer.
    Answer(Answer),
    /// No Go copy has it.
    NotTaken,
    /// The budget is spent, and a Go copy may have it.
    Nothing,
}

/// A request to a Go service.
pub struct OldCall<'a> {
    /// Its uid.
    pub uid: Uid,
    /// The method that is asked for.
    pub target: &'a Target,
    /// The request in the form of the Go system.
    pub payload: Vec<u8>,
    /// The end of its budget.
    pub until: Instant,
    /// True if somebody waits and can be told to try again.
    pub awaited: bool,
}

impl OldCall<'_> {
    /// Asks, and tells the requester now and then that the request is at work.
    pub async fn ask(self, bridge: &Arc<Bridge>) -> Came {
        let mut asked = bridge.old.ask();
        let subject = format!("{}{}", go::SCHEME, self.target.subject());
        let mut pauses = Backoff::new(PAUSES.0, PAUSES.1);
        let now = Instant::now();
        // The word must come before the requester's own time is over.
        let margin = (self.until.saturating_duration_since(now) / 2).min(MARGIN);
        let held = if self.awaited { (self.until - margin).min(now + HOLD) } else { self.until };
        loop {
            // Without a connection a message waits in the client, and goes out when nobody waits.
            if bridge.old.is_connected() {
                let client = &bridge.old.client;
                let payload = self.payload.clone().into();
                if let Err(error) = client.publish_with_reply(subject.clone(), asked.subject(), payload).await
                {
                    let text = format!("the NATS of the Go system does not carry the request: {error}");
                    return Came::Answer(go::error(tpro_wire::error::code::TOO_LARGE, text));
                }
                if let Some(came) = self.wait(bridge, &mut asked).await {
                    return came;
                }
            }
            let next = Instant::now() + pauses.next_pause();
            if next >= held {
                return Came::NotTaken;
            }
            sleep_until(next).await;
        }
    }

    /// Waits for what comes of it. None if nobody took it.
    async fn wait(&self, bridge: &Arc<Bridge>, asked: &mut Asked) -> Option<Came> {
        let mut tick = Instant::now() + WORKING;
        loop {
            let reply = match timeout_at(tick.min(self.until), asked.next()).await {
                Ok(Some(reply)) => reply,
                Ok(None) => return Some(Came::Nothing),
                Err(_) if Instant::now() >= self.until => return Some(Came::Nothing),
                Err(_) => {
                    tick += WORKING;
                    requester::say_working(bridge, self.target.service(), bridge.flights.reply(&self.uid))
                        .await;
                    continue;
                }
            };
            if is_refusal(&reply) {
                return None;
            }
            if let Some(answer) = go::read_answer(&reply.payload) {
                return Some(Came::Answer(answer));
            }
            bridge.counts.dropped("no_answer");
            tracing::warn!(tpro.target = %self.target, "dropped: this is no answer of the Go system");
        }
    }
}
