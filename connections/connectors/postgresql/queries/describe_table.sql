-- columns of one table or view by position: name, type, nullability, comment
SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, t.typtype,
       format_type(t.typbasetype, t.typtypmod), coalesce(col_description(c.oid, a.attnum), '')
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY a.attnum
