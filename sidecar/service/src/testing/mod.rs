//! Tests of handlers without servers: no NATS, no other service, and a database only where the
//! test gives one.

mod ground;

use std::sync::{Mutex, OnceLock, PoisonError};

use serde::{Serialize, de::DeserializeOwned};
use tpro_runtime::config::{KEYS, OwnSetting};
use tpro_wire::{RequestHeaders, RpcError, Target, error::code};

use self::ground::Ground;
use crate::{
    handler::{Failure, Fault, HandlerResult as _, IntoFault, Method, Service, body, whole},
    stage::{Answering, Sent, Stage},
};

/// Tests the handlers of a service without servers.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use serde_json::{Value, json};
/// use tpro_sidecar::{Ctx, Fault, Service};
///
/// async fn double(ctx: Ctx, n: u32) -> Result<u32, Fault> {
///     Ok(n + ctx.call::<u32>("co.number.same", &json!({ "n": n })).await?)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Fault> {
/// let test = tpro_sidecar::test(Service::new("analytic").handle("number.double", double))
///     .answer("co.number.same", |body: Value| Ok::<_, Fault>(body["n"].clone()));
/// assert_eq!(test.call::<u32>("number.double", &7).await?, 14);
/// assert_eq!(test.called()[0].body, json!({ "n": 7 }));
/// # Ok(())
/// # }
/// ```
///
/// The handler runs once, in this process. Its body and its result go through JSON, as on the way
/// over NATS. What the inbox, the dispatcher and a repeat add is not there: the test kit has it.
///
/// A statement needs a database. [`Test::database`] takes the address of one, as the kit's
/// PostgreSQL has it (`tpro-testkit`). A transactional handler that has any statement is tested
/// so; one that only publishes needs none.
pub fn test<S: Send + Sync + 'static>(service: Service<S>) -> Test<S> {
    let headers = RequestHeaders::default();
    let plan = Plan { service, settings: Vec::new(), has_state: false, headers, stage: Stage::default() };
    Test { plan: Mutex::new(Some(plan)), ground: OnceLock::new() }
}

/// A service under test; [`test()`] makes it.
///
/// ```
/// # use tpro_service as tpro_sidecar;
/// use tpro_sidecar::{AnyBody, Ctx, Fault, Service, Test};
///
/// async fn greet(ctx: Ctx, _: AnyBody) -> Result<String, Fault> {
///     Ok(ctx.setting("GREETING").to_owned())
/// }
///
/// fn service() -> Test {
///     let service = Service::new("hello").setting("GREETING", "hi", "the word");
///     let test = tpro_sidecar::test(service.handle("word.say", greet));
///     test.setting("GREETING", "good morning")
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Fault> {
/// assert_eq!(service().call::<String>("word.say", &()).await?, "good morning");
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is tested before a method is called"]
pub struct Test<S = ()> {
    /// Taken when the first handler is called.
    plan: Mutex<Option<Plan<S>>>,
    ground: OnceLock<Ground>,
}

struct Plan<S> {
    service: Service<S>,
    settings: Vec<(String, String)>,
    has_state: bool,
    headers: RequestHeaders,
    stage: Stage,
}

/// The preparation, before the first call.
impl<S: Send + Sync + 'static> Test<S> {
    /// Sets a setting, of the service or of tpro.
    pub fn setting(self, key: &str, value: &str) -> Self {
        self.plan(|mut plan| {
            let is_own = |own: &OwnSetting| own.key == key;
            let is_known = plan.service.settings().iter().any(is_own) || KEYS.iter().any(|it| it.name == key);
            assert!(is_known, "{key} is not a setting of this service");
            plan.settings.push((key.to_owned(), value.to_owned()));
            plan
        })
    }

    /// Gives the handlers this state in place of the one that the service makes.
    pub fn state(self, state: S) -> Self {
        self.plan(|plan| Plan { service: plan.service.with(state), has_state: true, ..plan })
    }

    /// Gives the handlers a real database: the URL of the service's login. Transactions are
    /// committed where their handler ends well.
    pub fn database(self, url: &str) -> Self {
        self.plan(|mut plan| {
            plan.stage.has_database = true;
            plan.settings.push(("DATABASE_URL".to_owned(), url.to_owned()));
            plan
        })
    }

    /// The language that replies should speak, as in `ru-RU`: handlers see it by
    /// [`Ctx::language`](crate::Ctx::language).
    pub fn language(self, tag: &str) -> Self {
        self.plan(|mut plan| {
            plan.headers.language = Some(tag.to_owned());
            plan
        })
    }

    /// The headers of the requester's row, JSON text of an object: handlers see them by
    /// [`Ctx::headers`](crate::Ctx::headers).
    pub fn headers(self, json: &str) -> Self {
        self.plan(|mut plan| {
            plan.headers.headers = Some(json.to_owned());
            plan
        })
    }

    /// Answers the calls of a target, `<service>.<entity>.<method_name>`, that a handler makes.
    pub fn answer<B, R, E>(
        self,
        target: &str,
        answer: impl Fn(B) -> Result<R, E> + Send + Sync + 'static,
    ) -> Self
    where
        B: DeserializeOwned,
        R: Serialize,
        E: IntoFault,
    {
        self.answer_by(
            target,
            Box::new(move |json| {
                let result = body::read(json).and_then(|body| answer(body).into_result());
                result.and_then(|result| body::write(&result)).map_err(Fault::into_error)
            }),
        )
    }

    /// Answers the calls of the method of a request.
    pub fn answer_request<M, E>(
        self,
        answer: impl Fn(M) -> Result<M::Reply, E> + Send + Sync + 'static,
    ) -> Self
    where
        M: Method + DeserializeOwned,
        M::Reply: Serialize,
        E: IntoFault,
    {
        self.answer(M::TARGET, answer)
    }

    /// Nobody takes the calls of this target: they end as unavailable.
    pub fn unavailable(self, target: &str) -> Self {
        let error = RpcError::new(code::UNAVAILABLE, "nobody runs the service");
        self.answer_by(target, Box::new(move |_| Err(error.clone())))
    }

    /// Nobody answers the calls of this target: they end with a timeout, at once.
    pub fn silent(self, target: &str) -> Self {
        let error = RpcError::new(code::TIMEOUT, "no answer");
        self.answer_by(target, Box::new(move |_| Err(error.clone())))
    }

    fn answer_by(self, target: &str, answer: Answering) -> Self {
        let parsed = Target::parse(&format!("tpro.{target}"));
        assert!(parsed.is_ok(), "{target:?} is not <service>.<entity>.<method_name>");
        self.plan(|mut plan| {
            plan.stage.answers.insert(target.to_owned(), answer);
            plan
        })
    }

    fn plan(self, change: impl FnOnce(Plan<S>) -> Plan<S>) -> Self {
        let plan = self.plan.into_inner().unwrap_or_else(PoisonError::into_inner);
        let Some(plan) = plan else { panic!("a test is prepared before its first call") };
        Self { plan: Mutex::new(Some(change(plan))), ground: OnceLock::new() }
    }

    fn ground(&self) -> &Ground {
        self.ground.get_or_init(|| {
            let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner).take();
            let Some(Plan { service, settings, has_state, headers, stage }) = plan else {
                panic!("the service of this test could not be started before");
            };
            Ground::new(service, settings, has_state, headers, stage)
                .unwrap_or_else(|problem| panic!("{problem}"))
        })
    }
}

