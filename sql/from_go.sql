-- A service of the Go system becomes a service of tpro: its schema is set aside as NAME_service_go, a new one is made, and what was
-- not sent is published in it. One transaction; publishers wait for milliseconds. By hand, as a superuser, in psql 13 or newer:
--   psql -v name=main -v after=1234 -v login=app -f sql/from_go.sql
-- `after`: the id up to which the Go copies have sent. `login`: the role by which the application and the copies log in, optional.
-- `tpro migrate run NAME --after ID --login ROLE` does the same, and tries again while others hold the table. First of all:
--   psql -v name=main -v check=yes -f sql/from_go.sql            what the new rules would refuse; changes nothing
-- docs/migration.md has the steps around it.
\set ON_ERROR_STOP on
\ir from_go/functions.sql
\if :{?check}
SELECT * FROM pg_temp.from_go_check(:'name');
\else
\if :{?login}
\else
\set login ''
\endif
SELECT * FROM pg_temp.from_go_run(:'name', :'after', :'login');
\endif
