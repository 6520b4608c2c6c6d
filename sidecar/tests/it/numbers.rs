//! Numbers of all sizes, by each way that a number goes through a service.

use serde_json::json;
use tpro_testkit::{Outcome, World};

use crate::answerer::Answerer;
use crate::rogue::Rogue;

/// What a double holds.
const DOUBLES: [&str; 12] = [
    "0",
    "-1",
    "0.1",
    "-2.5",
    "117.63331139400017",
    "123456789.12345679",
    "9007199254740992",
    "1e23",
    "5e-324",
    "2.2250738585072014e-308",
    "1.7976931348623157e308",
    "-1.7976931348623157e308",
];
/// What takes a wider integer.
const INTEGERS: [&str; 4] = [
    "9007199254740993",
    "18446744073709551615",
    "12345678901234567890123",
    "340282366920938463463374607431768211455",
];
/// What only raw JSON holds.
const LARGE: [&str; 5] = [
    "340282366920938463463374607431768211456",
    "-170141183460469231731687303715884105729",
    "0.12345678901234567890123456789",
    "123456789012345678901234567890.5",
    "1e400",
];

/// The types that a handler reads into.
const KINDS: [&str; 4] = ["double", "any", "whole", "raw"];

#[tpro_testkit::test]
async fn a_number_comes_back_as_it_is_or_is_refused_by_the_name_of_its_field() -> Outcome {
    let world = Rogue::world().await?;
    let _asked = Answerer::start(&world.nats, "tpro.old.number.ask", |request| {
        json!({"jsonrpc": "2.0", "id": request["id"], "result": null}).to_string()
    })
    .await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    // Each by each way, and back in the same row.
    let ways = ["", "stateless_", "call_", "publish_"];
    for (way, kind) in ways.into_iter().flat_map(|way| KINDS.map(|kind| (way, kind))) {
        let publish = "INSERT INTO main_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body)
            SELECT 'jsonrpc', 'tpro', 'rogue', 'number', $1::text, 60, '{}', format('{\"n\": %s}', n)::jsonb
            FROM unnest($2::text[]) AS n";
        world.main.execute(publish, &[&format!("{way}{kind}"), &all()]).await?;
    }
    world.recon().await?;
    // What came back, or was published, as a number; and what was asked.
    let asked = "SELECT p.method_name::text, trim_scale((p.body->>'n')::numeric)::text, r.status::text,
            CASE WHEN p.method_name LIKE 'publish%' THEN trim_scale((o.body->>'n')::numeric)::text ELSE trim_scale((r.result->>'n')::numeric)::text END,
            (r.error->>'code')::int8, r.error->'data'->>'field'
        FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
        LEFT JOIN rogue_service.mq_publish o
            ON o.id = CASE WHEN p.method_name LIKE 'publish%' THEN (r.result#>>'{}')::int8 END";
    let rows = world.admin.query(asked, &[]).await?;
    assert_eq!(rows.len(), all().len() * KINDS.len() * ways.len());
    for row in rows {
        let (method, number, status): (&str, &str, &str) = (row.get(0), row.get(1), row.get(2));
        let what = format!("{method} of {number}");
        let kind = method.rsplit('_').next().unwrap_or_default();
        if holds(&world, kind, number).await? {
            assert_eq!((status, row.get(3)), ("ok", Some(number)), "{what}");
        } else {
            let called = method.starts_with("call_");
            let code: i64 = if called { -32009 } else { -32602 };
            assert_eq!((status, row.get(4)), ("error", Some(code)), "{what}");
            // serde_json finds a fraction in place of an integer only behind it.
            let named = row.get::<_, Option<&str>>(5) == Some("n");
            assert!(called || named || (kind == "whole" && number.contains('.')), "{what}");
        }
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_reply_handler_gets_a_number_as_it_is_or_its_error_lies_beside_the_reply() -> Outcome {
    let world = Rogue::world().await?;
    // The answer is the request's own text, digit by digit.
    let _answerer =
        Answerer::raw(&world.nats, "tpro.old.number.*", |message| message.payload.to_vec()).await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for kind in KINDS {
        let publish = "INSERT INTO rogue_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body)
            SELECT 'json', 'tpro', 'old', 'number', $1::text, 60, '{}', format('{\"n\": %s}', n)::jsonb
            FROM unnest($2::text[]) AS n";
        world.admin.execute(publish, &[&kind, &all()]).await?;
    }
    world.recon().await?;
    let noted = "SELECT p.method_name::text, trim_scale((p.body->>'n')::numeric)::text, r.status::text, trim_scale((r.result->>'n')::numeric)::text,
            trim_scale(e.what::numeric)::text, f.error
        FROM rogue_service.mq_publish p JOIN rogue_service.mq_reply r ON r.mq_id = p.id
        LEFT JOIN rogue_service.mq_reply_fault f USING (mq_id) LEFT JOIN public.effect e ON e.uid = p.uid";
    let rows = world.admin.query(noted, &[]).await?;
    assert_eq!(rows.len(), all().len() * KINDS.len());
    for row in rows {
        let (kind, number): (&str, &str) = (row.get(0), row.get(1));
        assert_eq!((row.get(2), row.get(3)), ("ok", Some(number)), "the reply itself: {kind} of {number}");
        let (heard, fault): (Option<&str>, Option<&str>) = (row.get(4), row.get(5));
        match holds(&world, kind, number).await? {
            true => assert_eq!((heard, fault), (Some(number), None), "{kind} of {number}"),
            false => assert!(heard.is_none() && fault.is_some(), "{kind} of {number}: {heard:?} {fault:?}"),
        }
    }
    world.finish(&[&rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_number_in_headers_comes_and_is_handed_on_as_it_is() -> Outcome {
    let world = Rogue::world().await?;
    let _asked = Answerer::start(&world.nats, "tpro.old.number.ask", |request| {
        json!({"jsonrpc": "2.0", "id": request["id"], "result": null}).to_string()
    })
    .await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    for method in ["headers", "hand_on_headers"] {
        let publish = "INSERT INTO main_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body)
            SELECT 'jsonrpc', 'tpro', 'rogue', 'number', $1::text, 60, format('{\"n\": %s, \"content-language\": \"ru-RU\"}', n)::jsonb, '{}'
            FROM unnest($2::text[]) AS n";
        world.main.execute(publish, &[&method, &all()]).await?;
    }
    world.recon().await?;
    // What the handler has seen, or what the row has that it has published.
    let seen = "SELECT trim_scale((p.headers->>'n')::numeric)::text, r.status::text, r.error::text,
            trim_scale(((CASE WHEN p.method_name = 'headers' THEN r.result->>'headers' ELSE o.headers::text END)::jsonb->>'n')::numeric)::text,
            CASE WHEN p.method_name = 'headers' THEN r.result->>'language' ELSE o.headers->>'content-language' END
        FROM main_service.mq_publish p JOIN main_service.mq_reply r ON r.mq_id = p.id
        LEFT JOIN rogue_service.mq_publish o
            ON o.id = CASE WHEN p.method_name = 'hand_on_headers' THEN (r.result#>>'{}')::int8 END";
    let rows = world.admin.query(seen, &[]).await?;
    assert_eq!(rows.len(), 2 * all().len());
    for row in rows {
        let (number, status, error): (&str, &str, Option<&str>) = (row.get(0), row.get(1), row.get(2));
        assert_eq!((status, row.get(3)), ("ok", Some(number)), "{error:?}");
        assert_eq!(row.get::<_, Option<&str>>(4), Some("ru-RU"), "beside {number}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_call_is_put_on_record_with_its_numbers_as_they_are() -> Outcome {
    let world = Rogue::world().await?;
    let main = world.run("main").await?;
    let rogue = world.start(Rogue::copy(&world, 1)?).await?;
    let publish = "INSERT INTO main_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers, body)
        SELECT 'jsonrpc', 'tpro', 'rogue', 'number', 'call_raw', 60, '{}', format('{\"n\": %s}', n)::jsonb
        FROM unnest($1::text[]) AS n";
    world.main.execute(publish, &[&all()]).await?;
    world.recon().await?;
    let record = "SELECT trim_scale((p.body->>'n')::numeric)::text, r.status::text,
            trim_scale((p.body->>'n')::numeric) = trim_scale((r.result->>'n')::numeric),
            EXISTS (SELECT FROM main_service.mq_publish m WHERE m.body = p.body)
        FROM rogue_service.mq_publish p JOIN rogue_service.mq_reply r ON r.mq_id = p.id WHERE p.direct";
    let rows = world.admin.query(record, &[]).await?;
    assert_eq!(rows.len(), all().len());
    for row in rows {
        let (number, status): (&str, &str) = (row.get(0), row.get(1));
        assert_eq!((status, row.get(2), row.get(3)), ("ok", Some(true), true), "{number}");
    }
    world.finish(&[&main, &rogue]).await?;
    Ok(())
}

fn all() -> Vec<&'static str> {
    [DOUBLES.as_slice(), INTEGERS.as_slice(), LARGE.as_slice()].concat()
}

/// Whether a number passes through such a type, as PostgreSQL writes the number.
async fn holds(world: &World, kind: &str, number: &str) -> Outcome<bool> {
    let among = async |numbers: &[&str]| -> Outcome<bool> {
        let same = "SELECT $1::text::numeric = ANY ($2::text[]::numeric[])";
        Ok(world.admin.query_one(same, &[&number, &numbers]).await?.get(0))
    };
    Ok(match kind {
        "double" => among(&DOUBLES).await?,
        "any" => among(&DOUBLES).await? || among(&INTEGERS[..2]).await?,
        "whole" => number.parse::<u128>().is_ok(),
        _ => true,
    })
}
