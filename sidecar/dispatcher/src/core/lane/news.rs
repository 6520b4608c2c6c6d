//! The news of a service that is worth a line in the log: nobody runs it, somebody does again.

use std::time::{Duration, Instant};

/// The pause before it is said again that nobody runs a service. A service that knows one method
/// and not another is there and is not, message by message.
const PAUSE: Duration = Duration::from_secs(10);

/// The last that was said.
#[derive(Default)]
pub struct News {
    /// It was said that nobody runs the service.
    deserted: bool,
    /// When that was said last.
    said: Option<Instant>,
}

impl News {
    /// A message found nobody. Returns whether that is news.
    pub fn on_absence(&mut self, now: Instant) -> bool {
        let news = !self.deserted && self.said.is_none_or(|last| now >= last + PAUSE);
        if news {
            (self.deserted, self.said) = (true, Some(now));
        }
        news
    }

    /// Somebody is there. Returns whether that is news.
    pub fn on_presence(&mut self) -> bool {
        std::mem::take(&mut self.deserted)
    }
}
