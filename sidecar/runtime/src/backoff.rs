//! Pauses between attempts. They grow, and they are jittered, so that copies that lost a server do
//! not all come back at one moment.

use std::time::Duration;

use crate::random;

/// The least rest of a budget for another attempt of a message that nobody has taken. With less
/// there is little to hope for, and an attempt under way at the end would forbid to say that nobody
/// took the message.
pub const LAST_TRY: Duration = Duration::from_millis(50);

/// A growing pause.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempt: u32,
}

impl Backoff {
    /// Starts at about `first` and doubles up to about `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, attempt: 0 }
    }

    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.first.saturating_mul(1 << self.attempt.min(16)).min(self.most);
        self.attempt = self.attempt.saturating_add(1);
        jittered(pause)
    }

    /// Starts again from the first pause.
    pub fn reset(&mut self) {
        self.attempt = 0;
    }
}

/// Between half of the pause and the whole of it ("equal jitter": it never hits at once).
pub fn jittered(pause: Duration) -> Duration {
    random::with(|random| random.jittered(pause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_grows_up_to_its_limit_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let pauses: Vec<_> = (0..20).map(|_| backoff.next_pause()).collect();
        assert!(pauses[0] <= Duration::from_millis(100) && pauses[0] >= Duration::from_millis(50));
        assert!(pauses[4..].iter().all(|p| *p >= Duration::from_millis(500) && *p <= Duration::from_secs(1)));
        backoff.reset();
        assert!(backoff.next_pause() <= Duration::from_millis(100));
    }
}
