//! No statement of the product, and none that the documents show, looks at more than it has to: with many partitions and many
//! settled rows, no scan and no sort grows with the tables, and no partition is looked into that a key rules out.
//!
//! The server writes the plan of each statement into its log with the rows that each step had (auto_explain), also of those
//! within functions; so no list of statements can be forgotten.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::Value;
use tpro_testkit::{Failure, Message, Outcome, Postgres, Sidecar, World, eventually, paths};

use crate::answerer::Answerer;

/// Partitions of the outbox and of the replies, and the ids of each.
struct Size {
    partitions: i64,
    rows: i64,
}

/// More rows than any step of a statement may have.
const MOST: f64 = 1_000.0;
/// More partitions than any statement with a key may look into.
const FEW: usize = 8;
/// More rows than the partition in use has here: a scan of so few is no worse than an index.
const FRESH: f64 = 150.0;

/// Statements that have no key of the partitions, with the reason.
const WITHOUT_A_KEY: [(&str, &str); 6] = [
    ("-- outbox.read", "before the floor has risen"),
    ("outbox.look_back", "below the floor, now and then"),
    ("p.tx >= $1", "tpro.waiting, by the index on tx"),
    ("max(p.id)", "tpro.adopt"),
    ("maintain", "looks after all partitions"),
    ("mq_status ORDER BY", "merged with what is sent later: the first row of each partition"),
];

/// A database whose outbox has many partitions of settled rows.
async fn large(size: &Size) -> Outcome<World> {
    let mut options = Postgres::own();
    for (name, value) in [
        ("session_preload_libraries", "auto_explain"),
        ("auto_explain.log_min_duration", "0"),
        ("auto_explain.log_analyze", "on"),
        ("auto_explain.log_timing", "off"),
        ("auto_explain.log_nested_statements", "on"),
        ("auto_explain.log_format", "json"),
        ("auto_explain.sample_rate", "0"),
        ("max_locks_per_transaction", "1024"),
    ] {
        options = options.set(name, value);
    }
    let world = World::options().cluster(options.start().await?).start().await?;
    let Size { partitions, rows } = size;
    world
        .admin
        .batch_execute(&format!(
            "SET tpro.max_backlog = 0;
             DO $$
             DECLARE
                 parent text;
                 part text;
                 key text;
             BEGIN
                 FOREACH parent IN ARRAY ARRAY['mq_publish', 'mq_reply'] LOOP
                     FOR part IN SELECT i.inhrelid::regclass FROM pg_inherits i
                                  WHERE i.inhparent = format('main_service.%s', parent)::regclass LOOP
                         EXECUTE format('DROP TABLE %s', part);
                     END LOOP;
                     FOR n IN 0 .. {partitions} LOOP
                         EXECUTE format('CREATE TABLE main_service.%I PARTITION OF main_service.%I FOR VALUES FROM (%s) TO (%s)',
                             parent || CASE n WHEN {partitions} THEN '_rest'
                                 ELSE format('_p%s_%s', lpad((n * {rows})::text, 12, '0'), lpad(((n + 1) * {rows})::text, 12, '0')) END,
                             parent, n * {rows}, CASE n WHEN {partitions} THEN 'MAXVALUE' ELSE ((n + 1) * {rows})::text END);
                         EXECUTE format('ALTER TABLE main_service.%I OWNER TO %s',
                             parent || CASE n WHEN {partitions} THEN '_rest'
                                 ELSE format('_p%s_%s', lpad((n * {rows})::text, 12, '0'), lpad(((n + 1) * {rows})::text, 12, '0')) END,
                             (SELECT relowner::regrole FROM pg_class WHERE oid = format('main_service.%s', parent)::regclass));
                     END LOOP;
                 END LOOP;
             END $$;
             INSERT INTO main_service.mq_publish (service_name, entity, method_name)
             SELECT 'old', 'thing', 'ask' FROM generate_series(1, {most});
             INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'ok' FROM main_service.mq_publish;
             ANALYZE main_service.mq_publish; ANALYZE main_service.mq_reply;
             -- What a leader would have noted.
             UPDATE main_service.mq_cursor SET snapshot = pg_current_snapshot(), pending = '{{}}', clean = true;
             UPDATE main_service.mq_backlog SET unsettled = 0, upto = {most}",
            most = (partitions - 5) * rows,
        ))
        .await?;
    Ok(world)
}

/// From now on plans are written.
async fn record(world: &World, on: bool) -> Outcome {
    let rate = if on { "1" } else { "0" };
    world.admin.batch_execute(&format!("ALTER SYSTEM SET auto_explain.sample_rate = {rate}")).await?;
    world.admin.batch_execute("SELECT pg_reload_conf()").await?;
    eventually("the setting is in force", async || {
        let shown = world.database.connect().await?;
        let row = shown.query_one("SELECT current_setting('auto_explain.sample_rate')", &[]).await?;
        Ok(row.get::<_, &str>(0) == rate)
    })
    .await
}

