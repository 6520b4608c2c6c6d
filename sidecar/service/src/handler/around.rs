//! Middleware around the handlers of methods.

use std::{
    future::{Future, pending, poll_fn},
    marker::PhantomData,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::{Duration, Instant},
};

use tpro_wire::{Source, Target, TraceParent, Uid};

use super::{
    Ctx, Fault, Service, Tx,
    scope::Scope,
    way::{Erased, Running, Way},
};

/// The request that a middleware looks at: all that a handler's context knows of it. It has no
/// database and no calls, since the handler may hold a transaction.
///
/// `S` is the type of the service's state. See [`Service::around`] for an example.
pub struct Request<S = ()>(Arc<Scope>, PhantomData<fn() -> S>);

impl<S: 'static> Request<S> {
    /// See [`Ctx::state`](crate::Ctx::state).
    pub fn state(&self) -> &S {
        self.0.app.state.get()
    }
}

impl<S> Request<S> {
    /// See [`Ctx::uid`](crate::Ctx::uid).
    pub fn uid(&self) -> Uid {
        self.0.uid
    }

    /// See [`Ctx::target`](crate::Ctx::target).
    pub fn target(&self) -> &Target {
        &self.0.target
    }

    /// See [`Ctx::attempt`](crate::Ctx::attempt).
    pub fn attempt(&self) -> u32 {
        self.0.attempt
    }

    /// See [`Ctx::source`](crate::Ctx::source).
    pub fn source(&self) -> Option<&Source> {
        self.0.source.as_ref()
    }

    /// See [`Ctx::deadline`](crate::Ctx::deadline).
    pub fn deadline(&self) -> Instant {
        self.0.deadline.into_std()
    }

    /// See [`Ctx::remaining`](crate::Ctx::remaining).
    pub fn remaining(&self) -> Duration {
        self.0.deadline.saturating_duration_since(tokio::time::Instant::now())
    }

    /// See [`Ctx::language`](crate::Ctx::language).
    pub fn language(&self) -> Option<&str> {
        self.0.language()
    }

    /// See [`Ctx::headers`](crate::Ctx::headers).
    pub fn headers(&self) -> Option<&str> {
        self.0.headers.as_deref()
    }

    /// See [`Ctx::span`](crate::Ctx::span).
    pub fn span(&self) -> TraceParent {
        self.0.span
    }

    /// See [`Ctx::setting`](crate::Ctx::setting).
    pub fn setting(&self, key: &str) -> &str {
        self.0.app.setting(key)
    }
}

/// The rest of the way to an answer: the middleware further in, and the handler.
#[must_use = "the handler runs when `run` is awaited"]
pub struct Next {
    inner: Running<String>,
    aside: Aside,
}

/// A fault that passes the middleware by.
type Aside = Arc<Mutex<Option<Fault>>>;

impl Next {
    /// Runs it. A body that does not fit the handler's type is an error of this, too.
    ///
    /// An error that is no outcome does not come back here: a passing error of the database, and
    /// [`Fault::retry_after`]. The middleware ends where it waits, and the handler runs again.
    pub async fn run(self) -> Result<Answer, Fault> {
        match self.inner.await {
            Err(fault) if fault.is_no_outcome() => {
                *self.aside.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
                pending().await
            }
            ended => ended.map(Answer),
        }
    }
}

/// A result on its way back. Only a handler makes one, so a middleware can replace an error and not
/// a result.
pub struct Answer(String);

impl Answer {
    /// The result, JSON text.
    pub fn json(&self) -> &str {
        &self.0
    }
}

/// A middleware without its types.
type Layer = dyn Fn(Arc<Scope>, Running<String>) -> Running<String> + Send + Sync;

impl<S: 'static> Service<S> {
    /// Has a middleware run around the handlers of all methods: to let requests through or not, to
    /// count, to say errors in other words. It comes behind the methods; one that is registered
    /// after it is an error at the start. Of several, the one that is added last is the outermost.
    ///
    /// ```
    /// # use tpro_service as tpro_sidecar;
    /// use tpro_sidecar::{Answer, AnyBody, Ctx, Fault, Next, Request, Service};
    ///
    /// async fn total(_ctx: Ctx, _body: AnyBody) -> Result<u32, Fault> {
    ///     Ok(7)
    /// }
    ///
    /// async fn only_with_a_name(request: Request, next: Next) -> Result<Answer, Fault> {
    ///     if request.source().is_none() {
    ///         return Err(Fault::new(403, "strangers are not answered"));
    ///     }
    ///     next.run().await
    /// }
    ///
    /// fn service() -> Service {
    ///     Service::new("billing").handle("invoice.total", total).around(only_with_a_name)
    /// }
    /// ```
    ///
    /// It has the time of the handler, and what it does belongs to the run: a repeat that gets a
    /// kept outcome passes no middleware. The body is read into its type before. Around a
    /// transactional handler it runs within the transaction. Methods in SQL and reply handlers have
    /// none.
    ///
    /// A service without middleware pays nothing for it.
    pub fn around<Fut>(mut self, middleware: impl Fn(Request<S>, Next) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Result<Answer, Fault>> + Send + 'static,
    {
        let layer: Arc<Layer> = Arc::new(move |scope, inner| {
            let aside = Aside::default();
            let next = Next { inner, aside: aside.clone() };
            let mut answer = Box::pin(middleware(Request(scope, PhantomData), next));
            Box::pin(poll_fn(move |context| {
                let polled = answer.as_mut().poll(context);
                if let Some(fault) = aside.lock().unwrap_or_else(PoisonError::into_inner).take() {
                    return Poll::Ready(Err(fault));
                }
                polled.map(|answer| answer.map(|Answer(json)| json))
            }))
        });
        self.is_surrounded = true;
        if !self.handlers.map_methods(|way| around(way, &layer)) {
            self.problems.push("around(..) follows no handler of a method".to_owned());
        }
        self
    }
}

