-- The schema of a service of the Go system, from its facts: plain tables, no rules, a trigger that notifies.
CREATE SCHEMA @schema@;
CREATE TABLE @schema@.mq_publish (
    id bigserial PRIMARY KEY,
    mq_id bigint,
    protocol text,
    space_name text,
    service_name text,
    entity text,
    method_name text,
    timeout integer,
    headers jsonb,
    body jsonb,
    created_at timestamp DEFAULT now(),
    reply_to text,
    direct boolean DEFAULT false
);
CREATE TABLE @schema@.mq_receive (
    id bigserial PRIMARY KEY,
    mq_id bigint,
    from_service text,
    headers jsonb,
    body jsonb,
    created_at timestamp DEFAULT now()
);
CREATE FUNCTION @schema@.notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('task_for_@schema@', NEW.id::text);
    RETURN NEW;
END
$$;
CREATE TRIGGER notify AFTER INSERT OR UPDATE ON @schema@.mq_publish FOR EACH ROW EXECUTE FUNCTION @schema@.notify();
