-- Everything that an exchange of tables carries over, one row per part of a table: what the part is (table, column,
-- constraint, index, statistics), its name, and its properties; and as part "session" the user, and what the server
-- adds to new tables of the session: default privileges and settings. Parameters: schema and name of the table. Executed
-- with pg_catalog as the whole search_path, so that definitions name every schema.
WITH t AS (
  SELECT c.*, n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'
),
-- columns that exist in some versions only are read through jsonb
attributes AS (
  SELECT a.*, to_jsonb(a) AS properties, row_number() OVER (ORDER BY a.attnum) AS position
  FROM pg_attribute a JOIN t ON a.attrelid = t.oid
  WHERE a.attnum > 0 AND NOT a.attisdropped
)
SELECT 'table' AS part, '' AS name, jsonb_build_object(
  'owner', pg_get_userbyid(t.relowner),
  'persistence', t.relpersistence,
  'access_method', (SELECT m.amname FROM pg_am m WHERE m.oid = t.relam),
  'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = t.reltablespace),
  'options', to_jsonb(coalesce(t.reloptions, '{}') || ARRAY(
    SELECT 'toast.' || o FROM pg_class x, unnest(x.reloptions) WITH ORDINALITY r (o, n) WHERE x.oid = t.reltoastrelid
    ORDER BY n)),
  'replica_identity', t.relreplident,
  'comment', obj_description(t.oid, 'pg_class'),
  'privileges', (
    SELECT jsonb_agg(jsonb_build_array(
             CASE x.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(x.grantee) END, x.privilege_type, x.is_grantable)
             ORDER BY x.grantee, x.privilege_type)
    FROM aclexplode(coalesce(t.relacl, acldefault('r', t.relowner))) x),
  'all_privileges', (
    SELECT jsonb_agg(x.privilege_type ORDER BY x.privilege_type) FROM aclexplode(acldefault('r', t.relowner)) x)
) AS properties
FROM t
UNION ALL
SELECT 'session', '', jsonb_build_object(
  'user', current_user,
  -- roles whose privileges on a new table depend on default privileges, NULL for PUBLIC; the user may have fewer, too
  'default_grantees', (
    SELECT jsonb_agg(DISTINCT CASE x.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(x.grantee) END)
    FROM pg_default_acl d
    CROSS JOIN LATERAL (SELECT e.grantee FROM aclexplode(d.defaclacl) e UNION SELECT d.defaclrole) x
    WHERE d.defaclobjtype = 'r' AND d.defaclrole = (SELECT r.oid FROM pg_roles r WHERE r.rolname = current_user)),
  'default_tablespace', nullif(current_setting('default_tablespace'), ''),
  'default_access_method', current_setting('default_table_access_method')
)
FROM t
UNION ALL
SELECT 'column', a.attname, jsonb_build_object(
  'position', a.position,
  'type', format_type(a.atttypid, a.atttypmod),
  'collation', (SELECT quote_ident(s.nspname) || '.' || quote_ident(l.collname)
                FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace WHERE l.oid = a.attcollation),
  'not_null', a.attnotnull,
  'default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum),
  'identity', a.attidentity,
  'generated', a.properties -> 'attgenerated',
  'storage', a.attstorage,
  'compression', a.properties -> 'attcompression',
  'statistics', nullif(a.properties ->> 'attstattarget', '-1'),
  'options', to_jsonb(a.attoptions),
  'comment', col_description(a.attrelid, a.attnum),
  'privileges', (
    SELECT jsonb_agg(jsonb_build_array(
             CASE x.grantee WHEN 0 THEN NULL ELSE pg_get_userbyid(x.grantee) END, x.privilege_type, x.is_grantable)
             ORDER BY x.grantee, x.privilege_type)
    FROM aclexplode(a.attacl) x)
)
FROM attributes a
UNION ALL
-- constraints without an index
SELECT 'constraint', k.conname, jsonb_build_object(
  'type', k.contype,
  -- the name of the table itself in a reference to it is left out
  'definition', CASE WHEN k.confrelid = t.oid
                     THEN replace(pg_get_constraintdef(k.oid), format(' REFERENCES %%I.%%I(', t.nspname, t.relname),
                                  ' REFERENCES (')
                     ELSE pg_get_constraintdef(k.oid) END,
  'own', coalesce(k.confrelid = t.oid, false),
  -- another table that it references, if the user may lock it
  'lockable', (SELECT r.oid::regclass::text FROM pg_class r WHERE r.oid = k.confrelid AND r.oid <> t.oid
               AND has_table_privilege(r.oid, 'UPDATE, DELETE, TRUNCATE')),
  'comment', obj_description(k.oid, 'pg_constraint')
)
FROM t JOIN pg_constraint k ON k.conrelid = t.oid
WHERE k.contype IN ('c', 'n', 'f') AND k.conparentid = 0
UNION ALL
SELECT 'index', x.relname, jsonb_build_object(
  'unique', i.indisunique,
  -- without CREATE INDEX name ON table USING
  'definition', substr(
    pg_get_indexdef(i.indexrelid),
    length(format('CREATE %%sINDEX %%I ON %%I.%%I USING ', CASE WHEN i.indisunique THEN 'UNIQUE ' END, x.relname,
                  t.nspname, t.relname)) + 1),
  'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = x.reltablespace),
  'clustered', i.indisclustered,
  'replica_identity', i.indisreplident,
  'comment', obj_description(x.oid, 'pg_class'),
  'statistics', (SELECT jsonb_object_agg(a.attnum, to_jsonb(a) -> 'attstattarget') FROM pg_attribute a
                 WHERE a.attrelid = x.oid AND nullif(to_jsonb(a) ->> 'attstattarget', '-1') IS NOT NULL),
  'constraint', CASE WHEN k.oid IS NOT NULL THEN jsonb_build_object(
    'type', k.contype,
    'period', coalesce((to_jsonb(k) ->> 'conperiod')::boolean, false),
    'definition', pg_get_constraintdef(k.oid),
    'deferrable', k.condeferrable,
    'deferred', k.condeferred,
    'comment', obj_description(k.oid, 'pg_constraint')) END
)
FROM t
JOIN pg_index i ON i.indrelid = t.oid
JOIN pg_class x ON x.oid = i.indexrelid
LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.conrelid = t.oid AND k.contype IN ('p', 'u', 'x')
UNION ALL
SELECT 'statistics', s.stxname, jsonb_build_object(
  'schema', n.nspname,
  'owner', pg_get_userbyid(s.stxowner),
  -- without CREATE STATISTICS name and FROM table
  'definition', substr(
    left(pg_get_statisticsobjdef(s.oid), -length(format(' FROM %%I.%%I', t.nspname, t.relname))),
    length(format('CREATE STATISTICS %%I.%%I ', n.nspname, s.stxname)) + 1),
  'target', nullif(to_jsonb(s) ->> 'stxstattarget', '-1'),
  'comment', obj_description(s.oid, 'pg_statistic_ext')
)
FROM t JOIN pg_statistic_ext s ON s.stxrelid = t.oid JOIN pg_namespace n ON n.oid = s.stxnamespace
ORDER BY 1, 2
