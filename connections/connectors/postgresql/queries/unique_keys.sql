-- Unique keys of a table that ON CONFLICT can use: whether it is the primary key, the columns in index order, and for
-- each of these the nondeterministic collation of the index, or ''.
SELECT i.indisprimary, array_agg(a.attname::text ORDER BY k.position),
       array_agg(coalesce(by_index.name, '') ORDER BY k.position)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
     AND i.indpred IS NULL AND i.indexprs IS NULL
CROSS JOIN LATERAL unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1], (i.indcollation::oid[])[0:i.indnkeyatts - 1])
     WITH ORDINALITY AS k(attnum, coll, position)
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
LEFT JOIN LATERAL (
  SELECT quote_ident(s.nspname) || '.' || quote_ident(l.collname) AS name
  FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace
  -- collisdeterministic exists since PostgreSQL 12
  WHERE l.oid = k.coll AND to_jsonb(l) ->> 'collisdeterministic' = 'false'
) by_index ON true
LEFT JOIN LATERAL (
  SELECT l.oid FROM pg_collation l
  WHERE l.oid = a.attcollation AND to_jsonb(l) ->> 'collisdeterministic' = 'false'
) by_column ON true
WHERE n.nspname = %s AND c.relname = %s
-- a unique key does not cover tables that inherit from its table
AND (c.relkind = 'p' OR NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhparent = c.oid))
GROUP BY i.indexrelid, i.indisprimary
-- an index with another collation than its column is used only if the column has the default collation (oid 100)
HAVING bool_and(
  CASE WHEN by_column.oid IS NOT NULL THEN k.coll = a.attcollation
       ELSE by_index.name IS NULL OR a.attcollation = 100 END
)
ORDER BY i.indisprimary DESC, i.indexrelid
