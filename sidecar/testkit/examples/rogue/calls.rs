//! Handlers that ask others, or themselves.

use serde_json::{Value, json};
use tpro_sidecar::{CallError, Ctx, Fault, Service, Tx};

use crate::effects::{Effect, end, pass};

/// Registers the handlers.
pub fn register(service: Service) -> Service {
    service
        .handle("default.call", call)
        .handle("default.call_and_hold", call_and_hold)
        .handle("default.circle", circle)
        .handle_transactional("transactional.publish", publish)
        .handle_transactional("transactional.spiral", spiral)
}

/// Calls the target of the body twice at once.
async fn call(ctx: Ctx, body: Value) -> Result<Value, Fault> {
    let target = body["target"].as_str().unwrap_or_default();
    let (first, second) =
        tokio::try_join!(ctx.call::<Value>(target, &body["body"]), ctx.call::<Value>(target, &body["body"]))?;
    Ok(json!([first, second]))
}

/// Has an effect made by a call, and then waits until the test lets the lock go.
async fn call_and_hold(ctx: Ctx, told: Effect) -> Result<Value, Fault> {
    let made = ctx.call("rogue.transactional.effect", &json!({})).await.map_err(CallError::into_fault)?;
    if let Some(lock) = told.hold {
        let db = ctx.db().await?;
        pass(&db, lock).await?;
    }
    Ok(made)
}

/// Asks itself, or the next of the services in the body, and so on in a circle.
async fn circle(ctx: Ctx, body: Value) -> Result<Value, Fault> {
    let me = ctx.target().service();
    let ring: Vec<&str> = body["ring"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let next = match ring.iter().position(|service| *service == me) {
        Some(place) => ring[(place + 1) % ring.len()],
        None => me,
    };
    ctx.call(&format!("{next}.default.circle"), &body).await.map_err(CallError::into_fault)
}

/// Publishes to itself, and so on.
async fn spiral(tx: Tx, body: Value) -> Result<i64, Fault> {
    tx.publish("rogue.transactional.spiral", &body).await
}

/// Publishes a message: its id.
async fn publish(tx: Tx, told: Effect) -> Result<i64, Fault> {
    let id = tx.publish("old.thing.ask", &json!({"from": "a handler"})).await?;
    end(&told, id).map(|made| made.number)
}
