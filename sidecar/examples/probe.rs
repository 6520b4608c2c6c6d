//! The service of the end-to-end tests: handlers that do what no good service does, and count their effects.
//!
//! Its table `public.effect(uid, what)` is made by the test. It serves under any name, so that it can ask another of its
//! kind.

#[path = "probe/numbers.rs"]
mod numbers;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tpro_sidecar::{AnyBody, CallError, Ctx, Failure, Fault, ReplyCtx, Service, Tx};

fn main() -> std::process::ExitCode {
    let name = std::env::var("SERVICE_NAME").unwrap_or_else(|_| "probe".to_owned());
    tpro_sidecar::run(numbers::register(
        Service::new(&name)
            .handle_stateless("stateless.echo", echo)
            .handle_stateless("stateless.effect", effect)
            .handle_stateless("stateless.pause", pause)
            .handle_stateless("stateless.flaky", flaky)
            .handle_stateless("stateless.flaky_tx", flaky_in_tx)
            .handle("default.echo", echo)
            .handle("default.raw", raw)
            .handle("default.effect", effect)
            .handle("default.tx", effect_in_tx)
            .handle("default.panic", panic)
            .handle("default.internal", internal)
            .handle("default.hang", hang)
            .handle("default.sleep", sleep)
            .handle("default.reply", reply)
            .handle("default.held_reply", held_reply)
            .handle("default.call", call)
            .handle("default.call_and_hold", call_and_hold)
            .handle("default.circle", circle)
            .handle("default.abort", abort)
            .handle("default.flaky", flaky)
            .handle("default.flaky_tx", flaky_in_tx)
            .handle_transactional("transactional.effect", effect_of_tx)
            .handle_transactional("transactional.raw", raw_in_tx)
            .handle_transactional("transactional.hang", hang_in_tx)
            .handle_transactional("transactional.sleep", sleep_in_tx)
            .handle_transactional("transactional.abort", abort_in_tx)
            .handle_transactional("transactional.reply", reply_in_tx)
            .handle_transactional("transactional.flaky", flaky_of_tx)
            .handle_transactional("transactional.publish", publish)
            .handle_transactional("transactional.spiral", spiral)
            .on_reply("old.thing.noted", noted, noted_failure)
            .on_reply("old.thing.spoiled", spoiled, spoiled_failure)
            .on_reply("old.thing.panics", panics, spoiled_failure)
            .on_reply("old.thing.hangs", hangs, spoiled_failure)
            .on_reply("old.thing.flaky", flaky_reply, noted_failure)
            .on_reply("old.thing.holds", holds, noted_failure),
    ))
}

/// What a handler with an effect is told to do.
#[derive(Deserialize)]
struct Effect {
    /// Wait until the test lets this advisory lock go.
    hold: Option<i64>,
    /// Take so many milliseconds, with the connection in hand.
    pause: Option<f64>,
    /// How to end after the effect: `fault`, `internal`, `panic`; else well.
    end: Option<String>,
}

/// Where the effect was made.
#[derive(Serialize)]
struct Made {
    pid: u32,
    number: i64,
}

const INSERT: &str = "/* effect */ WITH made AS (INSERT INTO public.effect (uid, what) VALUES ($1, $2))
    SELECT 1 + count(*) FROM public.effect WHERE uid = $1";

async fn echo(_: Ctx, body: Value) -> Result<Value, Fault> {
    Ok(body)
}

/// Takes its time, and nothing else.
async fn pause(_: Ctx, told: Effect) -> Result<(), Fault> {
    tokio::time::sleep(Duration::from_secs_f64(told.pause.unwrap_or_default() / 1000.0)).await;
    Ok(())
}

/// Answers with the body as it came, digit by digit.
async fn raw(_: Ctx, body: AnyBody) -> Result<AnyBody, Fault> {
    Ok(body)
}

/// The same.
async fn raw_in_tx(_: Tx, body: AnyBody) -> Result<AnyBody, Fault> {
    Ok(body)
}