/// The calls, and their traces.
///
/// They panic where the test itself is not complete: a wrong registration or configuration, a call
/// that the test has no answer to, a statement without a database.
impl<S: Send + Sync + 'static> Test<S> {
    /// Calls a method of the service (`example.simple`), as another service does.
    pub async fn call<R: DeserializeOwned>(
        &self,
        method: &str,
        body: &(impl Serialize + ?Sized),
    ) -> Result<R, Fault> {
        let mut body = body::write(body)?;
        if body == "null" {
            // `()`: no body at all, which is sent as an empty one.
            body = "{}".to_owned();
        }
        let result = self.ground().call(method, &body).await?;
        whole::from_str(&result)
            .map_err(|_| Fault::internal("the result does not fit the type that the test asks for"))
    }

    /// Calls the method of a request.
    pub async fn call_request<M>(&self, request: &M) -> Result<M::Reply, Fault>
    where
        M: Method + Serialize,
        M::Reply: DeserializeOwned,
    {
        let (service, method) = M::TARGET.split_once('.').unwrap_or_default();
        let own = self.ground().service();
        assert!(service == own, "{} is not a method of the service {own}", M::TARGET);
        self.call(method, request).await
    }

    /// Hands a result to the reply handler of a target, `<service>.<entity>.<method_name>`.
    pub async fn reply(&self, target: &str, result: &(impl Serialize + ?Sized)) -> Result<(), Fault> {
        let result = body::write(result)?;
        self.ground().reply(target, Ok(&result)).await
    }

    /// Hands a reply to the reply handler for the requests of a type.
    pub async fn reply_to<M: Method>(&self, reply: &M::Reply) -> Result<(), Fault>
    where
        M::Reply: Serialize,
    {
        self.reply(M::TARGET, reply).await
    }

    /// Hands a failure to the reply handler of a target.
    pub async fn failure(&self, target: &str, failure: Failure) -> Result<(), Fault> {
        self.ground().reply(target, Err(failure)).await
    }

    /// The messages that handlers have published, in their order. Those of a handler that ended
    /// with an error are not there.
    pub fn published(&self) -> Vec<Sent> {
        self.ground().stage().published()
    }

    /// The calls that handlers have made, in their order.
    pub fn called(&self) -> Vec<Sent> {
        self.ground().stage().called()
    }
}

#[cfg(test)]
mod tests;
