//! The keys of services: who may sign by them, who may see them, and what they survive.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome, Postgres};

use crate::identity::restored;
use crate::refusal::refused_with;
use crate::service::database;

/// Signs as the user of this session.
async fn signature(session: &Client, service: &str) -> Outcome<Vec<u8>> {
    Ok(session.query_one("SELECT tpro.sign($1, 'message')", &[&service]).await?.try_get(0)?)
}

/// The stored key of `main`, with a superuser's eyes.
async fn key(admin: &Client) -> Outcome<Vec<u8>> {
    let stored = "SELECT key FROM tpro.service_key WHERE service = 'main'";
    Ok(admin.query_one(stored, &[]).await?.try_get(0)?)
}

/// A login that is a member of this role only.
async fn member(database: &Database, role: &str) -> Outcome<Client> {
    let login = format!("signs_as_{role}");
    database.create_role(&login).await?;
    database.connect().await?.batch_execute(&format!("GRANT {role} TO {login}")).await?;
    database.connect_as(&login).await
}

#[tpro_testkit::test]
async fn a_signature_is_what_rfc_4231_says() -> Outcome {
    let admin = database().await?.connect().await?;
    // Its test cases 1, 2, 3 and 6: a short key, a shorter one, bytes that are no text, a key that is longer than a block.
    for (key, message, expected) in [
        (
            "repeat('0b', 20)",
            "'4869205468657265'",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            "'4a656665'",
            "'7768617420646f2079612077616e7420666f72206e6f7468696e673f'",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            "repeat('aa', 20)",
            "repeat('dd', 50)",
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            "repeat('aa', 131)",
            "encode('Test Using Larger Than Block-Size Key - Hash Key First', 'hex')",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ] {
        let sign =
            format!("SELECT encode(tpro.hmac_sha256(decode({key}, 'hex'), decode({message}, 'hex')), 'hex')");
        assert_eq!(admin.query_one(&sign, &[]).await?.try_get::<_, String>(0)?, expected);
    }
    Ok(())
}

#[tpro_testkit::test]
async fn only_a_services_own_sidecar_signs_and_nobody_sees_the_key() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let sidecar = member(&database, "main_sidecar").await?;
    let expected = "SELECT tpro.hmac_sha256(key, 'message') FROM tpro.service_key WHERE service = 'main'";
    let expected: Vec<u8> = admin.query_one(expected, &[]).await?.try_get(0)?;
    assert_eq!(signature(&sidecar, "main").await?, expected);
    assert_ne!(signature(&admin, "main").await?, signature(&admin, "analytic").await?);
    refused_with(&sidecar, "42501", "SELECT tpro.sign('analytic', 'message')").await?;
    refused_with(&admin, "3F000", "SELECT tpro.sign('nobody', 'message')").await?;

    for role in ["main_sidecar", "main_publisher", "analytic_sidecar", "tpro_reader", "tpro_operator"] {
        let session = member(&database, role).await?;
        if role != "main_sidecar" {
            refused_with(&session, "42501", "SELECT tpro.sign('main', 'message')").await?;
        }
        for statement in [
            "SELECT key FROM tpro.service_key",
            "SELECT count(*) FROM tpro.service_key",
            "INSERT INTO tpro.service_key (service) VALUES ('main')",
            "UPDATE tpro.service_key SET key = 'known'",
            "DELETE FROM tpro.service_key",
            "TRUNCATE tpro.service_key",
            "SELECT tpro.hmac_sha256('', '')",
            "CREATE TRIGGER t BEFORE INSERT ON tpro.service_key EXECUTE FUNCTION tpro.replace_service_key()",
        ] {
            refused_with(&session, "42501", statement).await?;
        }
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_key_survives_adoption_and_restore_also_over_another_that_was_made_there() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    let before = key(&admin).await?;
    assert_eq!(before.len(), 32);
    admin.batch_execute("SELECT tpro.adopt()").await?;
    assert_eq!(key(&admin).await?, before);

    let copy = restored(&database).await?;
    assert_eq!(key(&copy).await?, before);
    copy.batch_execute("SELECT tpro.adopt()").await?;
    assert_eq!(key(&copy).await?, before);

    // A restore of the data where the service was made before.
    let elsewhere = crate::service::database().await?.connect().await?;
    assert_ne!(key(&elsewhere).await?, before);
    let load = "INSERT INTO tpro.service_key (service, key) VALUES ('main', $1)";
    elsewhere.execute(load, &[&before]).await?;
    assert_eq!(key(&elsewhere).await?, before);
    let keys = "SELECT string_agg(service, ' ' ORDER BY service) FROM tpro.service_key";
    assert_eq!(elsewhere.query_one(keys, &[]).await?.try_get::<_, String>(0)?, "analytic main");
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_that_is_made_again_has_another_key() -> Outcome {
    // Roles belong to the cluster, so that this service has a name of its own.
    let database = Postgres::shared().await?.database().await?;
    database.create_service("rekeyed").await?;
    let admin = database.connect().await?;
    let before = signature(&admin, "rekeyed").await?;
    admin.batch_execute("SELECT tpro.drop_service('rekeyed')").await?;
    let keys = "SELECT count(*) FROM tpro.service_key";
    assert_eq!(admin.query_one(keys, &[]).await?.try_get::<_, i64>(0)?, 0);
    admin.batch_execute("SELECT tpro.create_service('rekeyed')").await?;
    let after = signature(&admin, "rekeyed").await?;
    assert_ne!(before, after);
    // Also when its schema went without a word to us.
    admin.batch_execute("DROP SCHEMA rekeyed_service CASCADE; SELECT tpro.create_service('rekeyed')").await?;
    assert_ne!(signature(&admin, "rekeyed").await?, after);
    admin.batch_execute("SELECT tpro.drop_service('rekeyed')").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn a_service_without_a_key_gets_one_when_a_copy_asks_and_two_that_ask_at_once_the_same() -> Outcome {
    let database = database().await?;
    let admin = database.connect().await?;
    admin.batch_execute("DELETE FROM tpro.service_key").await?;
    let (first, second) = (database.connect_as("main").await?, database.connect_as("main").await?);
    first.batch_execute("BEGIN").await?;
    let one = signature(&first, "main").await?;
    let (other, committed) =
        tokio::join!(signature(&second, "main"), async { first.batch_execute("COMMIT").await });
    committed?;
    assert_eq!(other?, one);
    assert_eq!(signature(&admin, "main").await?, one);
    Ok(())
}
