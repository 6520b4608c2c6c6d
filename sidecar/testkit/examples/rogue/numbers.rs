//! Handlers that give back the number in the body, as the type has it that they read it into.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tpro_sidecar::{AnyBody, CallError, Ctx, Failure, Fault, Publish, ReplyCtx, Service, Tx};

use crate::replies;

/// A body with a number.
#[derive(Deserialize, Serialize)]
struct Number<T> {
    n: T,
}

/// Registers the handlers.
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

/// Gives back the number that another service has answered.
async fn call<T: DeserializeOwned + 'static>(ctx: Ctx, body: AnyBody) -> Result<Number<T>, Fault> {
    ctx.call("rogue.number.raw", &body).await.map_err(CallError::into_fault)
}

/// Publishes the number: the id of its row.
async fn publish<T: Serialize>(tx: Tx, body: Number<T>) -> Result<i64, Fault> {
    tx.publish("old.number.ask", &body).await
}

async fn note<T: Serialize>(ctx: ReplyCtx, body: Number<T>) -> Result<(), Fault> {
    replies::note(&ctx, &serde_json::to_string(&body.n)?).await
}

async fn failed(_: ReplyCtx, _: Failure) -> Result<(), Fault> {
    Ok(())
}

/// Answers with the headers that came, and with the language that they name.
async fn headers(ctx: Ctx, _: AnyBody) -> Result<Value, Fault> {
    Ok(serde_json::json!({ "headers": ctx.headers(), "language": ctx.language() }))
}

/// Publishes with the headers that came: the id of the row.
async fn hand_on(tx: Tx, body: AnyBody) -> Result<i64, Fault> {
    let headers = tx.headers().unwrap_or("{}").to_owned();
    tx.publish_with(Publish::to("old.number.ask").headers(&headers), &body).await
}
