-- columns of one table or view whose collation is nondeterministic: texts that differ can be equal there
SELECT a.attname::text, quote_ident(s.nspname) || '.' || quote_ident(l.collname)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_collation l ON l.oid = a.attcollation
JOIN pg_namespace s ON s.oid = l.collnamespace
-- the column came with PostgreSQL 12
WHERE n.nspname = %s AND c.relname = %s AND to_jsonb(l) ->> 'collisdeterministic' = 'false'
