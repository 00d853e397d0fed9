-- Columns of a table or view by position: name, type, nullability, kind of the type, base type of a domain, comment,
-- identity (a always, d by default), generated (s stored, v virtual), default or generation expression, the collation
-- if under it different texts can be equal, whether the table is unlogged, kind of the relation, whether triggers may set
-- columns of a new row, and what a view or a foreign table accepts (bits of pg_relation_is_updatable).
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, t.typtype,
       CASE WHEN t.typtype = 'd' THEN (
         WITH RECURSIVE chain (type, modifier, depth) AS (
           SELECT t.typbasetype, t.typtypmod, 1
           UNION ALL
           SELECT d.typbasetype, d.typtypmod, depth + 1
           FROM chain JOIN pg_type d ON d.oid = chain.type AND d.typtype = 'd'
         )
         SELECT format_type(type, modifier) FROM chain ORDER BY depth DESC LIMIT 1
       ) END,
       coalesce(col_description(c.oid, a.attnum), ''),
       -- attgenerated exists since PostgreSQL 12
       a.attidentity::text, coalesce(to_jsonb(a) ->> 'attgenerated', ''),
       coalesce((SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
                 WHERE d.adrelid = c.oid AND d.adnum = a.attnum), ''),
       -- collisdeterministic exists since PostgreSQL 12
       coalesce((SELECT quote_ident(s.nspname) || '.' || quote_ident(l.collname)
                 FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace
                 WHERE l.oid = a.attcollation AND to_jsonb(l) ->> 'collisdeterministic' = 'false'), ''),
       c.relpersistence = 'u', c.relkind::text,
       c.relkind NOT IN ('r', 'p') OR c.relhastriggers AND EXISTS (
         SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal AND g.tgtype & 4 <> 0
       ),
       CASE WHEN c.relkind IN ('v', 'f') THEN pg_relation_is_updatable(c.oid, true) END
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY a.attnum