/// A statement and its plan.
struct Plan {
    text: String,
    root: Value,
}

/// The plans in the server's log.
fn plans(log: &str) -> Vec<Plan> {
    let mut found = Vec::new();
    let mut lines = log.lines();
    while let Some(line) = lines.next() {
        if !line.ends_with("plan:") {
            continue;
        }
        let mut json = String::new();
        for line in lines.by_ref() {
            let _ = writeln!(json, "{line}");
            // The closing bracket of the outermost object, behind one tab.
            if line == "\t}" {
                break;
            }
        }
        let plan: Value = serde_json::from_str(&json).unwrap_or_else(|error| panic!("{error}: {json}"));
        let text = plan["Query Text"].as_str().unwrap_or_default().to_owned();
        found.push(Plan { text, root: plan["Plan"].clone() });
    }
    found
}

/// Each step that was taken.
fn steps<'a>(node: &'a Value, visit: &mut impl FnMut(&'a Value)) {
    if node["Actual Loops"].as_f64().unwrap_or(0.0) > 0.0 {
        visit(node);
    }
    for child in node["Plans"].as_array().into_iter().flatten() {
        steps(child, visit);
    }
}

/// What is wrong with a plan.
fn faults(plan: &Plan) -> Vec<String> {
    let mut faults = Vec::new();
    let mut parts = BTreeSet::new();
    let number = |node: &Value, name: &str| node[name].as_f64().unwrap_or(0.0);
    // The catalogues have rows for each partition, and those are not messages. A statement about them alone may read them.
    let mut has_messages = false;
    steps(&plan.root, &mut |node| {
        has_messages |= node["Relation Name"].as_str().is_some_and(|table| !table.starts_with("pg_"));
    });
    steps(&plan.root, &mut |node| {
        let kind = node["Node Type"].as_str().unwrap_or_default();
        let table = node["Relation Name"].as_str().unwrap_or_default();
        let rows = (number(node, "Actual Rows") + number(node, "Rows Removed by Filter"))
            * number(node, "Actual Loops");
        if rows > MOST && has_messages && !table.starts_with("pg_") {
            faults.push(format!("{kind} {table} had {rows} rows"));
        }
        let partitioned = ["mq_publish_", "mq_reply_", "mq_receive_", "mq_outcome_"];
        let is_part = partitioned.iter().any(|name| table.starts_with(name))
            && !["mq_reply_fault", "mq_publish_id_seq"].contains(&table);
        if is_part && kind != "ModifyTable" {
            parts.insert(table.to_owned());
            if kind == "Seq Scan" && rows > FRESH {
                faults.push(format!("{kind} {table} had {rows} rows"));
            }
        }
    });
    let has_key = !WITHOUT_A_KEY.iter().any(|(part, _)| plan.text.contains(part));
    if has_key && parts.len() > FEW {
        faults.push(format!("it looked into {} partitions", parts.len()));
    }
    faults
}

