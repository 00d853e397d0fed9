-- The kind of the object that prevents creating a table of this name: a sequence, an index or a type.
SELECT c.relkind::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind NOT IN ('r', 'p', 'v', 'm', 'f')
UNION ALL
SELECT 'y'
FROM pg_type t
JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %s AND t.typname = %s AND t.typrelid = 0
-- the array type of another table is renamed when a table of its name is created
AND NOT EXISTS (SELECT 1 FROM pg_type e WHERE e.typarray = t.oid)
