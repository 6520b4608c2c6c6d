//! Who may what; mostly, who may not.

use tokio_postgres::Client;
use tpro_testkit::{Database, Outcome};

use crate::refusal::refused_with;
use crate::service::database;

/// A login role that is a member of this role only.
pub async fn member(database: &Database, role: &str) -> Outcome<Client> {
    let login = format!("only_{role}");
    database.create_role(&login).await?;
    database.connect().await?.batch_execute(&format!("GRANT {role} TO {login}")).await?;
    let session = database.connect_as(&login).await?;
    session.batch_execute("SET tpro.sender = 'main'").await?;
    Ok(session)
}

pub async fn all_refused(session: &Client, statements: &[&str]) -> Outcome {
    for statement in statements {
        refused_with(session, "42501", statement).await?;
    }
    Ok(())
}

#[tpro_testkit::test]
async fn a_publisher_publishes_and_reads_no_body() -> Outcome {
    let database = database().await?;
    let publisher = member(&database, "main_publisher").await?;
    let id: i64 =
        publisher.query_one("SELECT tpro.publish('a', 'b', 'c', '{\"p\": 1}')", &[]).await?.try_get(0)?;
    publisher
        .batch_execute(
            "INSERT INTO main_service.mq_publish (protocol, space_name, service_name, entity, method_name, timeout, headers,
                                                  body, created_at, reply_to, expires_at, traceparent, tracestate)
             VALUES ('json', 'tpro', 'a', 'b', 'c', 1, '{}', '{}', now(), NULL, NULL, tpro.new_traceparent(), NULL)",
        )
        .await?;
    publisher.query_one("SELECT tpro.trace_id($1)", &[&id]).await?;
    all_refused(
        &publisher,
        &[
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, id) VALUES ('a', 'b', 'c', 9)",
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, uid) VALUES ('a', 'b', 'c', tpro.uuid7())",
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, tx) VALUES ('a', 'b', 'c', '3')",
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, direct) VALUES ('a', 'b', 'c', true)",
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, retry_of) VALUES ('a', 'b', 'c', 1)",
            "SELECT body FROM main_service.mq_publish",
            "SELECT headers FROM main_service.mq_publish",
            "SELECT * FROM main_service.mq_publish_p000000000000_000001000000",
            "INSERT INTO main_service.mq_publish_p000000000000_000001000000 (service_name, entity, method_name) VALUES ('a', 'b', 'c')",
            "SELECT * FROM main_service.mq_reply",
            "SELECT * FROM main_service.mq_status",
            "SELECT * FROM main_service.mq_outcome",
            "INSERT INTO main_service.mq_reply (mq_id, uid, status) VALUES (1, tpro.uuid7(), 'ok')",
            "UPDATE main_service.mq_publish SET timeout = 1",
            "DELETE FROM main_service.mq_publish",
            "TRUNCATE main_service.mq_publish",
            "SELECT setval('main_service.mq_publish_id_seq', 1)",
            "SELECT tpro.publish('a', 'b', 'c', sender => 'analytic')",
            "SELECT * FROM tpro.wait(1)",
            "SELECT * FROM tpro.reply(1)",
            "CALL tpro.request('a', 'b', 'c')",
            "SELECT tpro.lead('main')",
            "SELECT tpro.create_service('other')",
            "SELECT tpro.drop_service('main', true)",
            "SELECT tpro.adopt()",
            "SELECT tpro.maintain('main')",
            "SELECT tpro.cancel(1)",
            "SELECT tpro.retry(1)",
            "SELECT tpro.release('k')",
            "SELECT * FROM main_service.mq_hold",
            "SET ROLE tpro_owner",
            "SELECT tpro.make_partitions('main', 'mq_publish', 1000)",
            "SELECT tpro.mend_partitions('main', 'mq_publish', 1)",
            "SELECT tpro.drop_partition('main', 0, 1)",
            "SELECT * FROM main_service.mq_backlog",
            "SELECT * FROM tpro.services",
            "SELECT * FROM tpro.identity",
            "CREATE TABLE main_service.mine (a int)",
            "CREATE TABLE tpro.mine (a int)",
        ],
    )
    .await?;
    // A request that was refused has published nothing.
    let all = "SELECT count(*) FROM main_service.mq_publish";
    assert_eq!(database.connect().await?.query_one(all, &[]).await?.try_get::<_, i64>(0)?, 2);
    Ok(())
}

