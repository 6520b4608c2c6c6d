use std::convert::Infallible;

use serde::Deserialize;
use serde_json::{Value, json};
use tpro_wire::Status;

use super::*;
use crate::{AnyBody, CallError, Ctx, Publish, QueryError, ReplyCtx, Tx};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Seats {
    train: String,
    number: u32,
}

impl Method for Seats {
    const TARGET: &'static str = "train.seats.book";
    type Reply = u32;
}

struct Price(u32);

async fn book(tx: Tx<Price>, seats: Seats) -> Result<u32, Fault> {
    let price = seats.number * tx.state().0;
    tx.publish_request(&seats).await?;
    if seats.number > 9 { Err(Fault::new(7, "no more seats")) } else { Ok(price) }
}

async fn ask(ctx: Ctx<Price>, seats: Seats) -> Result<u32, Fault> {
    let asked = ctx.call_request(&seats).await.map_err(CallError::into_fault)?;
    Ok(asked * ctx.state().0)
}

async fn forgiving(ctx: Ctx<Price>, seats: Seats) -> Result<String, Fault> {
    Ok(match ctx.call_request(&seats).await {
        Ok(seats) => seats.to_string(),
        Err(error) => error.status().to_string(),
    })
}

async fn query(ctx: Ctx<Price>, _: AnyBody) -> Result<i32, QueryError> {
    Ok(ctx.db().await?.query_one("SELECT 1", &[]).await?.get(0))
}

async fn update(tx: Tx<Price>, _: AnyBody) -> Result<u64, QueryError> {
    tx.execute("UPDATE seats SET free = free - 1", &[]).await
}

async fn booked(ctx: ReplyCtx<Price>, seats: u32) -> Result<(), Fault> {
    ctx.publish("bill.invoice.make", &json!({ "sum": seats * ctx.state().0 })).await?;
    Ok(())
}

async fn not_booked(ctx: ReplyCtx<Price>, failure: Failure) -> Result<(), Fault> {
    ctx.publish("bill.invoice.drop", &json!({ "status": failure.status.as_str() })).await?;
    Err(Fault::internal("after all"))
}

fn service() -> Service<Price> {
    let price = |(): ()| Ok::<_, Infallible>(Price(20));
    Service::with_state("station", price)
        .setting("COLOUR", "red", "a colour")
        .handle_transactional("seats.book", book)
        .handle("seats.ask", ask)
        .handle_stateless("seats.forgiving", forgiving)
        .handle("seats.query", query)
        .handle_transactional("seats.update", update)
        .on_reply_to::<Seats>(booked, not_booked)
}

fn seats(number: u32) -> Seats {
    Seats { train: "night".into(), number }
}

#[tokio::test]
async fn what_a_handler_publishes_is_there_unless_it_fails() {
    let test = test(service());
    assert_eq!(test.call::<u32>("seats.book", &seats(2)).await.unwrap(), 40);
    let refused = test.call::<u32>("seats.book", &seats(10)).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (7, "no more seats"));
    let published = test.published();
    assert_eq!(published.len(), 1);
    assert_eq!(published[0].target, "tpro.train.seats.book");
    assert_eq!((published[0].read::<Seats>().unwrap(), published[0].timeout), (seats(2), 15));
}

#[tokio::test]
async fn what_the_database_would_refuse_is_refused() {
    async fn publish(tx: Tx, body: Value) -> Result<i64, Fault> {
        let late = body["timeout"].as_i64().unwrap_or_default();
        let mut publish = Publish::to("train.seats.book").timeout(i32::try_from(late)?);
        if let Some(key) = body["key"].as_str() {
            publish = publish.ordering_key(key);
        }
        if let Some(function) = body["function"].as_str() {
            publish = publish.on_reply(function);
        }
        tx.publish_with(publish, &body["body"]).await
    }
    let test = test(Service::new("station").handle_transactional("seats.publish", publish));
    for (body, id) in [
        (json!({ "timeout": 15, "body": {} }), Some(1)),
        (json!({ "timeout": -1, "body": {} }), None),
        (json!({ "timeout": 15, "body": 7 }), None),
        (json!({ "timeout": 0, "body": [7] }), Some(2)),
        (json!({ "timeout": 15, "body": {}, "key": "" }), None),
        (json!({ "timeout": 15, "body": {}, "key": "x".repeat(201) }), None),
        (json!({ "timeout": 15, "body": {}, "function": "booked" }), None),
        (json!({ "timeout": 15, "body": {}, "key": "night", "function": "station.booked" }), Some(3)),
    ] {
        assert_eq!(test.call::<i64>("seats.publish", &body).await.ok(), id, "{body}");
    }
}

