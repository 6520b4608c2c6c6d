//! `tpro messages`.

use serde_json::{Value, json};
use tpro_testkit::{Database, Outcome, Postgres};

use crate::tool::{member, on};

/// A thousand messages of `main`: every tenth ended in an error, id 5 waits, all others are ok. And one
/// message of `co`.
async fn thousand() -> Outcome<Database> {
    over_a_thousand_minutes(1_000).await
}

/// So many messages of `main`, evenly over the last thousand minutes. A publisher may say anything: every
/// eleventh claims to be of 1970.
async fn over_a_thousand_minutes(messages: i32) -> Outcome<Database> {
    let database = Postgres::shared().await?.database().await?;
    for service in ["main", "co"] {
        database.create_service(service).await?;
    }
    let admin = database.connect().await?;
    admin
        .batch_execute(&format!(
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, created_at)
             SELECT CASE n % 2 WHEN 0 THEN 'analytic' ELSE 'co' END, 'example', CASE n % 4 WHEN 0 THEN 'simple' ELSE 'other' END,
                    CASE n % 11 WHEN 0 THEN '1970-01-01' ELSE now() - (1000 - n * 1000.0 / {messages}) * interval '1 minute' END
               FROM generate_series(1, {messages}) n;
             INSERT INTO main_service.mq_reply (mq_id, uid, status, attempts)
             SELECT p.id, p.uid, CASE p.id % 10 WHEN 0 THEN 'error' ELSE 'ok' END, 1 FROM main_service.mq_publish p WHERE p.id <> 5;
             SELECT tpro.publish('main', 'a', 'b', sender => 'co')"
        ))
        .await?;
    Ok(database)
}

fn ids(found: &Value) -> Vec<i64> {
    found["messages"].as_array().into_iter().flatten().filter_map(|line| line["id"].as_i64()).collect()
}

#[tpro_testkit::test]
async fn the_latest_come_first_and_each_filter_takes_out_what_does_not_match() -> Outcome {
    let database = thousand().await?;
    let reader = member(&database, "tpro_reader").await?;
    let ask = |arguments: &[&str]| -> Outcome<Value> {
        let all = ["messages", "--json"].iter().chain(arguments).copied().collect::<Vec<_>>();
        on(&database, &reader, &all)?.ended(0)?.json()
    };
    let all = ask(&[])?;
    assert_eq!(all["messages"][0]["sender"], "co");
    assert_eq!(all["messages"].as_array().map(Vec::len), Some(20));
    assert_eq!(ids(&ask(&["main", "--limit", "3"])?), [1000, 999, 998]);
    let first = &ask(&["main", "--limit", "1"])?["messages"][0];
    assert_eq!(
        (&first["target"], &first["status"]),
        (&json!("tpro.analytic.example.simple"), &json!("error"))
    );
    assert_eq!((&first["attempts"], first["age_seconds"].is_f64()), (&json!(1), true));
    let trace: String =
        database.connect().await?.query_one("SELECT tpro.trace_id(1000, 'main')", &[]).await?.get(0);
    assert_eq!(first["trace_id"], json!(trace));

    assert_eq!(ids(&ask(&["main", "--service", "analytic", "--limit", "2"])?), [1000, 998]);
    assert_eq!(ids(&ask(&["main", "--method", "simple", "--limit", "2"])?), [1000, 996]);
    assert_eq!(ids(&ask(&["main", "--method", "example.other", "--limit", "2"])?), [999, 998]);
    assert_eq!(ids(&ask(&["main", "--method", "example", "--limit", "2"])?), [0; 0]);
    assert_eq!(ids(&ask(&["main", "--status", "error", "--limit", "2"])?), [1000, 990]);
    assert_eq!(ids(&ask(&["main", "--status", "cancelled"])?), [0; 0]);
    let waiting = ask(&["--status", "waiting"])?;
    assert_eq!((ids(&waiting), &waiting["complete"]), (vec![1, 5], &json!(true)));
    assert_eq!(ids(&ask(&["main", "--status", "waiting", "--service", "nobody"])?), [0; 0]);
    Ok(())
}

