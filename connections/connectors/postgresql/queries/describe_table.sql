-- columns of one table or view by position: name, type, nullability, type's kind, a domain's innermost type, comment
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, t.typtype,
       format_type(base.type, base.modifier), coalesce(col_description(c.oid, a.attnum), '')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN LATERAL (
  WITH RECURSIVE chain (type, modifier, depth) AS (
    SELECT t.typbasetype, t.typtypmod, 1 WHERE t.typtype = 'd'
    UNION ALL
    SELECT d.typbasetype, d.typtypmod, depth + 1 FROM chain JOIN pg_type d ON d.oid = chain.type AND d.typtype = 'd'
  )
  SELECT type, modifier FROM chain ORDER BY depth DESC LIMIT 1
) base ON true
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY a.attnum