#[tokio::test]
async fn calls_are_answered_by_the_test() {
    let test = test(service()).state(Price(3)).answer_request(|seats: Seats| {
        if seats.number > 9 { Err(Fault::new(9, "full")) } else { Ok(seats.number) }
    });
    assert_eq!(test.call::<u32>("seats.ask", &seats(2)).await.unwrap(), 6);
    assert_eq!(test.call::<u32>("seats.ask", &seats(10)).await.unwrap_err().code(), 9);
    let called = test.called();
    assert_eq!((called.len(), called[1].target.as_str()), (2, "tpro.train.seats.book"));
    assert_eq!(called[1].body, json!({ "train": "night", "number": 10 }));
}

#[tokio::test]
async fn a_call_can_end_as_it_does_without_the_other_service() {
    let away = test(service()).unavailable("train.seats.book");
    assert_eq!(away.call::<String>("seats.forgiving", &seats(1)).await.unwrap(), "unavailable");
    let silent = test(service()).silent("train.seats.book");
    assert_eq!(silent.call::<String>("seats.forgiving", &seats(1)).await.unwrap(), "timeout");
}

#[tokio::test]
async fn a_handler_sees_language_and_headers() {
    async fn told(ctx: Ctx, _: AnyBody) -> Result<(Option<String>, Option<String>, u32), Fault> {
        Ok((ctx.language().map(str::to_owned), ctx.headers().map(str::to_owned), ctx.attempt()))
    }
    let service = || Service::new("station").handle("seats.told", told);
    let silent: Value = test(service()).call("seats.told", &json!({})).await.unwrap();
    assert_eq!(silent, json!([null, null, 1]));
    let test = test(service()).language("ru-RU").headers(r#"{"night":true}"#);
    let told: Value = test.call("seats.told", &json!({})).await.unwrap();
    assert_eq!(told, json!(["ru-RU", r#"{"night":true}"#, 1]));
}

#[tokio::test]
async fn a_caller_sees_what_it_would_see() {
    let test = test(service());
    let unknown = test.call::<Value>("seats.sell", &seats(1)).await.unwrap_err();
    assert_eq!(unknown.code(), code::METHOD_NOT_FOUND);
    let misfit = test.call::<Value>("seats.book", &json!({ "train": 7 })).await.unwrap_err();
    assert_eq!(
        (misfit.code(), misfit.message()),
        (code::INVALID_PARAMS, "field train does not fit: expected a string")
    );
}

#[tokio::test]
async fn replies_go_to_their_handlers() {
    let test = test(service());
    test.reply_to::<Seats>(&2).await.unwrap();
    let failure = Failure::new(Status::Timeout, code::TIMEOUT, "late");
    assert_eq!(test.failure("train.seats.book", failure).await.unwrap_err().code(), code::INTERNAL);
    let published: Vec<_> = test.published().into_iter().map(|sent| (sent.target, sent.body)).collect();
    assert_eq!(published, [("tpro.bill.invoice.make".to_owned(), json!({ "sum": 40 }))]);
}

#[tokio::test]
async fn what_the_test_does_not_have_is_named_with_the_remedy() {
    let no_database = "this test has no database: give it one by `.database(url)`";
    for (method, remedy) in [
        ("seats.query", no_database),
        ("seats.update", no_database),
        ("seats.forgiving", "this test has no answer to train.seats.book: give it one by `.answer("),
    ] {
        let running =
            tokio::spawn(async move { test(service()).call::<Value>(method, &seats(1)).await.map(drop) });
        let panic = running.await.expect_err(method).into_panic();
        let text = panic.downcast_ref::<String>().cloned().unwrap_or_default();
        assert!(text.starts_with(remedy), "{method}: {text}");
    }
}

#[tokio::test]
#[should_panic(expected = "SHAPE is not a setting of this service")]
async fn a_setting_that_is_not_known_is_a_mistake() {
    drop(test(service()).setting("COLOUR", "blue").setting("SHAPE", "round"));
}

#[tokio::test]
#[should_panic(expected = "the state of the service cannot be made: no price today")]
async fn a_state_that_cannot_be_made_is_a_mistake() {
    let service: Service<Price> = Service::with_state("station", |(): ()| Err("no price today"));
    let _ = test(service.handle("seats.ask", ask)).call::<u32>("seats.ask", &seats(1)).await;
}
