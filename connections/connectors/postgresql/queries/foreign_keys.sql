-- Foreign keys that a DELETE from a table affects: name, referencing table and columns, referenced table and columns,
-- ON DELETE action, whether the referencing table is the table itself or a partition of it, whether it can be read, and
-- whether the table is a view (the keys are then those of the tables below it).
WITH RECURSIVE target (oid) AS (
  SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
  UNION
  SELECT below.oid
  FROM target t
  CROSS JOIN LATERAL (
    -- partitions and inheriting tables
    SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = t.oid
    UNION ALL
    -- what a view reads
    SELECT d.refobjid
    FROM pg_class v
    JOIN pg_rewrite r ON r.ev_class = v.oid
    JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
         AND d.refclassid = 'pg_class'::regclass AND d.refobjid <> v.oid
    WHERE v.oid = t.oid AND v.relkind = 'v'
  ) below (oid)
)
SELECT k.conname, cn.nspname, c.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY u (n, i)
             JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
       rn.nspname, r.relname,
       ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY u (n, i)
             JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i),
       k.confdeltype::text, k.conrelid IN (SELECT oid FROM target),
       -- a row security policy hides rows from a count, but not from a cascading DELETE
       has_table_privilege(k.conrelid, 'SELECT') AND NOT row_security_active(k.conrelid),
       EXISTS (SELECT 1 FROM target t JOIN pg_class v ON v.oid = t.oid WHERE v.relkind = 'v')
FROM target t
JOIN pg_constraint k ON k.confrelid = t.oid AND k.contype = 'f'
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace cn ON cn.oid = c.relnamespace
JOIN pg_class r ON r.oid = k.confrelid
JOIN pg_namespace rn ON rn.oid = r.relnamespace
-- partitions have copies of the keys of their table
WHERE NOT EXISTS (SELECT 1 FROM pg_constraint p JOIN target u ON u.oid = p.confrelid WHERE p.oid = k.conparentid)
-- NOT ENFORCED exists since PostgreSQL 18
AND coalesce((to_jsonb(k) ->> 'conenforced')::boolean, true)
ORDER BY cn.nspname, c.relname, k.conname
