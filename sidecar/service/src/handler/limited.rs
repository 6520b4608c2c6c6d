//! The registration of a method's limits.

use std::{ops::RangeInclusive, time::Duration};

use super::{
    Service,
    limits::{Limits, Retry},
};

/// The bounds of a time.
const TIME: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);
/// The bounds of the number of handlers at once: from one to as many as `HANDLERS_MAX` may be.
const AT_ONCE: RangeInclusive<usize> = 1..=100_000;
/// The bounds of the number of retries.
const RETRIES: RangeInclusive<u32> = 1..=1_000;

impl<S> Service<S> {
    /// The longest time of the method that was registered last: 1 ms to a day, from the moment at
    /// which a copy takes a message. The budget of the message may end it sooner. A handler that
    /// takes longer is stopped, and the caller is told error -32002.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use std::time::Duration;
    ///
    /// use tpro_sidecar::{AnyBody, Ctx, Fault, Service};
    ///
    /// async fn total(_ctx: Ctx, _body: AnyBody) -> Result<u32, Fault> {
    ///     Ok(7)
    /// }
    ///
    /// fn service() -> Service {
    ///     Service::new("billing")
    ///         .handle("invoice.total", total)
    ///         .timeout(Duration::from_secs(2))
    ///         .at_once(10)
    ///         .retry(3, Duration::from_millis(100))
    /// }
    /// ```
    ///
    /// A limit that is out of its bounds, is given twice or follows no method is an error at the
    /// start, which tells all of them at once.
    pub fn timeout(self, longest: Duration) -> Self {
        let given = format!("timeout({longest:?})");
        let problem = (!TIME.contains(&longest)).then_some("it is 1 ms to a day");
        self.limit(&given, problem, |limits| limits.time.replace(longest).is_some())
    }

    /// The most handlers of the method that was registered last that work at once in a copy: 1 to
    /// 100,000. `HANDLERS_MAX` bounds those of all methods together.
    ///
    /// A message beyond it waits for a moment, and then its requester is told that the copy is
    /// overloaded: it sends the message again within its budget. An event waits for up to a minute.
    /// So it is with `HANDLERS_MAX`, too. Other methods go on meanwhile. See [`Service::timeout`]
    /// for an example.
    pub fn at_once(self, handlers: usize) -> Self {
        let given = format!("at_once({handlers})");
        let problem = (!AT_ONCE.contains(&handlers)).then_some("it is 1 to 100,000");
        self.limit(&given, problem, |limits| limits.at_once.replace(handlers).is_some())
    }

    /// The retries of the method that was registered last after an internal error, which is any
    /// error but a [`Fault`](crate::Fault) for the caller: 1 to 1,000. `back_off` is the longest
    /// pause before the first of them, 1 ms to a day. The pause doubles each time, up to a minute
    /// (or `back_off`, if that is longer), and is cut at random by up to half of it.
    ///
    /// The handler runs again in the same copy, and keeps its place meanwhile. Only the last error
    /// is the outcome: when there are no more retries, or the time of the message does not suffice
    /// for the next pause. [`Fault::retry_after`](crate::Fault::retry_after) is for longer times.
    /// See [`Service::timeout`] for an example.
    ///
    /// These do not include passing errors of the database: a handler always runs again after them.
    pub fn retry(self, most: u32, back_off: Duration) -> Self {
        let given = format!("retry({most}, {back_off:?})");
        let problem = (!RETRIES.contains(&most) || !TIME.contains(&back_off))
            .then_some("it is 1 to 1,000 retries, and a pause of 1 ms to a day");
        self.limit(&given, problem, |limits| limits.retry.replace(Retry { most, back_off }).is_some())
    }

    /// Sets a limit of the method that was registered last. `set` returns whether there was one.
    fn limit(mut self, given: &str, problem: Option<&str>, set: impl FnOnce(&mut Limits) -> bool) -> Self {
        let Some(method) = &self.last else {
            self.problems.push(format!("{given} follows no handler of a method"));
            return self;
        };
        if let Some(bounds) = problem {
            self.problems.push(format!("{given} of {method:?}: {bounds}"));
        }
        let name = given.split('(').next().unwrap_or_default();
        if set(self.handlers.limits_mut(method)) {
            self.problems.push(format!("{given} of {method:?}: {name} is given twice"));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use tpro_wire::ServiceName;

    use super::*;
    use crate::{AnyBody, Ctx, Failure, Fault, ReplyCtx};

    async fn answer(_: Ctx, _: AnyBody) -> Result<u8, Fault> {
        Ok(1)
    }
    async fn taken(_: ReplyCtx, _: AnyBody) -> Result<(), Fault> {
        Ok(())
    }
    async fn failed(_: ReplyCtx, _: Failure) -> Result<(), Fault> {
        Ok(())
    }

    #[test]
    fn each_method_has_the_limits_that_follow_it() {
        let second = Duration::from_secs(1);
        let service = Service::new("analytic")
            .handle("example.fast", answer)
            .timeout(second)
            .at_once(3)
            .setting("PAUSE", "1", "a pause")
            .retry(2, second)
            .handle_stateless("example.free", answer)
            .handle("example.single", answer)
            .at_once(1);
        assert!(service.problems(&ServiceName::parse("analytic").unwrap()).is_empty());
        let retry = Some(Retry { most: 2, back_off: second });
        assert_eq!(
            service.handlers.limits("example.fast"),
            Limits { time: Some(second), at_once: Some(3), retry }
        );
        assert_eq!(service.handlers.limits("example.free"), Limits::default());
        assert_eq!(service.handlers.limits("example.single").at_once, Some(1));
    }

    #[test]
    fn all_mistakes_of_limits_are_said_at_once() {
        let service = Service::new("analytic")
            .at_once(1)
            .handle("example.one", answer)
            .timeout(Duration::ZERO)
            .timeout(Duration::from_secs(1))
            .at_once(0)
            .retry(0, Duration::from_secs(1))
            .handle("example.two", answer)
            .retry(1, Duration::from_secs(86_401))
            .on_reply("co.example.x", taken, failed)
            .at_once(2);
        let problems = service.problems(&ServiceName::parse("analytic").unwrap());
        assert_eq!(
            problems,
            [
                "at_once(1) follows no handler of a method",
                r#"timeout(0ns) of "example.one": it is 1 ms to a day"#,
                r#"timeout(1s) of "example.one": timeout is given twice"#,
                r#"at_once(0) of "example.one": it is 1 to 100,000"#,
                r#"retry(0, 1s) of "example.one": it is 1 to 1,000 retries, and a pause of 1 ms to a day"#,
                r#"retry(1, 86401s) of "example.two": it is 1 to 1,000 retries, and a pause of 1 ms to a day"#,
                "at_once(2) follows no handler of a method",
            ]
        );
    }
}
