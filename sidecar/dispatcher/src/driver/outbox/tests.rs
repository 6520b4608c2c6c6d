//! The statements against a real PostgreSQL.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tpro_runtime::{random, settlement::Settlement};
use tpro_testkit::{Database, Postgres};
use tpro_wire::{Language, status::Status, target::Target, trace::TraceParent, uid::Uid};

use super::{statements::PLANS, *};
use crate::{
    core::{Settled, floor::Floor, lane_id::LaneId, published::Content, reader::Reader},
    driver::{recovery, row},
};

const PAGE: i64 = 7;
const WRITERS: u64 = 6;

/// Ids of a partition, as far as the floor is concerned.
const WIDTH: i64 = 50;

const INSERT: &str = "INSERT INTO main_service.mq_publish \
    (protocol, space_name, service_name, entity, method_name, timeout, headers, body) \
    VALUES ('jsonrpc', 'tpro', 'co', 'example', 'x', 15, '{}', '{}') RETURNING id";

/// With an id that was drawn before, as if the process had stood still between drawing it and
/// having a transaction id.
const INSERT_DRAWN: &str = "INSERT INTO main_service.mq_publish (id, service_name, entity, method_name) VALUES ($1::bigint, 'co', 'example', 'x')";

async fn database() -> Database {
    let postgres = Postgres::shared().await.expect("PostgreSQL starts");
    let database = postgres.database().await.expect("a database is made");
    database.create_service("main").await.expect("a service is made");
    database
}

async fn outbox(database: &Database) -> Outbox {
    let client = database.connect().await.expect("connects");
    let settings = "SET plan_cache_mode = force_generic_plan; SET jit = off";
    client.batch_execute(settings).await.expect("settings are set");
    let service = ServiceName::parse("main").expect("is a name");
    Outbox::new(client, &service).await.expect("all is prepared")
}

