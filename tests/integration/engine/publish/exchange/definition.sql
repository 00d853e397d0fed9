-- All catalogue rows about the table sync.t, except for OIDs, numbers of columns, and what depends on the rows.
WITH t AS (SELECT * FROM pg_class WHERE oid = 'sync.t'::regclass),
relations AS (
  SELECT c.* FROM pg_class c WHERE c.oid IN (SELECT oid FROM t UNION ALL SELECT indexrelid FROM pg_index, t WHERE indrelid = t.oid)
)
SELECT 'relation' AS part, r.relname::text AS name,
  to_jsonb(r) - '{oid,relfilenode,relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid}'::text[]
    - '{reltype,reltoastrelid,relacl,relnatts}'::text[]
  || jsonb_build_object(
    'comment', obj_description(r.oid, 'pg_class'),
    'toast', (SELECT x.reloptions FROM pg_class x WHERE x.oid = r.reltoastrelid),
    'privileges', (SELECT jsonb_agg(to_jsonb(a) ORDER BY a::text)
                   FROM aclexplode(coalesce(r.relacl, acldefault('r', r.relowner))) a)) AS facts
FROM relations r
UNION ALL
SELECT 'column', r.relname || '.' || a.attname,
  to_jsonb(a) - '{attrelid,attnum,attndims,attcacheoff,attmissingval,atthasmissing,attacl}'::text[]
  || jsonb_build_object(
    'position', row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum),
    'comment', col_description(a.attrelid, a.attnum),
    'default', (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d WHERE (d.adrelid, d.adnum) = (a.attrelid, a.attnum)),
    'privileges', (SELECT jsonb_agg(to_jsonb(x) ORDER BY x::text) FROM aclexplode(a.attacl) x))
FROM relations r JOIN pg_attribute a ON a.attrelid = r.oid WHERE a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT 'constraint', k.conname,
  to_jsonb(k) - '{oid,conrelid,conindid,conkey,confkey,conbin,confrelid}'::text[]
  || jsonb_build_object('definition', pg_get_constraintdef(k.oid), 'comment', obj_description(k.oid, 'pg_constraint'),
                        'index', k.conindid::regclass, 'referenced', k.confrelid::regclass)
FROM pg_constraint k, t WHERE k.conrelid = t.oid
UNION ALL
SELECT 'index', i.indexrelid::regclass::text,
  to_jsonb(i) - '{indexrelid,indrelid,indkey,indexprs,indpred,indcheckxmin}'::text[]
  || jsonb_build_object('definition', pg_get_indexdef(i.indexrelid))
FROM pg_index i, t WHERE i.indrelid = t.oid
UNION ALL
SELECT 'statistics', s.stxname,
  to_jsonb(s) - '{oid,stxrelid,stxkeys,stxexprs}'::text[]
  || jsonb_build_object('definition', pg_get_statisticsobjdef(s.oid), 'comment', obj_description(s.oid, 'pg_statistic_ext'))
FROM pg_statistic_ext s, t WHERE s.stxrelid = t.oid
UNION ALL
SELECT 'type', y.typname, jsonb_build_object('owner', y.typowner, 'schema', y.typnamespace)
FROM pg_type y, t WHERE y.oid = t.reltype
UNION ALL
SELECT 'files', count(*)::text, to_jsonb(array_agg(DISTINCT r.reltablespace)) FROM relations r
ORDER BY 1, 2
