//! Handlers that give back the number of their body, as the type they read it into has it.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tpro_sidecar::{AnyBody, CallError, Ctx, Failure, Fault, Publish, ReplyCtx, Service, Tx};

/// A body with a number.
#[derive(Deserialize, Serialize)]
struct Number<T> {
    n: T,
}

/// Registers them all.
pub fn register(service: Service) -> Service {
    let service = all::<f64>(service, "double");
    let service = all::<Value>(service, "any");
    let service = all::<u128>(service, "whole");
    all::<AnyBody>(service, "raw")
        .handle("number.headers", headers)
        .handle_transactional("number.hand_on_headers", hand_on)
}

fn all<T: DeserializeOwned + Serialize + Send + Sync + 'static>(service: Service, kind: &str) -> Service {
    service
        .handle(&format!("number.{kind}"), same::<T>)
        .handle(&format!("number.call_{kind}"), call::<T>)
        .handle_transactional(&format!("number.publish_{kind}"), publish::<T>)
        .handle_stateless(&format!("number.stateless_{kind}"), same::<T>)
        .on_reply(&format!("old.number.{kind}"), note::<T>, failed)
}

async fn same<T>(_: Ctx, body: Number<T>) -> Result<Number<T>, Fault> {
    Ok(body)
}

/// By way of another service's result.
async fn call<T: DeserializeOwned + 'static>(ctx: Ctx, body: AnyBody) -> Result<Number<T>, Fault> {
    ctx.call("probe.number.raw", &body).await.map_err(CallError::into_fault)
}

/// By way of the outbox: its id there.
async fn publish<T: Serialize>(tx: Tx, body: Number<T>) -> Result<i64, Fault> {
    tx.publish("old.number.ask", &body).await
}

async fn note<T: Serialize>(ctx: ReplyCtx, body: Number<T>) -> Result<(), Fault> {
    let number = serde_json::to_string(&body.n)?;
    ctx.execute(
        "/* note */ INSERT INTO public.effect (uid, what) VALUES ($1, $2)",
        &[&ctx.uid().uuid(), &number],
    )
    .await?;
    Ok(())
}

async fn failed(_: ReplyCtx, _: Failure) -> Result<(), Fault> {
    Ok(())
}

/// What came with the body, and the language that it names.
async fn headers(ctx: Ctx, _: AnyBody) -> Result<Value, Fault> {
    Ok(serde_json::json!({ "headers": ctx.headers(), "language": ctx.language() }))
}

/// Publishes with the headers that came: the id of the row.
async fn hand_on(tx: Tx, body: AnyBody) -> Result<i64, Fault> {
    let headers = tx.headers().unwrap_or("{}").to_owned();
    tx.publish_with(Publish::to("old.number.ask").headers(&headers), &body).await
}
