//! The bodies of a message, and the handler that runs for each of them.
//!
//! A batch is one message: one run, one deadline, one outcome. The handler runs for each of its
//! requests, one after the other, and knows nothing of the others. All share the scope of the
//! message. So they work in one transaction, where they have one, and all of it is committed or
//! nothing.

use std::{borrow::Cow, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use serde_json::value::RawValue;
use tpro_wire::{Place, error::code};

use super::{Fault, run::panicked, way::Erased};

/// The bodies of a message.
pub(crate) enum Bodies<'m> {
    /// The body of a request, JSON text.
    One(&'m str),
    /// The bodies of the requests of a batch.
    Batch(Vec<&'m RawValue>),
}

impl<'m> Bodies<'m> {
    /// The JSON text of all of them, by which a stranger's repeat is known.
    pub(crate) fn text(&self) -> Cow<'m, str> {
        match self {
            Self::One(body) => Cow::Borrowed(body),
            Self::Batch(bodies) => {
                let bodies: Vec<&str> = bodies.iter().map(|body| body.get()).collect();
                Cow::Owned(format!("[{}]", bodies.join(",")))
            }
        }
    }
}

/// Runs a handler for the body of a message, or for each one of a batch. `context` makes what the
/// handler is given. More than `most` bytes of result cannot be carried: a batch fails with them
/// before its next request, and its transaction is rolled back.
pub(crate) async fn handle<C>(
    handler: &Erased<C, String>,
    context: impl Fn() -> C,
    bodies: &Bodies<'_>,
    most: usize,
) -> Result<String, Fault> {
    match bodies {
        Bodies::One(body) => handler(context(), body).await,
        // Boxed for the sake of the single request.
        Bodies::Batch(bodies) => Box::pin(each(handler, context, bodies, most)).await,
    }
}

async fn each<C>(
    handler: &Erased<C, String>,
    context: impl Fn() -> C,
    bodies: &[&RawValue],
    most: usize,
) -> Result<String, Fault> {
    let count = bodies.len();
    let mut results = String::from("[");
    for (index, body) in bodies.iter().enumerate() {
        if index > 0 {
            results.push(',');
            // A handler that is always ready would let nobody stop a long batch.
            tokio::task::yield_now().await;
        }
        // Caught here, where the request is known that has panicked.
        let ran = AssertUnwindSafe(async { handler(context(), body.get()).await }).catch_unwind().await;
        let result = ran.unwrap_or_else(|panic| Err(panicked(&*panic)));
        results.push_str(&result.map_err(|fault| fault.at(Place { index, count }))?);
        let size = results.len() + 1;
        if size > most {
            let text = format!("the answer has {size} bytes, {most} can be carried");
            return Err(Fault::new(code::TOO_LARGE, text));
        }
    }
    results.push(']');
    Ok(results)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// A handler of a context that counts, and the contexts and bodies that it has seen.
    type Seen = Arc<Mutex<Vec<(usize, String)>>>;

    fn handler(seen: &Seen) -> Erased<usize, String> {
        let seen = seen.clone();
        Box::new(move |number, body| {
            let (seen, body) = (seen.clone(), body.to_owned());
            Box::pin(async move {
                seen.lock().unwrap().push((number, body.clone()));
                match body.as_str() {
                    r#"{"end":"fault"}"# => Err(Fault::new(7, "no more seats").data([1])),
                    r#"{"end":"internal"}"# => Err(Fault::internal("secret")),
                    r#"{"end":"later"}"# => Err(Fault::retry_after(30)),
                    r#"{"end":"panic"}"# => panic!("secret"),
                    _ => Ok(format!("{{\"of\":{body}}}")),
                }
            })
        })
    }

    async fn ran(json: &str, most: usize) -> (Result<String, Fault>, Vec<(usize, String)>) {
        let seen = Seen::default();
        let (handler, next) = (handler(&seen), Mutex::new(0));
        let context = || {
            let mut next = next.lock().unwrap();
            *next += 1;
            *next
        };
        let bodies = Bodies::Batch(serde_json::from_str(json).unwrap());
        assert_eq!(bodies.text(), json);
        let result = handle(&handler, context, &bodies, most).await;
        let seen = seen.lock().unwrap().clone();
        (result, seen)
    }

    #[tokio::test]
    async fn a_handler_runs_for_each_body_in_order_and_each_time_in_a_context_of_its_own() {
        let (result, seen) = ran(r#"[{"a":1.50},[],{"b":2}]"#, 1_000).await;
        assert_eq!(result.unwrap(), r#"[{"of":{"a":1.50}},{"of":[]},{"of":{"b":2}}]"#);
        let bodies = [r#"{"a":1.50}"#, "[]", r#"{"b":2}"#];
        assert_eq!(seen, (1..).zip(bodies.map(str::to_owned)).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_body_by_itself_is_handled_as_it_came() {
        let seen = Seen::default();
        let bodies = Bodies::One("[[],[]]");
        let result = handle(&handler(&seen), || 0, &bodies, 1).await;
        assert_eq!((result.unwrap().as_str(), bodies.text().as_ref()), (r#"{"of":[[],[]]}"#, "[[],[]]"));
    }

    #[tokio::test]
    async fn the_first_failure_ends_the_batch_and_says_its_place() {
        for (end, error) in [
            (
                "fault",
                r#"{"code":7,"message":"request 2 of 3: no more seats","data":{"index":1,"count":3,"data":[1]}}"#,
            ),
            (
                "internal",
                r#"{"code":-32603,"message":"request 2 of 3: internal error","data":{"index":1,"count":3}}"#,
            ),
            (
                "later",
                r#"{"code":-32011,"message":"request 2 of 3: the service asks for another try in 30 s","data":{"index":1,"count":3}}"#,
            ),
            (
                "panic",
                r#"{"code":-32603,"message":"request 2 of 3: internal error","data":{"index":1,"count":3}}"#,
            ),
        ] {
            let (result, seen) = ran(&format!(r#"[{{}},{{"end":"{end}"}},{{}}]"#), 1_000).await;
            let fault = result.unwrap_err();
            assert_eq!(
                (fault.later().is_some(), fault.cause().is_some()),
                (end == "later", error.contains("-32603"))
            );
            assert_eq!(fault.into_error().to_json(), error);
            assert_eq!(seen.len(), 2, "{end}: the third has not run");
        }
    }

    #[tokio::test]
    async fn a_batch_with_more_result_than_can_be_carried_fails_before_its_next_request() {
        let (result, seen) = ran("[[],[],[]]", 20).await;
        let error = r#"{"code":-32006,"message":"the answer has 21 bytes, 20 can be carried"}"#;
        assert_eq!((result.unwrap_err().into_error().to_json().as_str(), seen.len()), (error, 2));
    }
}