#[tpro_testkit::test]
async fn a_sidecar_works_in_its_own_schema_and_nowhere_else() -> Outcome {
    let database = database().await?;
    let sidecar = member(&database, "main_sidecar").await?;
    sidecar
        .batch_execute(
            "SELECT tpro.publish('a', 'b', 'c');
             INSERT INTO main_service.mq_publish (uid, service_name, entity, method_name, direct)
                 VALUES (tpro.uuid7(), 'a', 'b', 'c', true);
             INSERT INTO main_service.mq_reply (mq_id, uid, status) SELECT id, uid, 'ok' FROM main_service.mq_publish
                 ON CONFLICT DO NOTHING;
             INSERT INTO main_service.mq_reply_fault (mq_id, handler, error) VALUES (1, 'a.b.c', 'x');
             UPDATE main_service.mq_cursor SET snapshot = '2:2:', pending = '{1}', moved_at = now();
             INSERT INTO main_service.mq_outcome (uid, run, answer) VALUES (tpro.uuid7(), 1, '{\"result\": 1}')
                 ON CONFLICT DO NOTHING;
             SELECT * FROM main_service.mq_status; SELECT * FROM main_service.mq_receive;
             SELECT tpro.instance(), tpro.adopted(), tpro.lead('main'), tpro.sleep('main'), tpro.wake('main'),
                    tpro.replied('main', '{1}')",
        )
        .await?;
    all_refused(
        &sidecar,
        &[
            "SELECT * FROM analytic_service.mq_publish",
            "SELECT * FROM analytic_service.mq_outcome",
            "SELECT tpro.publish('a', 'b', 'c', sender => 'analytic')",
            "SELECT * FROM tpro.reply(1, 'analytic')",
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name, tx) VALUES ('a', 'b', 'c', '3')",
            "UPDATE main_service.mq_reply SET status = 'error'",
            "DELETE FROM main_service.mq_reply",
            "UPDATE main_service.mq_publish SET timeout = 1",
            "DELETE FROM main_service.mq_cursor",
            "CREATE TABLE main_service.mine (a int)",
            "DROP TABLE main_service.mq_reply_fault",
            "ALTER TABLE main_service.mq_publish DISABLE TRIGGER bell",
            "SELECT tpro.create_service('other')",
            "SELECT tpro.drop_service('main', true)",
            "SELECT tpro.adopt()",
            "SELECT * FROM tpro.identity",
            "SET ROLE tpro_owner",
            "SELECT tpro.make_partitions('analytic', 'mq_publish', 1000)",
            "SELECT tpro.mend_partitions('analytic', 'mq_publish', 1)",
            "SELECT tpro.drop_partition('analytic', 0, 1)",
            "SELECT tpro.trust_bound('main_service.mq_publish_rest')",
            "SELECT tpro.make_partition('main_service', 'mq_publish', 'mine', 0, 1)",
        ],
    )
    .await
}

#[tpro_testkit::test]
async fn a_reader_sees_what_is_under_way_and_no_body() -> Outcome {
    let database = database().await?;
    let reader = member(&database, "tpro_reader").await?;
    database.connect().await?.batch_execute("SELECT tpro.publish('a', 'b', 'c', sender => 'main')").await?;
    let rows = reader
        .query(
            "SELECT id, created_at, target, status, age, attempts, trace_id, retry_of, ordering_key FROM main_service.mq_status",
            &[],
        )
        .await?;
    assert_eq!(rows.len(), 1);
    assert_eq!(reader.query("SELECT * FROM tpro.services", &[]).await?.len(), 2);
    all_refused(
        &reader,
        &[
            "SELECT result FROM main_service.mq_status",
            "SELECT error FROM main_service.mq_status",
            "SELECT * FROM main_service.mq_status",
            "SELECT body FROM main_service.mq_publish",
            "SELECT * FROM main_service.mq_reply",
            "SELECT tpro.publish('a', 'b', 'c')",
            "SELECT tpro.lead('main')",
            "SELECT tpro.adopt()",
            "SELECT tpro.depose('main')",
        ],
    )
    .await
}

#[tpro_testkit::test]
async fn an_operator_adopts_and_reads_no_body() -> Outcome {
    let database = database().await?;
    let operator = member(&database, "tpro_operator").await?;
    operator.batch_execute("SELECT tpro.adopt(); SELECT * FROM tpro.services").await?;
    all_refused(
        &operator,
        &[
            "SELECT body FROM main_service.mq_publish",
            "SELECT * FROM main_service.mq_reply",
            "SELECT tpro.publish('a', 'b', 'c')",
            "SELECT tpro.lead('main')",
            "SELECT tpro.drop_service('main', true)",
        ],
    )
    .await
}

