-- Undoes sql/login.sql: the service's schema with everything in it, settled or not, and its roles. Run by `make down-all-NAME`.
--   psql -v name=billing -f sql/logout.sql
\set ON_ERROR_STOP on

BEGIN;
-- Rights that the service's groups have outside of its schema would keep the groups.
SELECT format('DROP OWNED BY %I', r.rolname) FROM pg_roles r WHERE r.rolname IN (:'name' || '_publisher', :'name' || '_sidecar') \gexec
SELECT tpro.drop_service(:'name', force => true) WHERE to_regnamespace(quote_ident(:'name' || '_service')) IS NOT NULL;
-- The role owns nothing that outlives it here; what it has in other databases of the cluster keeps it, with an error that says so.
SELECT format('DROP OWNED BY %1$I; DROP ROLE %1$I', :'name') WHERE EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
COMMIT;
