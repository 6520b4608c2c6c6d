//! Takes requests from NATS and gives them to handlers.

use crate::app::App;

/// The subscription of this copy.
pub struct Subscriber {}

/// Subscribes `<space>.<service>.>` in the queue group; returns when the server knows the subscription.
pub async fn start(_app: &App) -> Result<Subscriber, async_nats::SubscribeError> {
    Ok(Subscriber {})
}

impl Subscriber {
    /// Takes no more, lets the handlers at work finish up to the deadline, and flushes their answers.
    pub async fn drain(self, _deadline: std::time::Instant) {}
}
