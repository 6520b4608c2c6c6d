//! Handlers that are tested without servers, on a database that the test gives.

use serde_json::json;
use tpro_sidecar::{AnyBody, Ctx, Failure, Fault, ReplyCtx, Service, Status, Test, Tx, test};
use tpro_testkit::{Database, Outcome, Postgres};

const INSERT: &str = "/* note */ INSERT INTO public.note (what) VALUES ($1)";

async fn book(tx: Tx, seats: i32) -> Result<i32, Fault> {
    tx.execute(INSERT, &[&"booked"]).await?;
    tx.publish("train.seats.book", &json!({ "seats": seats })).await?;
    if seats > 9 { Err(Fault::new(7, "no more seats")) } else { Ok(seats) }
}

async fn book_late(ctx: Ctx, seats: i32) -> Result<i32, Fault> {
    book(ctx.tx().await?, seats).await
}

async fn booked(ctx: ReplyCtx, _: AnyBody) -> Result<(), Fault> {
    ctx.execute(INSERT, &[&"replied"]).await?;
    Ok(())
}

async fn not_booked(ctx: ReplyCtx, _: Failure) -> Result<(), Fault> {
    ctx.execute(INSERT, &[&"failed"]).await?;
    Err(Fault::internal("and this fails too"))
}

/// The service on a database of its own.
async fn station() -> Outcome<(Test, Database)> {
    let database = Postgres::shared().await?.database().await?;
    database.create_service("main").await?;
    let note = "CREATE TABLE public.note (what text); GRANT INSERT ON public.note TO main";
    database.connect().await?.batch_execute(note).await?;
    let service = Service::new("main")
        .handle_transactional("seats.book", book)
        .handle("seats.book_late", book_late)
        .on_reply("train.seats.book", booked, not_booked);
    let test = test(service).database(&database.role_url("main"));
    Ok((test, database))
}

/// The notes, and the number of messages in the outbox.
async fn left(database: &Database) -> Outcome<(Vec<String>, i64)> {
    let admin = database.connect().await?;
    let notes = admin.query("SELECT what FROM public.note ORDER BY what", &[]).await?;
    let sql = "SELECT count(*) FROM main_service.mq_publish WHERE service_name = 'train'";
    let published = admin.query_one(sql, &[]).await?.get(0);
    Ok((notes.iter().map(|row| row.get(0)).collect(), published))
}

#[tpro_testkit::test]
async fn the_transaction_of_a_handler_is_committed_or_rolled_back_with_it() -> Outcome {
    let (test, database) = station().await?;
    for method in ["seats.book", "seats.book_late"] {
        assert_eq!(test.call::<i32>(method, &2).await.expect("booked"), 2);
        assert_eq!(test.call::<i32>(method, &10).await.expect_err("too many").code(), 7);
    }
    assert_eq!(left(&database).await?, (vec!["booked".to_owned(); 2], 2));
    let published = test.published();
    assert_eq!(published.len(), 2, "{published:?}");
    assert_eq!(
        (published[1].target.as_str(), &published[1].body),
        ("tpro.train.seats.book", &json!({"seats": 2}))
    );
    Ok(())
}

#[tpro_testkit::test]
async fn the_transaction_of_a_reply_handler_is_committed_or_rolled_back_with_it() -> Outcome {
    let (test, database) = station().await?;
    test.reply("train.seats.book", &json!({})).await.expect("replied");
    let failure = Failure::new(Status::Timeout, -32002, "no answer");
    assert!(test.failure("train.seats.book", failure).await.is_err());
    assert_eq!(left(&database).await?, (vec!["replied".to_owned()], 0));
    Ok(())
}
