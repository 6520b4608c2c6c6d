-- The catalogue of the extension and of one service, a fact a line, for comparing two databases.
--
-- $1 the service; its name is SERVICE in what comes out. Partitions of a day are one and the same, since two databases may
-- have been made on two days. Numbers of columns are their places, so that a column that an upgrade has added must be last in
-- the template too: an INSERT without a list of columns means the same in both. Columns of the catalogue that not all versions
-- of PostgreSQL have are read by their names.
WITH ours AS (
  SELECT n.oid, n.nspname FROM pg_namespace n WHERE n.nspname IN ('tpro', $1 || '_service')
), functions AS (
  SELECT p.*, 'function ' || p.oid::regprocedure AS what FROM pg_proc p JOIN ours ON ours.oid = p.pronamespace
), types AS (
  -- Not those that come with a table or an array.
  SELECT t.*, 'type ' || t.oid::regtype AS what FROM pg_type t JOIN ours ON ours.oid = t.typnamespace
   WHERE t.typrelid = 0 AND t.typelem = 0
), relations AS (
  SELECT c.*, ours.nspname || '.' || c.relname AS name, 'relation ' || ours.nspname || '.' || c.relname AS what
    FROM pg_class c JOIN ours ON ours.oid = c.relnamespace WHERE c.relkind <> 'i' AND c.relkind <> 'I'
), roles AS (
  SELECT r.*, 'role ' || r.rolname AS what FROM pg_roles r
   WHERE r.rolname IN ($1, $1 || '_publisher', $1 || '_sidecar', $1 || '_maintainer', 'tpro_owner', 'tpro_reader', 'tpro_operator')
), rights(what, item) AS (
  SELECT 'schema ' || n.nspname, unnest(coalesce(n.nspacl, acldefault('n', n.nspowner)))
    FROM pg_namespace n JOIN ours USING (oid)
  UNION ALL SELECT what, unnest(coalesce(proacl, acldefault('f', proowner))) FROM functions
  UNION ALL SELECT what, unnest(coalesce(typacl, acldefault('T', typowner))) FROM types
  UNION ALL SELECT what, unnest(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r' END, relowner))) FROM relations
  UNION ALL SELECT what || ' column ' || a.attname, unnest(a.attacl)
    FROM relations JOIN pg_attribute a ON a.attrelid = relations.oid
), facts(fact) AS (
  SELECT 'extension ' || e.extname || ' ' || e.extversion || ', owner ' || e.extowner::regrole || ', schema ' || e.extnamespace::regnamespace
    FROM pg_extension e WHERE e.extname = 'pg_tpro'
  UNION ALL
  SELECT 'extension dumps ' || t.config::regclass || ' where ' || quote_literal(e.extcondition[t.n])
    FROM pg_extension e, unnest(e.extconfig) WITH ORDINALITY AS t(config, n) WHERE e.extname = 'pg_tpro'
  UNION ALL
  SELECT 'extension has ' || pg_describe_object(d.classid, d.objid, d.objsubid)
    FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
   WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'pg_tpro'
  UNION ALL
  -- What pg_dump takes for granted, and leaves out.
  SELECT 'initial right of ' || pg_describe_object(i.classoid, i.objoid, i.objsubid) || ': ' || a.item
    FROM pg_init_privs i, LATERAL unnest(i.initprivs) AS a(item)
    JOIN pg_depend d ON true JOIN pg_extension e ON e.oid = d.refobjid
   WHERE d.classid = i.classoid AND d.objid = i.objoid AND d.deptype = 'e' AND e.extname = 'pg_tpro'
     AND d.refclassid = 'pg_extension'::regclass
  UNION ALL
  SELECT 'schema ' || n.nspname || ', owner ' || n.nspowner::regrole || ', comment ' || coalesce(obj_description(n.oid, 'pg_namespace'), '-')
    FROM pg_namespace n JOIN ours USING (oid)
  UNION ALL
  SELECT 'default rights in ' || d.defaclnamespace::regnamespace || ' of ' || d.defaclrole::regrole || ' ' || d.defaclobjtype::text || ': ' || d.defaclacl::text
    FROM pg_default_acl d JOIN ours ON ours.oid = d.defaclnamespace
  UNION ALL
  SELECT 'right to ' || what || ': ' || item FROM rights
  UNION ALL
  SELECT f.what || ' (' || pg_get_function_arguments(f.oid) || ') returns ' || coalesce(pg_get_function_result(f.oid), '-')
      || ', language ' || l.lanname || ', kind ' || f.prokind::text || ', ' || f.provolatile::text || ', parallel ' || f.proparallel::text
      || CASE WHEN f.proisstrict THEN ', strict' ELSE '' END || CASE WHEN f.prosecdef THEN ', definer' ELSE '' END
      || CASE WHEN f.proleakproof THEN ', leakproof' ELSE '' END || ', cost ' || f.procost || ', rows ' || f.prorows
      || ', settings ' || coalesce(f.proconfig::text, '-') || ', library ' || coalesce(f.probin, '-')
      || ', owner ' || f.proowner::regrole || ', comment ' || coalesce(obj_description(f.oid, 'pg_proc'), '-')
    FROM functions f JOIN pg_language l ON l.oid = f.prolang
  UNION ALL
  SELECT f.what || ', line ' || lpad(s.n::text, 3) || ': ' || s.line
    FROM functions f, regexp_split_to_table(f.prosrc, '\n') WITH ORDINALITY AS s(line, n)
  UNION ALL
  SELECT t.what || ', kind ' || t.typtype::text || ', of ' || t.typbasetype::regtype || CASE WHEN t.typnotnull THEN ', not null' ELSE '' END
      || ', default ' || coalesce(t.typdefault, '-') || ', owner ' || t.typowner::regrole
      || ', comment ' || coalesce(obj_description(t.oid, 'pg_type'), '-')
    FROM types t
  UNION ALL
  SELECT t.what || ', constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid)
      || ', comment ' || coalesce(obj_description(k.oid, 'pg_constraint'), '-')
    FROM types t JOIN pg_constraint k ON k.contypid = t.oid
  UNION ALL
  SELECT r.what || ', kind ' || r.relkind::text || ', owner ' || r.relowner::regrole || ', persistence ' || r.relpersistence::text
      || ', options ' || coalesce(r.reloptions::text, '-') || ', row security ' || r.relrowsecurity || r.relforcerowsecurity
      || ', identity ' || r.relreplident::text || ', tablespace ' || r.reltablespace
      || ', partitioned by ' || coalesce(CASE r.relkind WHEN 'p' THEN pg_get_partkeydef(r.oid) END, '-')
      || ', bounds ' || coalesce(pg_get_expr(r.relpartbound, r.oid), '-')
      || ', comment ' || coalesce(obj_description(r.oid, 'pg_class'), '-')
    FROM relations r
  UNION ALL
  SELECT r.what || ' inherits ' || i.inhparent::regclass || CASE WHEN (to_jsonb(i)->>'inhdetachpending')::bool THEN ', detach pending' ELSE '' END
    FROM relations r JOIN pg_inherits i ON i.inhrelid = r.oid
  UNION ALL
  SELECT r.what || ', column ' || count(*) OVER (PARTITION BY r.oid ORDER BY a.attnum) || ' ' || a.attname || ' '
      || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
      || ', default ' || coalesce(pg_get_expr(d.adbin, d.adrelid), '-') || ', generated ' || a.attgenerated::text || a.attidentity::text
      || ', stored ' || a.attstorage::text || coalesce(to_jsonb(a)->>'attcompression', '')
      || ', statistics ' || coalesce(a.attstattarget, -1)
      || ', collation ' || CASE a.attcollation WHEN 0 THEN '-' ELSE a.attcollation::regcollation::text END
      || ', comment ' || coalesce(col_description(r.oid, a.attnum), '-')
    FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
  UNION ALL
  SELECT r.what || ', index ' || pg_get_indexdef(x.indexrelid) || ', valid ' || x.indisvalid || x.indisready
      || ', owner ' || i.relowner::regrole || ', comment ' || coalesce(obj_description(i.oid, 'pg_class'), '-')
    FROM relations r JOIN pg_index x ON x.indrelid = r.oid JOIN pg_class i ON i.oid = x.indexrelid
  UNION ALL
  SELECT r.what || ', constraint ' || k.conname || ' ' || pg_get_constraintdef(k.oid) || ', validated ' || k.convalidated
      || ', inherited ' || k.coninhcount || k.conislocal || ', comment ' || coalesce(obj_description(k.oid, 'pg_constraint'), '-')
    FROM relations r JOIN pg_constraint k ON k.conrelid = r.oid
  UNION ALL
  SELECT r.what || ', trigger ' || pg_get_triggerdef(g.oid) || ', enabled ' || g.tgenabled::text || ', of a parent ' || (g.tgparentid <> 0)
      || ', comment ' || coalesce(obj_description(g.oid, 'pg_trigger'), '-')
    FROM relations r JOIN pg_trigger g ON g.tgrelid = r.oid WHERE NOT g.tgisinternal
  UNION ALL
  SELECT r.what || ', rule ' || w.rulename || ', enabled ' || w.ev_enabled::text || ', line ' || lpad(s.n::text, 3) || ': ' || s.line
    FROM relations r JOIN pg_rewrite w ON w.ev_class = r.oid,
         regexp_split_to_table(CASE r.relkind WHEN 'v' THEN pg_get_viewdef(r.oid) ELSE pg_get_ruledef(w.oid) END, '\n')
             WITH ORDINALITY AS s(line, n)
  UNION ALL
  SELECT r.what || ', policy ' || p.polname || ' for ' || p.polcmd::text FROM relations r JOIN pg_policy p ON p.polrelid = r.oid
  UNION ALL
  SELECT r.what || ', statistics ' || pg_get_statisticsobjdef(s.oid) FROM relations r JOIN pg_statistic_ext s ON s.stxrelid = r.oid
  UNION ALL
  SELECT r.what || ', sequence of ' || s.seqtypid::regtype || ' ' || s.seqstart || ' ' || s.seqincrement || ' ' || s.seqmin || ' '
      || s.seqmax || ' ' || s.seqcache || s.seqcycle
      || ', owned by ' || coalesce((SELECT pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) FROM pg_depend d
                                     WHERE d.objid = r.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'), '-')
    FROM relations r JOIN pg_sequence s ON s.seqrelid = r.oid
  UNION ALL
  SELECT r.what || ' ' || r.rolsuper || r.rolinherit || r.rolcreaterole || r.rolcreatedb || r.rolcanlogin || r.rolreplication
      || r.rolbypassrls || ', connections ' || r.rolconnlimit || ', comment ' || coalesce(shobj_description(r.oid, 'pg_authid'), '-')
    FROM roles r
  UNION ALL
  -- Of other services' roles each database of the cluster has others.
  SELECT 'role ' || m.member::regrole || ' is in ' || m.roleid::regrole || CASE WHEN m.admin_option THEN ' with admin' ELSE '' END
    FROM pg_auth_members m JOIN roles g ON g.oid = m.roleid JOIN roles r ON r.oid = m.member
  UNION ALL
  SELECT r.what || ', settings ' || s.setconfig::text
    FROM roles r JOIN pg_db_role_setting s ON s.setrole = r.oid
    JOIN pg_database d ON d.oid = s.setdatabase AND d.datname = current_database()
)
SELECT DISTINCT regexp_replace(
         regexp_replace(
           regexp_replace(regexp_replace(fact, '\m' || $1 || '(?=_service|_publisher|_sidecar|_maintainer|\M)', 'SERVICE', 'g'),
                          'p\d{8}_\d{8}', 'pDAY_DAY', 'g'),
           '''[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}''', '''DAY''', 'g'),
         'from \d{4}-\d\d-\d\d to below \d{4}-\d\d-\d\d', 'from DAY to below DAY', 'g') COLLATE "C"
  FROM facts ORDER BY 1