#[tpro_testkit::test]
async fn times_are_found_by_ids_although_some_publishers_say_another_time() -> Outcome {
    // Many more than the ids around a bound that are read in any case.
    let database = over_a_thousand_minutes(8_000).await?;
    let reader = member(&database, "tpro_reader").await?;
    let admin = database.connect().await?;
    // Minutes before the last message. Rows of 1970 are left out: they are not found near these
    // times.
    for (since, until) in
        [(Some(100), None), (None, Some(900)), (Some(500), Some(400)), (Some(0), None), (Some(9_999), None)]
    {
        let bounds = "SELECT to_char(created_at - $1 * interval '1 minute', 'YYYY-MM-DD\"T\"HH24:MI:SS.USOF')
                        FROM main_service.mq_publish WHERE id = 8000";
        let mut arguments =
            vec!["messages".to_owned(), "main".into(), "--json".into(), "--limit=8000".into()];
        let mut rule = String::new();
        for (option, sign, minutes) in [("since", ">=", since), ("until", "<", until)] {
            if let Some(minutes) = minutes {
                let bound: String = admin.query_one(bounds, &[&f64::from(minutes)]).await?.get(0);
                rule += &format!(" AND created_at {sign} '{bound}'");
                arguments.push(format!("--{option}={bound}"));
            }
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let found = on(&database, &reader, &arguments)?.ended(0)?.json()?;
        let truth =
            format!("SELECT id FROM main_service.mq_publish WHERE id % 11 <> 0 {rule} ORDER BY id DESC");
        let truth: Vec<i64> = admin.query(&truth, &[]).await?.iter().map(|row| row.get(0)).collect();
        if since == Some(500) {
            let looked_at = found["looked_at"].as_i64().unwrap_or(i64::MAX);
            assert!(looked_at < 4_000, "{looked_at} were looked at");
        }
        let found: Vec<i64> = ids(&found).into_iter().filter(|id| id % 11 != 0).collect();
        assert_eq!(found, truth, "{arguments:?}");
    }
    let since = |span: &str| {
        on(&database, &reader, &["messages", "main", "--json", "--since", span, "--limit=8000"])?
            .ended(0)?
            .json()
    };
    assert_eq!(ids(&since("0s")?), [0; 0]);
    assert_eq!(ids(&since("7d")?).len(), 8_000 - 8_000 / 11);
    let absolute =
        ["messages", "main", "--json", "--since", "2026-01-01T00:00:00Z", "--until", "2026-01-01 01:00"];
    assert_eq!(ids(&on(&database, &reader, &absolute)?.ended(0)?.json()?), [0; 0]);
    for wrong in ["yesterday", "infinity", "2026-13-01", "12:00", "-5m"] {
        let refused = on(&database, &reader, &["messages", &format!("--since={wrong}")])?.ended(2)?;
        assert!(refused.err.contains(&format!("--since {wrong}: not a time")), "{}", refused.err);
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_search_that_ends_before_all_was_looked_at_says_so() -> Outcome {
    let database = thousand().await?;
    let arguments = ["messages", "main", "--status", "cancelled", "--scan", "500"];
    let shown = on(&database, "postgres", &arguments)?.ended(0)?;
    assert!(shown.err.contains("500 were looked at; --scan N looks at more"), "{}", shown.err);
    let found = on(&database, "postgres", &[&arguments[..], &["--json"]].concat())?.ended(0)?.json()?;
    assert_eq!(found, json!({ "messages": [], "looked_at": 500, "complete": false }));
    Ok(())
}

#[tpro_testkit::test]
async fn a_uid_finds_its_message_for_who_may_read_the_outbox() -> Outcome {
    let database = thousand().await?;
    let reader = member(&database, "tpro_reader").await?;
    let admin = database.connect().await?;
    for id in [1_i64, 500, 1000] {
        let uid: String = admin
            .query_one("SELECT uid::text FROM main_service.mq_publish WHERE id = $1", &[&id])
            .await?
            .get(0);
        let found = on(&database, "postgres", &["messages", "--json", "--uid", &uid])?.ended(0)?.json()?;
        assert_eq!(ids(&found), [id]);
        let shown = on(&database, "postgres", &["show", &uid])?.ended(0)?;
        assert!(shown.out.contains(&format!("{id} of main")), "{}", shown.out);
        let refused = on(&database, &reader, &["messages", "--uid", &uid])?.ended(3)?;
        assert!(
            refused.err.contains("may not read uids") && refused.err.contains("GRANT SELECT ON"),
            "{}",
            refused.err
        );
    }
    let nobody = "019acac2-0000-7000-8000-000000000000";
    assert_eq!(
        ids(&on(&database, "postgres", &["messages", "--json", "--uid", nobody])?.ended(0)?.json()?),
        [0; 0]
    );
    let missing = on(&database, "postgres", &["show", nobody])?.ended(1)?;
    assert!(missing.err.contains("there is no message 019acac2"), "{}", missing.err);
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_not_there_and_one_that_may_not_be_read_are_told_apart() -> Outcome {
    let database = thousand().await?;
    let unknown = on(&database, "postgres", &["messages", "mian"])?.ended(2)?;
    assert!(unknown.err.contains("there is no service mian; there are: co, main"), "{}", unknown.err);
    // The login of a service sees its own.
    let own = on(&database, "main", &["messages", "--json", "--limit", "1"])?.ended(0)?.json()?;
    assert_eq!(ids(&own), [1000]);
    let other = on(&database, "main", &["messages", "co"])?.ended(3)?;
    assert!(other.err.contains("role main may not read the messages of co"), "{}", other.err);
    let nobody = member(&database, "main_publisher").await?;
    let none = on(&database, &nobody, &["messages"])?.ended(3)?;
    assert!(none.err.contains("may read the messages of no service"), "{}", none.err);
    assert!(none.err.contains(&format!("GRANT tpro_reader TO {nobody};")), "{}", none.err);
    Ok(())
}
