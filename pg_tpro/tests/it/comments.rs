//! `sql/ru.sql`: the comments of tpro's objects in Russian, and back in English.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use tokio_postgres::Client;
use tpro_testkit::{Outcome, Postgres, paths};

use crate::refusal::refused_with;
use crate::service::database;

const SCRIPT: &str = "sql/ru.sql";

/// The comments of the extension and of the services here, by object, without those of partitions.
async fn comments(session: &Client) -> Outcome<BTreeMap<String, String>> {
    let query = "
        SELECT pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description
          FROM pg_description d
          CROSS JOIN LATERAL pg_identify_object(d.classoid, d.objoid, 0) o
          LEFT JOIN pg_class c ON d.classoid = 'pg_class'::regclass AND c.oid = d.objoid
         WHERE o.identity ~ '(^| on )\"?(tpro|main_service|analytic_service)\\M' AND c.relispartition IS NOT TRUE
            OR o.type = 'extension' AND o.identity = 'pg_tpro'";
    let rows = session.query(query, &[]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// True if the text has a Russian letter.
fn is_russian(text: &str) -> bool {
    text.chars().any(|c| ('а'..='я').contains(&c) || c == 'ё')
}

#[tpro_testkit::test]
async fn every_comment_has_a_russian_text_and_comes_back() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let english = comments(&admin).await?;
    assert!(english.len() > 300, "{english:?}");
    assert!(english.contains_key("extension pg_tpro"), "{english:?}");
    assert!(!english.values().any(|text| is_russian(text)), "{english:?}");

    database.psql(SCRIPT, &[])?;
    let russian = comments(&admin).await?;
    let left: Vec<_> = russian.iter().filter(|(_, text)| !is_russian(text)).collect();
    assert!(left.is_empty(), "without a Russian text: {left:?}");
    assert!(russian.keys().eq(english.keys()), "the same objects have comments");
    // The codes of the errors are in both.
    let codes = |text: &str| -> Vec<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        let is_code = |word: &&str| word.len() == 5 && word.starts_with(|c: char| c.is_ascii_digit());
        words.filter(is_code).map(str::to_owned).collect()
    };
    for (object, text) in &russian {
        assert_eq!(codes(&english[object]), codes(text), "the error codes of {object}: {text}");
    }
    // A second run finds nothing to do.
    assert!(database.psql(SCRIPT, &[])?.contains(" 0 comments of tpro changed"));
    database.psql(SCRIPT, &[("language", "en")])?;
    assert_eq!(comments(&admin).await?, english);

    // Each text of the script is the comment of some object.
    let script = fs::read_to_string(paths::checkout().join(SCRIPT))?;
    let pairs = script.lines().filter(|line| line.starts_with("('")).count();
    let texts: BTreeSet<&String> = english.values().collect();
    assert_eq!(pairs, texts.len(), "texts of the script, and of the database");
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_with_russian_comments_is_known_upgraded_and_dropped_as_any() -> Outcome {
    // A cluster of the test's own, since it drops roles.
    let cluster = Postgres::own().start().await?;
    let database = cluster.database().await?;
    database.create_service("main").await?;
    database.create_service("analytic").await?;
    let admin = database.connect().await?;
    database.psql(SCRIPT, &[])?;
    admin.batch_execute("CALL tpro.upgrade_services()").await?;
    assert!(comments(&admin).await?.values().all(|text| is_russian(text)));
    // Roles are the cluster's, and the scripts know tpro's by their comments.
    database.create_service("main").await?;
    assert!(admin.query("SELECT * FROM tpro.faults('main')", &[]).await?.is_empty());
    let said = database.forget_service("analytic").await?;
    assert!(!said.contains("stays: it was not made by tpro"), "{said}");
    refused_with(&admin, "3F000", "SELECT tpro.backlog('analytic')").await?;
    // One that comes later has English comments until the next run.
    database.create_service("later").await?;
    let text = "SELECT obj_description('later_service'::regnamespace, 'pg_namespace')";
    assert_eq!(admin.query_one(text, &[]).await?.get::<_, &str>(0), "tpro: outbox and inbox of a service");
    database.psql(SCRIPT, &[])?;
    assert_eq!(admin.query_one(text, &[]).await?.get::<_, &str>(0), "tpro: исходящие и inbox сервиса");
    // The schema that DROP EXTENSION leaves is still known as tpro's.
    admin
        .batch_execute("DROP EXTENSION pg_tpro CASCADE; DROP SCHEMA IF EXISTS tpro; CREATE EXTENSION pg_tpro")
        .await?;
    admin.batch_execute("SELECT tpro.drop_service('later')").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_language_without_texts_changes_nothing() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let before = comments(&admin).await?;
    let failure = database.psql(SCRIPT, &[("language", "de")]).err().map(|failure| failure.to_string());
    assert!(failure.as_ref().is_some_and(|text| text.contains("language must be ru or en")), "{failure:?}");
    assert_eq!(comments(&admin).await?, before);
    Ok(())
}
