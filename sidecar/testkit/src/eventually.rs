//! Waiting for a condition, with a deadline. Tests never sleep for a fixed time.

use std::time::{Duration, Instant};

use crate::failure::{Failure, Outcome};

/// The longest wait for a condition. It is generous: a test fails by its condition, never by a slow
/// machine.
pub const DEADLINE: Duration = Duration::from_secs(90);

/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(10);

/// Looks until the condition holds. Fails after [`DEADLINE`], and names the condition by `what`.
pub async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> Outcome<bool>) -> Outcome {
    eventually_some(what, async || Ok(holds().await?.then_some(()))).await
}

/// Looks until there is a value. Fails after [`DEADLINE`], and names the value by `what`.
pub async fn eventually_some<T>(what: &str, look: impl AsyncFnMut() -> Outcome<Option<T>>) -> Outcome<T> {
    eventually_within(DEADLINE, what, look).await
}

/// Looks until there is a value, for as long as `limit`.
pub async fn eventually_within<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Outcome<Option<T>>,
) -> Outcome<T> {
    let begun = Instant::now();
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if begun.elapsed() > limit {
            return Err(Failure::new(format!("waited {} s in vain: {what}", limit.as_secs())));
        }
        tokio::time::sleep(PAUSE).await;
    }
}