/// Transactions of random length with savepoints, of which a third is rolled back. Returns the ids
/// that were committed.
async fn write(database: &Database, stop: &AtomicBool) -> Vec<i64> {
    let client = database.connect().await.expect("connects");
    let mut committed = Vec::new();
    let chance = |of: u64| random::next_u64().is_multiple_of(of);
    while !stop.load(Ordering::Relaxed) {
        let mut ids: Vec<i64> = Vec::new();
        let mut drawn = None;
        if chance(4) {
            let draw = "SELECT nextval('main_service.mq_publish_id_seq')";
            drawn = Some(client.query_one(draw, &[]).await.expect("draws").get::<_, i64>(0));
            tokio::time::sleep(Duration::from_millis(random::next_u64() % 400)).await;
        }
        client.batch_execute("BEGIN").await.expect("begins");
        if let Some(id) = drawn {
            client.execute(INSERT_DRAWN, &[&id]).await.expect("inserts");
            ids.push(id);
        }
        for _ in 0..=random::next_u64() % 4 {
            if chance(3) {
                client.batch_execute("SAVEPOINT one").await.expect("a savepoint is set");
                client.query_one(INSERT, &[]).await.expect("inserts");
                client.batch_execute("ROLLBACK TO one").await.expect("rolls back");
            }
            let row = client.query_one(INSERT, &[]).await.expect("inserts");
            ids.push(row.get(0));
        }
        if chance(5) {
            tokio::time::sleep(Duration::from_millis(random::next_u64() % 40)).await;
        }
        if chance(3) {
            client.batch_execute("ROLLBACK").await.expect("rolls back");
        } else {
            client.batch_execute("COMMIT").await.expect("commits");
            committed.extend(ids);
        }
    }
    committed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_committed_row_is_read_once_whatever_the_order_of_commits() {
    let database = Arc::new(database().await);
    let outbox = outbox(&database).await;
    let stop = Arc::new(AtomicBool::new(false));
    let left = Arc::new(AtomicU64::new(WRITERS));
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let (database, stop, left) = (database.clone(), stop.clone(), left.clone());
            tokio::spawn(async move {
                let committed = write(&database, &stop).await;
                left.fetch_sub(1, Ordering::Relaxed);
                committed
            })
        })
        .collect();
    let begin = outbox.cursor().await.expect("there is a cursor").snapshot;
    let (mut reader, mut floor) = (Reader::new(begin.clone()), Floor::new(WIDTH, begin));
    let mut read: BTreeMap<i64, u32> = BTreeMap::new();
    let (mut floors, mut late) = (BTreeSet::new(), 0);
    // Windows that each statement reads.
    let mut windows = [0; 2];
    loop {
        let over = left.load(Ordering::Relaxed) == 0;
        // Both are right for any transaction: its age only makes one of them slow.
        let window = Window { is_young: random::next_u64().is_multiple_of(2), ..reader.window() };
        windows[usize::from(window.is_short())] += 1;
        let (cur, rows) = outbox.read(&window, floor.first(), PAGE, Some(&[])).await.expect("reads");
        let places: Vec<_> = rows.iter().map(|row| row::place(row).expect("is a row")).collect();
        assert!(places.is_sorted(), "a page comes in the order of (tx, id)");
        places.iter().for_each(|(_, id)| *read.entry(*id).or_default() += 1);
        let more = reader.advance(cur, places.last().copied(), places.len() == PAGE as usize);
        if read.len() > 3_000 && late > 0 {
            stop.store(true, Ordering::Relaxed);
        }
        // As the leader does: between two windows, now and then, and at the end.
        if reader.is_between() && (over || random::next_u64().is_multiple_of(4)) {
            let until = reader.seen().clone();
            let (Looked { found, .. }, drawn) =
                recovery::look_back(&outbox, floor.seen(), &until, floor.last_below()).await.expect("looks");
            found.iter().for_each(|row| *read.entry(row.id).or_default() += 1);
            late += found.len();
            floor.looked_back(until, Some(drawn));
            floors.insert(floor.first());
        }
        if over && !more && places.is_empty() {
            break;
        }
    }
    let mut committed = Vec::new();
    for writer in writers {
        committed.extend(writer.await.expect("the writer ends"));
    }
    committed.sort_unstable();
    assert!(read.values().all(|times| *times == 1), "a row was read twice");
    assert!(read.keys().copied().eq(committed), "what was read is not what was committed");
    assert!(windows.iter().all(|count| *count > 5), "only one statement was used: {windows:?}");
    assert!(floors.len() > 5, "the floor did not rise: {floors:?}");
}

#[tokio::test]
async fn rows_of_a_closed_lane_come_without_their_bodies() {
    let database = database().await;
    let outbox = outbox(&database).await;
    database.connect().await.expect("connects").query_one(INSERT, &[]).await.expect("inserts");
    let reader = Reader::new(outbox.cursor().await.expect("there is a cursor").snapshot);
    for (closed, whole) in [(Some(vec![]), true), (Some(vec!["tpro.co.0".to_owned()]), false), (None, false)]
    {
        let (_, rows) =
            outbox.read(&reader.window(), i64::MIN, PAGE, closed.as_deref()).await.expect("reads");
        let rows = row::rows(&rows).expect("can be read");
        assert_eq!(&*rows[0].lane, "tpro.co");
        assert_eq!(matches!(rows[0].content, Content::Whole(_)), whole, "with {closed:?}");
    }
}

