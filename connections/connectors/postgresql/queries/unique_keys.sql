-- Unique keys of a table that ON CONFLICT can use: whether it is the primary key, the columns in index order, and for
-- each of these the nondeterministic collation of the index, or ''.
-- Subqueries, because as joins they take longer to plan than all of it to execute.
SELECT i.indisprimary, k.columns, k.collations
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_index i ON i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate
     AND i.indpred IS NULL AND i.indexprs IS NULL
CROSS JOIN LATERAL (
  SELECT array_agg(a.attname::text ORDER BY u.position), array_agg(coalesce(x.collation, '') ORDER BY u.position),
         -- an index with another collation than its column is used only if the column has the default one (oid 100)
         bool_and(u.coll = a.attcollation OR a.attcollation = 100 OR x.collation IS NULL AND NOT EXISTS (
           SELECT FROM pg_collation l WHERE l.oid = a.attcollation AND to_jsonb(l) ->> 'collisdeterministic' = 'false'
         ))
  FROM unnest((i.indkey::smallint[])[0:i.indnkeyatts - 1], (i.indcollation::oid[])[0:i.indnkeyatts - 1])
       WITH ORDINALITY AS u(attnum, coll, position)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = u.attnum
  CROSS JOIN LATERAL (
    -- collisdeterministic exists since PostgreSQL 12
    SELECT (SELECT quote_ident(s.nspname) || '.' || quote_ident(l.collname)
            FROM pg_collation l JOIN pg_namespace s ON s.oid = l.collnamespace
            WHERE l.oid = u.coll AND to_jsonb(l) ->> 'collisdeterministic' = 'false') AS collation
  ) x
) AS k(columns, collations, usable)
WHERE n.nspname = %s AND c.relname = %s AND k.usable
-- a unique key does not cover tables that inherit from its table
AND (c.relkind = 'p' OR NOT EXISTS (SELECT 1 FROM pg_inherits h WHERE h.inhparent = c.oid))
ORDER BY i.indisprimary DESC, i.indexrelid