async fn effect(ctx: Ctx, told: Effect) -> Result<Made, Fault> {
    let db = ctx.db().await?;
    let number = db.query_one(INSERT, &[&ctx.uid().uuid(), &"effect"]).await?.get(0);
    if let Some(lock) = told.hold {
        db.execute("/* hold */ SELECT pg_advisory_lock_shared($1)", &[&lock]).await?;
        db.execute("/* let go */ SELECT pg_advisory_unlock_shared($1)", &[&lock]).await?;
    }
    end(&told, number)
}

async fn effect_in_tx(ctx: Ctx, told: Effect) -> Result<Made, Fault> {
    effect_of_tx(ctx.tx().await?, told).await
}

async fn effect_of_tx(tx: Tx, told: Effect) -> Result<Made, Fault> {
    let number = tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?.get(0);
    if let Some(lock) = told.hold {
        tx.execute("/* hold */ SELECT pg_advisory_xact_lock_shared($1)", &[&lock]).await?;
    }
    if let Some(pause) = told.pause {
        tx.execute("/* pause */ SELECT pg_sleep($1::float8 / 1000)", &[&pause]).await?;
    }
    end(&told, number)
}

fn end(told: &Effect, number: i64) -> Result<Made, Fault> {
    match told.end.as_deref() {
        Some("fault") => Err(Fault::new(7, "told to fail").data(json!({"number": number}))),
        Some("internal") => Err(Fault::internal("told to fail inside")),
        Some("panic") => panic!("told to panic"),
        _ => Ok(Made { pid: std::process::id(), number }),
    }
}

/// Panics with words of the body, which the caller must not see.
async fn panic(_: Ctx, body: Value) -> Result<(), Fault> {
    panic!("the body was {body}")
}

/// Fails by an error of its own, or with so many bytes of text, which only the log sees.
async fn internal(_: Ctx, body: Value) -> Result<(), Fault> {
    if let Some(bytes) = body["bytes"].as_u64() {
        return Err(Fault::internal("x".repeat(usize::try_from(bytes)?)));
    }
    body["number"].as_str().unwrap_or("no number").parse::<i64>()?;
    Ok(())
}

/// Never ends by itself, and never gives way to another error.
async fn hang(_: Ctx, _: Value) -> Result<(), Fault> {
    std::future::pending().await
}

/// The same in the database.
async fn sleep(ctx: Ctx, _: Value) -> Result<(), Fault> {
    ctx.db().await?.execute("/* sleep */ SELECT pg_sleep(600)", &[]).await?;
    Ok(())
}

/// Hangs after an effect.
async fn hang_in_tx(tx: Tx, _: Value) -> Result<(), Fault> {
    tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?;
    std::future::pending().await
}

/// The same in the database.
async fn sleep_in_tx(tx: Tx, _: Value) -> Result<(), Fault> {
    tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?;
    tx.execute("/* sleep */ SELECT pg_sleep(600)", &[]).await?;
    Ok(())
}

/// Answers with so many bytes, or with text that PostgreSQL does not take.
async fn reply(_: Ctx, body: Value) -> Result<String, Fault> {
    text(&body)
}

/// Answers so when the test lets the lock go.
async fn held_reply(ctx: Ctx, body: Value) -> Result<String, Fault> {
    let db = ctx.db().await?;
    if let Some(lock) = body["hold"].as_i64() {
        db.execute("/* hold */ SELECT pg_advisory_lock_shared($1)", &[&lock]).await?;
        db.execute("/* let go */ SELECT pg_advisory_unlock_shared($1)", &[&lock]).await?;
    }
    text(&body)
}

/// The same, after an effect.
async fn reply_in_tx(tx: Tx, body: Value) -> Result<String, Fault> {
    tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?;
    text(&body)
}

fn text(body: &Value) -> Result<String, Fault> {
    match body["bytes"].as_u64() {
        Some(bytes) => Ok("x".repeat(usize::try_from(bytes)?)),
        None => Ok("\0".to_owned()),
    }
}

async fn call(ctx: Ctx, body: Value) -> Result<Value, Fault> {
    let target = body["target"].as_str().unwrap_or_default();
    // Twice at once: each is a call of its own.
    let (first, second) =
        tokio::try_join!(ctx.call::<Value>(target, &body["body"]), ctx.call::<Value>(target, &body["body"]))?;
    Ok(json!([first, second]))
}

