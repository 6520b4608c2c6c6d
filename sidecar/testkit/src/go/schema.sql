-- The schema of a service of the Go system, from its facts: plain tables, no rules, a trigger that numbers the messages of each target
-- and one that notifies.
CREATE SCHEMA @schema@;
CREATE TABLE @schema@.mq_publish (
    id serial NOT NULL,
    mq_id integer NOT NULL,
    protocol text NOT NULL,
    space_name text NOT NULL,
    service_name text NOT NULL,
    entity text,
    method_name text NOT NULL,
    timeout integer NOT NULL,
    headers jsonb NOT NULL,
    body jsonb NOT NULL,
    created_at timestamp NOT NULL DEFAULT now(),
    direct boolean NOT NULL DEFAULT false,
    reply_to text,
    PRIMARY KEY (mq_id, service_name)
);
CREATE TABLE @schema@.mq_receive (
    mq_id integer NOT NULL,
    service_name text NOT NULL,
    received_at timestamp NOT NULL DEFAULT now(),
    PRIMARY KEY (mq_id, service_name)
);
-- It names the schema in its text, which a renaming of the schema does not follow.
CREATE FUNCTION @schema@.number() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.mq_id := 1 + coalesce((SELECT max(p.mq_id) FROM @schema@.mq_publish p WHERE p.service_name = NEW.service_name), 0);
    RETURN NEW;
END
$$;
CREATE FUNCTION @schema@.notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('task_for_@schema@', NEW.id::text);
    RETURN NULL;
END
$$;
CREATE TRIGGER number BEFORE INSERT ON @schema@.mq_publish FOR EACH ROW EXECUTE FUNCTION @schema@.number();
CREATE TRIGGER notify AFTER INSERT OR UPDATE ON @schema@.mq_publish FOR EACH ROW WHEN (NOT NEW.direct)
    EXECUTE FUNCTION @schema@.notify();