#[tokio::test]
async fn rows_are_found_by_their_ids_whether_they_are_near_each_other_or_not() {
    let database = database().await;
    let outbox = outbox(&database).await;
    let client = database.connect().await.expect("connects");
    let many = INSERT
        .replace("VALUES (", "SELECT ")
        .replace(") RETURNING id", " FROM generate_series(1, 40) RETURNING id");
    let rows = client.query(&many, &[]).await.expect("inserts");
    let ids: Vec<i64> = rows.iter().map(|row| row.get(0)).collect();
    let gone = [ids[7], ids[30]];
    client
        .execute("DELETE FROM main_service.mq_publish WHERE id = ANY ($1)", &[&&gone[..]])
        .await
        .expect("deletes");
    let reply = "INSERT INTO main_service.mq_reply (mq_id, uid, status)
        SELECT id, uid, 'ok' FROM main_service.mq_publish WHERE id % 3 = 0";
    client.batch_execute(reply).await.expect("replies");
    let there = |ids: Vec<i64>| -> Vec<i64> { ids.into_iter().filter(|id| !gone.contains(id)).collect() };
    let every = |step: usize| -> Vec<i64> { ids.iter().copied().step_by(step).collect() };
    let but_some: Vec<i64> = ids.iter().copied().filter(|id| id % 7 != 0).collect();
    for asked in [ids.clone(), but_some, every(2), every(39), vec![ids[3]], vec![ids[7]]] {
        let backwards: Vec<i64> = asked.iter().rev().copied().collect();
        for asked in [asked, backwards] {
            let mut fetched = outbox.fetch(&asked).await.expect("fetches");
            assert!(fetched.iter().all(|row| matches!(row.content, Content::Whole(_))));
            fetched.sort_unstable_by_key(|row| row.id);
            let mut wanted = there(asked.clone());
            wanted.sort_unstable();
            assert_eq!(fetched.iter().map(|row| row.id).collect::<Vec<_>>(), wanted);
            wanted.retain(|id| id % 3 == 0);
            assert_eq!(outbox.settled(&asked).await.expect("looks"), wanted);
        }
    }
}

#[tokio::test]
async fn a_read_with_a_transaction_id_of_its_own_is_refused() {
    let database = database().await;
    let outbox = outbox(&database).await;
    let seen = outbox.cursor().await.expect("there is a cursor").snapshot;
    // A row is there to be read.
    database.connect().await.expect("connects").query_one(INSERT, &[]).await.expect("inserts");
    outbox.client.batch_execute("BEGIN; SELECT pg_current_xact_id()").await.expect("begins");
    let general = Reader::of_window(seen.clone(), outbox.snapshot().await.expect("is taken")).window();
    for window in [Reader::new(seen).window(), general] {
        let refused = outbox.read(&window, i64::MIN, PAGE, Some(&[])).await;
        assert!(matches!(refused, Err(OutboxError::Guard)), "{refused:?}");
    }
}

#[tokio::test]
async fn the_short_read_returns_what_the_general_one_does() {
    let database = database().await;
    let outbox = outbox(&database).await;
    let begins = async || {
        let client = database.connect().await.expect("connects");
        client.batch_execute("BEGIN").await.expect("begins");
        client.query_one(INSERT, &[]).await.expect("inserts");
        client
    };
    let publish = INSERT.replace(" RETURNING id", ";");
    // Each of those that are open ends in another way, or stays open. Rows were read between them.
    let mut open = Vec::new();
    for _ in 0..4 {
        open.push(begins().await);
        database.connect().await.expect("connects").batch_execute(&publish).await.expect("inserts");
    }
    let seen = outbox.snapshot().await.expect("is taken");
    // Other tests on the same server may have open transactions, too.
    assert!(seen.open().len() >= open.len(), "{:?}", seen.open());
    open[1].batch_execute("COMMIT").await.expect("commits");
    open[2].batch_execute("ROLLBACK").await.expect("rolls back");
    open[3].query_one(INSERT, &[]).await.expect("inserts");
    open[3].batch_execute("COMMIT").await.expect("commits");
    // So do those that begin now.
    begins().await.batch_execute("ROLLBACK").await.expect("rolls back");
    let _stays = begins().await;
    open[0].query_one(INSERT, &[]).await.expect("inserts");
    open[1].batch_execute(&publish).await.expect("inserts");
    outbox.client.batch_execute("BEGIN ISOLATION LEVEL REPEATABLE READ").await.expect("begins");
    let window = Window { is_young: true, ..Reader::new(seen).window() };
    assert!(window.is_short());
    let Window { seen, until, after: (tx, id), .. } = &window;
    for rows in [PAGE, 2] {
        let (cur, short) = outbox.read(&window, 1, rows, Some(&[])).await.expect("reads");
        let closed: &[String] = &[];
        let mut general = outbox
            .client
            .query(&outbox.statements.read, &[seen, until, tx, id, &rows, &closed, &1_i64, &i64::MAX])
            .await
            .expect("reads");
        let snapshot: Snapshot = general.pop().expect("has a snapshot").get(0);
        assert_eq!(snapshot, cur);
        assert_eq!(short.len(), usize::try_from(rows.min(4)).expect("is few"));
        let both = [short, general].map(|rows| format!("{:?}", row::rows(&rows).expect("can be read")));
        assert_eq!(both[0], both[1]);
    }
}

