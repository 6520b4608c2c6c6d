//! The clone of the outbox: a table that is the same in all but the trigger.

use tpro_testkit::{Context as _, Database, Outcome};

use crate::stand::Stand;

/// The clone: the same columns, domains, defaults, constraints, indexes and partitions, and no
/// trigger.
const CLONE: &str = "
CREATE TABLE main_service.clone (LIKE main_service.mq_publish INCLUDING ALL) PARTITION BY RANGE (id);
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT c.relname, pg_get_expr(c.relpartbound, c.oid) AS bound
                  FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
                 WHERE i.inhparent = 'main_service.mq_publish'::regclass LOOP
        EXECUTE format('CREATE TABLE main_service.%I PARTITION OF main_service.clone %s', 'clone_' || part.relname, part.bound);
    END LOOP;
END
$$;
GRANT INSERT, SELECT ON main_service.clone TO main;";

/// The floor of `tpro.publish()`: the insert in a function of SQL. Nobody is refused for all that
/// waits where nobody dispatches.
const FUNCTION: &str = "
CREATE FUNCTION main_service.plain(service_name text, entity text, method_name text, body jsonb) RETURNS bigint
    LANGUAGE sql VOLATILE
AS $$
    INSERT INTO main_service.clone (service_name, entity, method_name, body) VALUES ($1, $2, $3, $4) RETURNING id
$$;
DO $$
BEGIN
    EXECUTE format('ALTER DATABASE %I SET tpro.max_backlog = 0', current_database());
END
$$;";

/// A copy of `echo` that has said what it takes: the three texts of the message below.
const KNOWN: &str = r#"
INSERT INTO tpro.known_copy (service_name, space_name, copy, release, trusted, seen_at)
VALUES ('echo', 'tpro', 'one', '1.0', true, now() + interval '1 hour');
INSERT INTO tpro.known_method (service_name, space_name, copy, entity, method_name, mode, body_schema)
VALUES ('echo', 'tpro', 'one', 'bench', 'echo', 'default', '{"type": "object",
    "properties": {"ip": {"type": "string"}, "login": {"type": "string"}, "password": {"type": "string"}},
    "required": ["ip", "login", "password"]}');"#;

/// A message as the demo publishes it.
pub fn insert(table: &str, direct: bool) -> String {
    format!(
        r#"INSERT INTO main_service.{table} (protocol,space_name,service_name,entity,method_name,timeout,headers,body,direct)
VALUES ('jsonrpc','tpro','echo','bench','echo',15,'{{"request":{{"type":"single"}}, "content-language":"ru-RU"}}','{{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}}',{direct});"#
    )
}

/// A message with an equal body, by a function.
pub fn call(function: &str) -> String {
    format!(
        r#"SELECT {function}('echo','bench','echo','{{"ip":"172.19.0.8", "login":"login342", "password":"phnd26w"}}');"#
    )
}

/// A database with the clone beside the outbox.
pub async fn database_with_clone(stand: &Stand) -> Outcome<Database> {
    let database = stand.database().await?;
    database.connect().await?.batch_execute(CLONE).await.context("making the clone")?;
    Ok(database)
}

/// A database with the clone and a function of SQL that inserts into it, for publishers without a
/// dispatcher. It knows what the method takes.
pub async fn database_with_function(stand: &Stand) -> Outcome<Database> {
    let database = database_with_clone(stand).await?;
    let admin = database.connect().await?;
    admin.batch_execute(FUNCTION).await.context("making the function of the floor")?;
    admin.batch_execute(KNOWN).await.context("saying what echo takes")?;
    Ok(database)
}