fn around(way: Way, layer: &Arc<Layer>) -> Way {
    match way {
        Way::Default(handler) => Way::Default(wrapped(handler, layer.clone(), Ctx::scope)),
        Way::Transactional(handler) => Way::Transactional(wrapped(handler, layer.clone(), Tx::scope)),
        Way::Stateless(handler) => Way::Stateless(wrapped(handler, layer.clone(), Ctx::scope)),
    }
}

fn wrapped<C: 'static>(
    handler: Erased<C, String>,
    layer: Arc<Layer>,
    scope: fn(&C) -> &Arc<Scope>,
) -> Erased<C, String> {
    Box::new(move |context, json| {
        let scope = scope(&context).clone();
        layer(scope, handler(context, json))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tpro_wire::ServiceName;

    use super::*;
    use crate::{AnyBody, test};

    type Log = Arc<Mutex<Vec<String>>>;

    async fn answer(_: Ctx, n: u8) -> Result<u8, Fault> {
        if n == 0 { Err(Fault::new(7, "nothing")) } else { Ok(n) }
    }

    async fn other(_: Ctx, _: AnyBody) -> Result<u8, Fault> {
        Ok(1)
    }

    /// A middleware that says when it begins and when it ends.
    fn noting(
        log: &Log,
        name: &'static str,
    ) -> impl Fn(Request, Next) -> Running<Answer> + Send + Sync + 'static + use<> {
        let log = log.clone();
        move |request, next| {
            let (log, method) = (log.clone(), request.target().method().to_owned());
            Box::pin(async move {
                let note = |text: String| log.lock().unwrap().push(text);
                note(format!("{name} {method}"));
                let answer = next.run().await;
                note(format!("{name} {}", answer.as_ref().map_or("error", Answer::json)));
                answer
            })
        }
    }

    #[tokio::test]
    async fn it_runs_around_the_methods_before_it_and_the_last_is_the_outermost() {
        let log = Log::default();
        let service = Service::new("co")
            .handle("example.answer", answer)
            .handle("example.other", other)
            .around(noting(&log, "inner"))
            .around(noting(&log, "outer"));
        assert!(service.problems(&ServiceName::parse("co").unwrap()).is_empty());
        let test = test(service);
        assert_eq!(test.call::<u8>("example.answer", &7).await.unwrap(), 7);
        let noted = std::mem::take(&mut *log.lock().unwrap());
        assert_eq!(noted, ["outer example.answer", "inner example.answer", "inner 7", "outer 7"]);
        test.call::<u8>("example.other", &7).await.unwrap();
        assert_eq!(std::mem::take(&mut *log.lock().unwrap()).len(), 4);
        // Errors pass it, and so does a body that does not fit.
        assert_eq!(test.call::<u8>("example.answer", &0).await.unwrap_err().code(), 7);
        assert_eq!(test.call::<u8>("example.answer", &"x").await.unwrap_err().code(), -32602);
        assert_eq!(log.lock().unwrap().iter().filter(|line| line.ends_with("error")).count(), 4);
    }

    #[tokio::test]
    async fn it_can_refuse_a_request_and_replace_an_error() {
        async fn gate(request: Request, next: Next) -> Result<Answer, Fault> {
            if request.headers().is_none() {
                return Err(Fault::new(403, "not you"));
            }
            next.run().await.map_err(|_| Fault::new(8, "in other words"))
        }
        let service = || Service::new("co").handle("example.answer", answer).around(gate);
        let refused = test(service()).call::<u8>("example.answer", &7).await.unwrap_err();
        assert_eq!(refused.code(), 403);
        let let_in = test(service()).headers(r#"{"token": 1}"#);
        assert_eq!(let_in.call::<u8>("example.answer", &7).await.unwrap(), 7);
        assert_eq!(let_in.call::<u8>("example.answer", &0).await.unwrap_err().code(), 8);
    }

    #[tokio::test]
    async fn what_is_no_outcome_passes_it_by() {
        async fn later(_: Ctx, _: AnyBody) -> Result<u8, Fault> {
            Err(Fault::retry_after(30).at_last(9, "not today"))
        }
        async fn other_words(_: Request, next: Next) -> Result<Answer, Fault> {
            next.run().await.map_err(|_| Fault::new(8, "in other words"))
        }
        let service =
            Service::new("co").handle("example.later", later).around(other_words).around(other_words);
        let fault = test(service).call::<u8>("example.later", &7).await.unwrap_err();
        assert_eq!(fault.later(), Some(Duration::from_secs(30)), "{fault:?}");
    }

    #[test]
    fn one_that_follows_no_method_is_told_at_the_start() {
        async fn through(_: Request, next: Next) -> Result<Answer, Fault> {
            next.run().await
        }
        let service = Service::new("co").around(through).handle("example.answer", answer);
        let problems = service.problems(&ServiceName::parse("co").unwrap());
        assert_eq!(
            problems,
            [
                "around(..) follows no handler of a method",
                r#"handle("example.answer") comes after around(..), which is to be around it: register it before"#
            ]
        );
    }
}
