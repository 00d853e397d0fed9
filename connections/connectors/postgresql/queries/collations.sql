-- Columns of a table or view with a nondeterministic collation, under which different texts can be equal.
SELECT a.attname::text, quote_ident(s.nspname) || '.' || quote_ident(l.collname)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_collation l ON l.oid = a.attcollation
JOIN pg_namespace s ON s.oid = l.collnamespace
-- collisdeterministic exists since PostgreSQL 12
WHERE n.nspname = %s AND c.relname = %s AND to_jsonb(l) ->> 'collisdeterministic' = 'false'