/// Has an effect made by a call, and then waits until the test lets the lock go.
async fn call_and_hold(ctx: Ctx, told: Effect) -> Result<Value, Fault> {
    let made = ctx.call("probe.transactional.effect", &json!({})).await.map_err(CallError::into_fault)?;
    if let Some(lock) = told.hold {
        let db = ctx.db().await?;
        db.execute("/* hold */ SELECT pg_advisory_lock_shared($1)", &[&lock]).await?;
        db.execute("/* let go */ SELECT pg_advisory_unlock_shared($1)", &[&lock]).await?;
    }
    Ok(made)
}

/// Takes the process with it, when the test lets it.
async fn abort(ctx: Ctx, told: Effect) -> Result<(), Fault> {
    if let Some(lock) = told.hold {
        ctx.db().await?.execute("/* hold */ SELECT pg_advisory_lock_shared($1)", &[&lock]).await?;
    }
    std::process::abort()
}

/// The same.
async fn abort_in_tx(tx: Tx, told: Effect) -> Result<(), Fault> {
    if let Some(lock) = told.hold {
        tx.execute("/* hold */ SELECT pg_advisory_xact_lock_shared($1)", &[&lock]).await?;
    }
    std::process::abort()
}

/// Calls what the test has made to fail, and then has an effect.
async fn flaky(ctx: Ctx, told: Effect) -> Result<Made, Fault> {
    let db = ctx.db().await?;
    db.execute("/* flaky */ SELECT public.flaky()", &[]).await?;
    let number = db.query_one(INSERT, &[&ctx.uid().uuid(), &"effect"]).await?.get(0);
    end(&told, number)
}

/// Has an effect, and then calls what the test has made to fail.
async fn flaky_in_tx(ctx: Ctx, told: Effect) -> Result<Made, Fault> {
    flaky_of_tx(ctx.tx().await?, told).await
}

/// The same.
async fn flaky_of_tx(tx: Tx, told: Effect) -> Result<Made, Fault> {
    let number = tx.query_one(INSERT, &[&tx.uid().uuid(), &"effect"]).await?.get(0);
    tx.execute("/* flaky */ SELECT public.flaky()", &[]).await?;
    end(&told, number)
}

/// Asks itself, or the next of the services in the body, and so on round and round.
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
    tx.publish("probe.transactional.spiral", &body).await
}

async fn publish(tx: Tx, told: Effect) -> Result<i64, Fault> {
    let id = tx.publish("old.thing.ask", &json!({"from": "a handler"})).await?;
    end(&told, id).map(|made| made.number)
}

async fn noted(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "ok").await
}

async fn noted_failure(ctx: ReplyCtx, failure: Failure) -> Result<(), Fault> {
    note(&ctx, failure.status.as_str()).await
}

async fn spoiled(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "spoiled").await?;
    ctx.execute("/* spoil */ SELECT 1 / 0", &[]).await?;
    Ok(())
}

async fn spoiled_failure(ctx: ReplyCtx, _: Failure) -> Result<(), Fault> {
    note(&ctx, "spoiled").await?;
    Err(Fault::internal("told to fail inside"))
}

async fn panics(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "spoiled").await?;
    panic!("told to panic")
}

async fn hangs(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "spoiled").await?;
    std::future::pending().await
}

async fn flaky_reply(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "ok").await?;
    ctx.execute("/* flaky */ SELECT public.flaky()", &[]).await?;
    Ok(())
}

/// Waits until the test lets the lock go.
async fn holds(ctx: ReplyCtx, _: Value) -> Result<(), Fault> {
    note(&ctx, "ok").await?;
    ctx.execute("/* hold */ SELECT pg_advisory_xact_lock_shared(7)", &[]).await?;
    Ok(())
}

async fn note(ctx: &ReplyCtx, what: &str) -> Result<(), Fault> {
    ctx.execute(
        "/* note */ INSERT INTO public.effect (uid, what) VALUES ($1, $2)",
        &[&ctx.uid().uuid(), &what],
    )
    .await?;
    Ok(())
}