#[tpro_testkit::test]
async fn an_operator_cancels_what_is_unsettled_and_retries_what_is_settled() -> Outcome {
    let database = database().await?;
    let operator = member(&database, "tpro_operator").await?;
    let admin = database.connect().await?;
    let publish = "SELECT tpro.publish('a', 'b', 'c', '{\"secret\": 1}', sender => 'main')";
    let id: i64 = admin.query_one(publish, &[]).await?.get(0);
    let refusal = refused_with(&operator, "55000", &format!("SELECT tpro.retry({id})")).await?;
    assert!(refusal.hint.contains("tpro.cancel()"), "{refusal:?}");
    let cancel = "SELECT tpro.cancel($1)";
    assert!(operator.query_one(cancel, &[&id]).await?.get::<_, bool>(0));
    assert!(!operator.query_one(cancel, &[&id]).await?.get::<_, bool>(0), "the first reply wins");
    let copy: i64 = operator.query_one("SELECT tpro.retry($1)", &[&id]).await?.get(0);
    let row = admin
        .query_one(
            "SELECT p.uid <> c.uid, p.traceparent <> c.traceparent, p.body = c.body, r.status::text, r.uid = p.uid
               FROM main_service.mq_publish p, main_service.mq_publish c, main_service.mq_reply r
              WHERE p.id = $1 AND c.id = $2 AND r.mq_id = p.id",
            &[&id, &copy],
        )
        .await?;
    assert!(row.get::<_, bool>(0) && row.get::<_, bool>(1) && row.get::<_, bool>(2) && row.get::<_, bool>(4));
    assert_eq!(row.get::<_, &str>(3), "cancelled");
    for unknown in ["SELECT tpro.cancel(4711)", "SELECT tpro.retry(4711)"] {
        let refusal = refused_with(&operator, "P0002", unknown).await?;
        assert!(refusal.hint.contains("COMMIT that first"), "{refusal:?}");
    }
    all_refused(&operator, &["SELECT body FROM main_service.mq_publish", "DELETE FROM main_service.mq_reply"])
        .await
}

#[tpro_testkit::test]
async fn a_stranger_may_nothing() -> Outcome {
    let database = database().await?;
    database.create_role("nobody_at_all").await?;
    let stranger = database.connect_as("nobody_at_all").await?;
    all_refused(
        &stranger,
        &[
            "SELECT tpro.publish('a', 'b', 'c', sender => 'main')",
            "INSERT INTO main_service.mq_publish (service_name, entity, method_name) VALUES ('a', 'b', 'c')",
            "SELECT * FROM main_service.mq_status",
            "SELECT * FROM tpro.wait(1, sender => 'main')",
            "SELECT * FROM tpro.services",
            "SELECT * FROM tpro.service_schemas",
            "SELECT tpro.instance()",
            "SELECT tpro.sleep('main')",
            "SELECT tpro.depose('main')",
            "SELECT tpro.must_serve('main')",
            "SELECT tpro.replied('main', '{1}')",
            "SELECT tpro.watch(n.oid, '{1}') FROM pg_namespace n WHERE n.nspname = 'main_service'",
            "CREATE TRIGGER bell BEFORE INSERT ON main_service.mq_publish FOR EACH ROW EXECUTE FUNCTION tpro.bell()",
            "CREATE TEMP TABLE mine (a int); CREATE TRIGGER bell BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION tpro.bell()",
        ],
    )
    .await?;
    // The rules are no secret.
    stranger.batch_execute("SELECT tpro.uuid7(), tpro.new_traceparent(), 'a'::tpro.entity").await?;
    Ok(())
}

#[tpro_testkit::test]
async fn an_operator_finds_what_is_to_be_cancelled_and_leads_nothing() -> Outcome {
    let database = database().await?;
    let operator = member(&database, "tpro_operator").await?;
    operator
        .batch_execute("SELECT id, target, status, attempts, trace_id FROM main_service.mq_status")
        .await?;
    all_refused(
        &operator,
        &[
            "SELECT result FROM main_service.mq_status",
            "SELECT tpro.publish('a', 'b', 'c')",
            "SELECT tpro.lead('main')",
            "SELECT tpro.sleep('main')",
            "SELECT tpro.replied('main', '{1}')",
            "SELECT tpro.depose('main')",
            "SELECT tpro.create_service('other')",
            "SELECT tpro.drop_service('main', true)",
            "SET ROLE tpro_owner",
            "SELECT tpro.make_partitions('main', 'mq_publish', 1000)",
            "INSERT INTO main_service.mq_reply (mq_id, uid, status) VALUES (1, tpro.uuid7(), 'ok')",
        ],
    )
    .await
}

#[tpro_testkit::test]
async fn an_owner_has_the_services_and_not_the_extension() -> Outcome {
    let database = database().await?;
    let owner = member(&database, "tpro_owner").await?;
    all_refused(
        &owner,
        &[
            "SELECT tpro.lead('main')",
            "SELECT tpro.depose('main')",
            "CREATE FUNCTION tpro.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
            "CREATE OR REPLACE FUNCTION tpro.instance() RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()'",
            "CREATE ROLE mine",
            "DROP ROLE main_sidecar",
        ],
    )
    .await
}