/// SELECTs over messages in the documents, as they are shown there.
fn documented() -> Outcome<Vec<String>> {
    let mut found = Vec::new();
    for page in ["README.md", "docs/operations.md"] {
        let text = std::fs::read_to_string(paths::checkout().join(page))?;
        // Code in a line is behind every other tick; blocks of it are taken out before, a statement a line.
        let (mut prose, mut code) = (String::new(), Vec::new());
        for (at, part) in text.split("```").enumerate() {
            match at % 2 {
                0 => prose.push_str(part),
                _ if !part.starts_with("sql") => {}
                _ => code.extend(part.lines().map(|line| line.split("--").next().unwrap_or(line).to_owned())),
            }
        }
        code.extend(prose.split('`').skip(1).step_by(2).map(str::to_owned));
        for candidate in code {
            let statement =
                candidate.trim().trim_end_matches(';').trim_end_matches("\\gset").trim().to_owned();
            let about_messages =
                ["mq_status", "tpro.services", "tpro.waiting", "tpro.backlog", "mq_publish ", "mq_reply "];
            if statement.starts_with("SELECT") && about_messages.iter().any(|part| statement.contains(part)) {
                found.push(statement.replace("...", "17").replace(":id", "17"));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

async fn sweep(size: Size) -> Outcome {
    let world = large(&size).await?;
    // Partitions of another width than the real ones: the floor is as good.
    let settings =
        |sidecar: Sidecar| sidecar.env("PARTITION_ROWS", 1_000.max(size.rows)).env("MAINTENANCE_INTERVAL", 0);
    let main = world.start(settings(world.sidecar("main")?)).await?;
    let message = Message::to("old.thing.ask").protocol("json").timeout(60);
    let _answerer = Answerer::echo(&world.nats, "tpro.old.thing.ask").await?;
    // Until the floor has risen, reads look into all partitions. One message each time that the cursor moves: quick answers must
    // not fill the partition in use.
    let moved = async || {
        let row = world.admin.query_one("SELECT moved_at::text FROM main_service.mq_cursor", &[]).await?;
        Ok::<_, Failure>(row.get::<_, Option<String>>(0))
    };
    eventually("the floor has risen", async || {
        let before = moved().await?;
        world.ask(&message).await?;
        eventually("the cursor moves", async || Ok(moved().await? != before)).await?;
        let reads = main.metric("tpro_floor").await?;
        Ok(reads > 0.0)
    })
    .await?;

    record(&world, true).await?;
    let publisher = world.database.connect_as("main").await?;
    let mut last = 0;
    let labelled = message.clone().reply_to("orders");
    for _ in 0..20 {
        last = labelled.publish(&publisher).await?;
        world.await_reply(last).await?.ok()?;
    }
    // While a transaction is open for long, reads are general ones.
    world.admin.batch_execute("BEGIN; SELECT pg_current_xact_id()").await?;
    eventually("a read while a transaction is open", async || {
        last = labelled.publish(&publisher).await?;
        world.await_reply(last).await?.ok()?;
        Ok(plans(&world.database.cluster().log()).iter().any(|plan| plan.text.contains("-- outbox.read:")))
    })
    .await?;
    world.admin.batch_execute("COMMIT").await?;
    let waiting = Message::to("gone.thing.ask").protocol("json").timeout(3_600).publish(&publisher).await?;
    for statement in documented()? {
        world.admin.query(&statement, &[]).await?;
    }
    for function in ["wait($1, 1)", "reply($1)", "trace_id($1)", "retry($1)"] {
        let call = format!(
            "SET tpro.sender = 'main'; PREPARE one (bigint) AS SELECT * FROM tpro.{function}; EXECUTE one ({last}); DEALLOCATE one"
        );
        world.admin.batch_execute(&call).await?;
    }
    world.admin.batch_execute(&format!("SELECT tpro.cancel({waiting}, 'main')")).await?;
    // Another copy takes over, and leaves out what has a reply. More waits for it than its lane has
    // room for, so that it looks up rows by their ids.
    main.stop().await?;
    message.publish_many(&publisher, 40).await?;
    let narrow = settings(world.sidecar("main")?.env("COPY_NUMBER", 2).env("LANE_MAX", 4));
    let second = world.start(narrow).await?;
    world.ask(&message).await?;
    record(&world, false).await?;

    let plans = plans(&world.database.cluster().log());
    let named = |name: &str| plans.iter().filter(|plan| plan.text.contains(name)).count();
    for name in [
        "-- outbox.read:",
        "-- outbox.read_short:",
        "outbox.fetch_range",
        "outbox.settled_range",
        "outbox.owed",
        "outbox.forward",
        "reply.settle",
        "cursor.move",
        "mq_status",
        "mq_publish p WHERE p.id = $1",
        "p.tx >= $1",
    ] {
        assert!(named(name) > 0, "no plan of {name} among {}", plans.len());
    }
    let mut bad = BTreeSet::new();
    for plan in &plans {
        // What this test itself asks the catalogues for is not the product's.
        for fault in faults(plan) {
            bad.insert(format!("{fault}: {}", plan.text));
        }
    }
    let bad: Vec<String> = bad.into_iter().collect();
    assert!(bad.is_empty(), "{} of {} plans:\n{}", bad.len(), plans.len(), bad.join("\n"));
    // With the floor, reads leave partitions out as well.
    let bounded = plans.iter().filter(|plan| plan.text.contains("-- outbox.read")).filter(|plan| {
        let mut parts = 0;
        steps(&plan.root, &mut |node| {
            parts += usize::from(
                node["Relation Name"].as_str().is_some_and(|name| name.starts_with("mq_publish_")),
            );
        });
        parts <= FEW
    });
    assert!(bounded.count() > 0, "each read looked into all partitions");
    world.finish(&[&second]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn no_statement_looks_at_more_than_it_has_to() -> Outcome {
    sweep(Size { partitions: 60, rows: 500 }).await
}

#[tpro_testkit::test]
#[ignore = "slow: make faults"]
async fn with_six_hundred_partitions_and_ten_million_rows_no_statement_does_either() -> Outcome {
    sweep(Size { partitions: 600, rows: 17_000 }).await
}
