//! Runs a handler: inside its time, and without letting a panic out.

use std::{any::Any, future::Future, panic::AssertUnwindSafe, pin::pin, task::Poll};

use futures_util::{FutureExt as _, poll};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::Fault;

type Panic = Box<dyn Any + Send>;

/// The end of a run.
pub(crate) enum Ended<R> {
    /// By itself, or by a panic, which is an internal error.
    Done(Result<R, Fault>),
    /// Its time was over.
    Late,
    /// The process stops.
    Stopped,
}

/// Runs a handler until it ends, its time is over, or the process stops. In the latter two its
/// future is dropped.
pub(crate) async fn run<R>(
    handler: impl Future<Output = Result<R, Fault>>,
    deadline: Instant,
    stop: &CancellationToken,
) -> Ended<R> {
    // The handler shares with us behind the panic only data behind locks, and a lock says so if it
    // was left broken.
    let mut handler = pin!(AssertUnwindSafe(handler).catch_unwind());
    let done = |result: Result<_, Panic>| Ended::Done(result.unwrap_or_else(|panic| Err(panicked(&*panic))));
    // Polled once first: a handler that is ready at once costs neither a timer nor a waiter.
    if let Poll::Ready(result) = poll!(&mut handler) {
        return done(result);
    }
    tokio::select! {
        biased;
        result = handler => done(result),
        () = Box::pin(tokio::time::sleep_until(deadline)) => Ended::Late,
        () = stop.cancelled() => Ended::Stopped,
    }
}

/// The fault of a handler that has panicked.
pub(super) fn panicked(panic: &(dyn Any + Send)) -> Fault {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no text)");
    Fault::internal(format!("the handler panicked: {text}"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_run_ends_by_itself_by_panic_by_time_or_by_the_stop() {
        let stop = CancellationToken::new();
        let soon = || Instant::now() + Duration::from_millis(20);
        assert!(matches!(run(async { Ok(1) }, soon(), &stop).await, Ended::Done(Ok(1))));
        let panics = async { if true { panic!("secret {}", 7) } else { Ok(1) } };
        let Ended::Done(Err(fault)) = run(panics, soon(), &stop).await else { panic!() };
        assert_eq!(fault.cause().unwrap().to_string(), "the handler panicked: secret 7");
        assert!(matches!(run(std::future::pending::<Result<(), _>>(), soon(), &stop).await, Ended::Late));
        stop.cancel();
        assert!(matches!(run(std::future::pending::<Result<(), _>>(), soon(), &stop).await, Ended::Stopped));
    }
}
