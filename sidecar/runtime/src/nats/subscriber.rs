//! The reader of a subscription.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::Stream;
use tokio::task::coop;

use super::{
    message::Message,
    subscriptions::{Queue, Subscriptions},
};

/// The messages of a subscription, as a stream. It ends with the client. The subscription ends when
/// this is dropped.
pub struct Subscriber {
    all: Arc<Subscriptions>,
    queue: Arc<Queue>,
    /// Messages that were taken out of the queue.
    taken: VecDeque<Message>,
}

impl Subscriber {
    pub(super) fn new(all: Arc<Subscriptions>, queue: Arc<Queue>) -> Self {
        Self { all, queue, taken: VecDeque::new() }
    }

    /// The next message, if it is here already.
    pub fn next_here(&mut self) -> Option<Message> {
        if self.taken.is_empty() {
            self.queue.take(&mut self.taken);
        }
        self.taken.pop_front()
    }

    /// Tells the server to send no more. Messages that have come, and those that it has sent before
    /// it hears this, are still read.
    pub fn leave(&self) {
        self.all.leave(&self.queue);
    }
}

impl Stream for Subscriber {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Message>> {
        let subscriber = self.get_mut();
        // As a channel of tokio does: a flood of messages does not keep its reader from all else.
        let turn = ready!(coop::poll_proceed(cx));
        if subscriber.taken.is_empty()
            && ready!(subscriber.queue.poll_take(cx, &mut subscriber.taken)).is_none()
        {
            return Poll::Ready(None);
        }
        turn.made_progress();
        Poll::Ready(subscriber.taken.pop_front())
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.all.remove(&self.queue);
    }
}
