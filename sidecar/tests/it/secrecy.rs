//! A secret that a user publishes, or that a process is given, shows up nowhere.

use serde_json::json;
use tpro_testkit::{Context, Message, Outcome, World, eventually};

use crate::login;

const BODY: &str = "canary-body-5e1f";
const HEADER: &str = "canary-header-7a3c";

#[tpro_testkit::test]
async fn no_secret_gets_into_spans_logs_or_metrics() -> Outcome {
    let world = World::demo().await?;
    // The most talkative level: what the libraries say counts, too.
    let talkative = |service: &str| -> Outcome<_> {
        let file = world.folder().join(format!("{service}.log"));
        Ok(world.sidecar(service)?.env("RUST_LOG", "trace").env("LOG_FILE_NAME", file.display()))
    };
    let main = world.start(talkative("main")?).await?;
    let analytic = world.start(talkative("analytic")?).await?;
    let co = world.start(talkative("co")?).await?;

    let headers = json!({"request": {"type": "single"}, "x-secret": HEADER});
    let mut body = login::body();
    let accepted = login::request("simple").headers(headers.clone());
    world.ask(&accepted).await?.ok()?;
    body["password"] = json!(BODY);
    // Refused by the handler, unknown to the service, not fitting, not served, an event.
    for message in [
        login::request("simple"),
        login::request("no_such_method"),
        login::request("request_with_parallel_queries_with_transit_on_external_service"),
        Message::to("nobody.example.simple").timeout(1),
        Message::to("analytic.example.simple").timeout(0),
        Message::to("analytic.example.simple").protocol("json").timeout(2),
    ] {
        world.ask(&message.body(body.clone()).headers(headers.clone())).await?;
    }
    world.ask(&Message::to("analytic.example.simple").body(json!({"ip": BODY, "login": [BODY]}))).await?;
    refused_inserts(&world).await?;
    let last = world.publish(&accepted).await?;
    world.await_reply(last).await?.ok()?;

    // The services' keys, what is made of them, and the proofs that messages carried.
    let keys = "SELECT encode(key, 'hex') FROM tpro.service_key
        UNION ALL SELECT encode(tpro.sign(service, use), 'hex')
                    FROM tpro.service_key, unnest(ARRAY['tpro key 1', 'tpro claim 1']::bytea[]) AS use
        UNION ALL SELECT substr(proof, 3) FROM analytic_service.mq_receive WHERE proof LIKE 'k:%'";
    let keys: Vec<String> = world.admin.query(keys, &[]).await?.iter().map(|row| row.get(0)).collect();
    assert!(keys.len() > 3 * 3, "{}", keys.len());

    let mut places = vec![("the PostgreSQL log".to_owned(), world.database.cluster().log())];
    places.push(("the log of nats-server".to_owned(), std::fs::read_to_string(world.nats.log_path())?));
    places.push((
        "the connections of nats-server".to_owned(),
        world.nats.monitor("/connz?subs=1").await?.to_string(),
    ));
    // What others see of the sessions, of the replies and of the inbox; the results are the handlers' own to give.
    for (place, query) in [
        (
            "the sessions",
            "SELECT string_agg(concat_ws(' ', application_name, usename, query), ' ') FROM pg_stat_activity",
        ),
        (
            "the errors of replies",
            "SELECT string_agg(concat_ws(' ', error, headers, responder), ' ') FROM main_service.mq_reply",
        ),
        (
            "the errors of the inbox",
            "SELECT string_agg(answer::text, ' ') FROM analytic_service.mq_outcome WHERE answer ? 'error'",
        ),
        ("the status", "SELECT string_agg(to_jsonb(s)::text, ' ') FROM main_service.mq_status s"),
        ("the services", "SELECT string_agg(to_jsonb(s)::text, ' ') FROM tpro.services s"),
    ] {
        places.push((
            place.to_owned(),
            world
                .admin
                .query_one(query, &[])
                .await
                .context(place)?
                .get::<_, Option<String>>(0)
                .unwrap_or_default(),
        ));
    }
    for copy in [&main, &analytic, &co] {
        let name = copy.process().name();
        places.push((format!("the metrics of {name}"), copy.get("/metrics").await?.body));
        places.push((format!("the version of {name}"), copy.get("/version").await?.body));
        for page in ["/readyz", "/healthz", "/nothing"] {
            let page = copy.get(page).await?;
            places.push((format!("a page of {name}"), page.head + &page.body));
        }
        let arguments = std::fs::read(format!("/proc/{}/cmdline", copy.process().pid()))?;
        places.push((format!("the arguments of {name}"), String::from_utf8_lossy(&arguments).into_owned()));
        copy.stop().await?;
        places.push((format!("the output of {name}"), copy.log()));
        let file = copy.sidecar().value("LOG_FILE_NAME").unwrap_or_default().to_owned();
        places.push((format!("the log file of {name}"), std::fs::read_to_string(file)?));
    }
    // The stops have flushed the spans.
    eventually("spans have arrived", async || Ok(!world.collector.spans().is_empty())).await?;
    places.push(("the spans".to_owned(), world.collector.dump()));

    for (place, text) in &places {
        assert!(!text.is_empty(), "{place} is empty, so that the search proves nothing");
        let given = [BODY, HEADER, "phnd26w", world.nats.token(), world.database.cluster().role_password()];
        for secret in given.into_iter().chain(keys.iter().map(String::as_str)) {
            let line = text.lines().find(|line| line.contains(secret)).unwrap_or_default();
            let at = line.find(secret).unwrap_or_default();
            let start = line.floor_char_boundary(at.saturating_sub(300));
            let excerpt = &line[start..line.floor_char_boundary(at + 100)];
            assert!(!text.contains(secret), "{place} has {secret}: {excerpt}");
        }
    }
    world.finish(&[]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_refused_insert_repeats_no_secret() -> Outcome {
    let world = World::new().await?;
    refused_inserts(&world).await?;
    let log = world.database.cluster().log();
    assert!(log.contains("must be jsonrpc or json"), "the refusals are in the log: {log}");
    assert!(!log.contains(BODY) && !log.contains(HEADER));
    world.finish(&[]).await?;
    Ok(())
}

/// Every way in which an INSERT is refused; the error that the user gets must not repeat the secret either.
async fn refused_inserts(world: &World) -> Outcome {
    let long = "x".repeat(1_000_000);
    for (column, value) in [
        ("protocol", "'smtp'".to_owned()),
        ("protocol", "NULL".to_owned()),
        ("space_name", "'No Space'".to_owned()),
        ("service_name", "'no service'".to_owned()),
        ("service_name", "NULL".to_owned()),
        ("entity", "'no.entity'".to_owned()),
        ("method_name", "''".to_owned()),
        ("timeout", "-1".to_owned()),
        ("timeout", "86401".to_owned()),
        ("timeout", "NULL".to_owned()),
        ("headers", format!("'[\"{HEADER}\"]'")),
        ("headers", "NULL".to_owned()),
        ("headers", format!("'{{\"request\": {{\"type\": \"{HEADER}\"}}}}'")),
        ("body", "NULL".to_owned()),
        ("body", format!("'{{\"password\": \"{BODY}{long}\"}}'")),
        ("body", format!("'{{\"password\": \"{BODY}'")),
        ("body", format!("'{{\"password\": \"{BODY}\\u0000\"}}'")),
    ] {
        let mut row = [
            ("protocol", "'jsonrpc'".to_owned()),
            ("space_name", "'tpro'".to_owned()),
            ("service_name", "'analytic'".to_owned()),
            ("entity", "'example'".to_owned()),
            ("method_name", "'simple'".to_owned()),
            ("timeout", "15".to_owned()),
            ("headers", format!("'{{\"x-secret\": \"{HEADER}\"}}'")),
            ("body", format!("'{{\"password\": \"{BODY}\"}}'")),
        ];
        for (name, old) in &mut row {
            if *name == column {
                *old = value.clone();
            }
        }
        let (names, values): (Vec<_>, Vec<_>) = row.into_iter().unzip();
        let statement = format!(
            "INSERT INTO main_service.mq_publish ({}) VALUES ({})",
            names.join(", "),
            values.join(", ")
        );
        let refused = world.main.batch_execute(&statement).await.err();
        let shown = &value[..value.len().min(40)];
        let refused = refused.unwrap_or_else(|| panic!("{column} = {shown} was taken"));
        let refused = refused.as_db_error().expect("it is the database that refuses it");
        // Malformed JSON is PostgreSQL's own to refuse: it quotes the input to the user, in an error that is not logged.
        let ours = refused.code().code() != "22P02" && refused.code().code() != "22P05";
        assert!(!ours || refused.message().contains(column), "{column} = {shown}: {}", refused.message());
        let whole = format!("{refused:?}");
        assert!(!ours || !whole.contains(BODY) && !whole.contains(HEADER), "{column} = {shown}: {whole}");
    }
    Ok(())
}