/// An empty poll must cost about the same however many rows there are: the plan is looked at, not
/// the time.
#[tokio::test]
async fn an_empty_read_touches_a_few_pages_of_a_large_outbox() {
    let database = database().await;
    let client = database.connect().await.expect("connects");
    let many =
        INSERT.replace("VALUES (", "SELECT ").replace(") RETURNING id", " FROM generate_series(1, 50000)");
    client.batch_execute(&many).await.expect("inserts");
    client.batch_execute("ANALYZE main_service.mq_publish").await.expect("analyzes");
    let settings = format!(
        "SET plan_cache_mode = force_generic_plan; SET jit = off; SET search_path = pg_catalog, pg_temp; {PLANS};"
    );
    let read = include_str!("../sql/read.sql").replace("{schema}", "main_service");
    let read_short = include_str!("../sql/read_short.sql").replace("{schema}", "main_service");
    let prepare = format!(
        "{settings} PREPARE read_short (pg_snapshot, bigint, text[], bigint, bigint) AS {read_short}; \
         PREPARE read (pg_snapshot, pg_snapshot, xid8, bigint, bigint, text[], bigint, bigint) AS {read}"
    );
    client.batch_execute(&prepare).await.expect("prepares");
    for execute in [
        "read (pg_current_snapshot(), NULL, '0', 0, 500, '{}', 0, 9223372036854775807)",
        "read_short (pg_current_snapshot(), 500, '{}', 0, 9223372036854775807)",
    ] {
        let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON, TIMING off) EXECUTE {execute}");
        let text = match client.simple_query(&explain).await.expect("explains").remove(1) {
            tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).expect("is a plan").to_owned(),
            other => panic!("{other:?} is no plan"),
        };
        let plan: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
        let pages = plan[0]["Plan"]["Shared Hit Blocks"].as_i64().expect("is a number");
        assert!(pages < 40, "an empty read touched {pages} pages: {text}");
    }
}

#[tokio::test]
async fn the_first_reply_of_a_row_wins() {
    let database = database().await;
    let outbox = outbox(&database).await;
    let client = database.connect().await.expect("connects");
    let id: i64 = client.query_one(INSERT, &[]).await.expect("inserts").get(0);
    let settled = |result: &str| Settled {
        settlement: Settlement {
            id,
            uid: Uid::v7(1, [1; 10]),
            target: Target::new("tpro", "co", "example", "x").expect("is a target"),
            status: Status::Ok,
            result: Some(result.to_owned()),
            error: None,
            headers: None,
            priority: Priority::default(),
            attempts: 1,
            sent_at: Some(SystemTime::now()),
            responder: None,
            reply_to: None,
            on_reply: None,
            hold: None,
            traceparent: TraceParent::root([1; 24], false),
        },
        bytes: 1,
        lane: LaneId::default(),
        is_tried: false,
        language: Language::default(),
    };
    assert_eq!(outbox.settle(&[settled("1")]).await.expect("settles").expect("is written"), 1);
    assert_eq!(outbox.settle(&[settled("2")]).await.expect("settles").expect("is written"), 0);
    let kept =
        client.query_one("SELECT result::text FROM main_service.mq_reply", &[]).await.expect("is there");
    assert_eq!(kept.get::<_, &str>(0), "1");
    assert!(outbox.unsettled(&[id]).await.expect("asks").is_empty());
}
