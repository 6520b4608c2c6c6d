//! `tpro cancel`, `tpro retry` and `tpro release`.

use serde_json::json;
use tpro_testkit::{Database, Outcome, Postgres};

use crate::tool::{member, on};

async fn two_messages() -> Outcome<(Database, String)> {
    let database = Postgres::shared().await?.database().await?;
    for service in ["main", "co"] {
        database.create_service(service).await?;
    }
    let publish = "SELECT tpro.publish('x', 'a', 'b', sender => 'main') FROM generate_series(1, 2)";
    database.connect().await?.batch_execute(publish).await?;
    let operator = member(&database, "tpro_operator").await?;
    Ok((database, operator))
}

#[tpro_testkit::test]
async fn an_operator_cancels_and_retries_and_is_told_what_could_not_be_done() -> Outcome {
    let (database, operator) = two_messages().await?;
    let ask = |arguments: &[&str]| on(&database, &operator, arguments);
    let done = ask(&["cancel", "1", "--sender", "main", "--json"])?.ended(0)?.json()?;
    assert_eq!(
        done,
        json!({ "sender": "main", "messages": [{ "id": 1, "cancelled": true, "problem": null }] })
    );
    let again = ask(&["cancel", "1", "99", "2", "--sender", "main"])?.ended(1)?;
    let lines: Vec<&str> = again.out.lines().collect();
    assert_eq!(lines[0], "main 1: was settled before; its reply stays");
    assert!(
        lines[1].starts_with("main 99: there is no message 99 in the outbox of main_service; "),
        "{}",
        again.out
    );
    assert_eq!(lines[2..], ["main 2: cancelled"]);

    let done = ask(&["retry", "2", "--sender", "main", "--json"])?.ended(0)?.json()?;
    assert_eq!(done["messages"], json!([{ "id": 2, "new_id": 3, "problem": null }]));
    let unsettled = ask(&["retry", "3", "--sender", "main", "--json"])?.ended(1)?.json()?;
    let problem = unsettled["messages"][0]["problem"].as_str().unwrap_or_default();
    assert!(problem.contains("is not settled yet") && problem.contains("tpro.cancel()"), "{unsettled}");

    let whose = ask(&["cancel", "3"])?.ended(2)?;
    assert!(
        whose.err.contains("there are several: co, main") && whose.err.contains("--sender NAME"),
        "{}",
        whose.err
    );
    Ok(())
}

#[tpro_testkit::test]
async fn a_key_that_is_held_is_found_and_released() -> Outcome {
    let (database, operator) = two_messages().await?;
    let hold = "INSERT INTO main_service.mq_hold (id, space_name, service_name, ordering_key)
        VALUES (1, 'tpro', 'x', 'account 17'), (3, 'tpro', 'y', 'account 17'), (2, 'tpro', 'x', 'a')";
    database.connect().await?.batch_execute(hold).await?;
    let ask = |arguments: &[&str]| on(&database, &operator, arguments);
    let found = ask(&["health", "--json"])?.ended(1)?.json()?;
    let findings = found["findings"].as_array().into_iter().flatten();
    let holds: Vec<_> = findings.filter(|finding| finding["kind"] == "hold").collect();
    assert_eq!(holds.len(), 1, "{found}");
    assert_eq!(holds[0]["service"], "main");
    let (problem, remedy) = (holds[0]["problem"].to_string(), holds[0]["remedy"].to_string());
    assert!(problem.contains("messages of 3 ordering keys wait"), "{problem}");
    assert!(remedy.contains("tpro retry 1 --sender main"), "{remedy}");

    let of_one = ["release", "account 17", "--service", "x", "--sender", "main"];
    assert_eq!(ask(&of_one)?.ended(0)?.out, "main account 17: released\n");
    let rest =
        ask(&["release", "account 17", "nobody's", "a", "--sender", "main", "--json"])?.ended(1)?.json()?;
    assert_eq!(
        rest,
        json!({ "sender": "main", "keys": [
            { "key": "account 17", "services": 1 },
            { "key": "nobody's", "services": 0 },
            { "key": "a", "services": 1 },
        ]})
    );
    let well = ask(&["health", "--json"])?.ended(1)?.json()?;
    assert!(!well.to_string().contains("\"hold\""), "{well}");
    Ok(())
}

#[tpro_testkit::test]
async fn who_is_no_operator_is_told_the_right_that_is_missing() -> Outcome {
    let (database, _) = two_messages().await?;
    let reader = member(&database, "tpro_reader").await?;
    for task in ["cancel", "retry", "release"] {
        let refused = on(&database, &reader, &[task, "1", "--sender", "main"])?.ended(3)?;
        assert!(
            refused.err.contains(&format!("role {reader} may not cancel, retry or release messages")),
            "{}",
            refused.err
        );
        assert!(refused.err.contains(&format!("GRANT tpro_operator TO {reader};")), "{}", refused.err);
    }
    // The sender is the one of the login here.
    let refused = on(&database, "main", &["cancel", "1"])?.ended(3)?;
    assert!(refused.err.contains("GRANT tpro_operator TO main;"), "{}", refused.err);
    Ok(())
}
