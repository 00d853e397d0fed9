-- tables whose name differs from the given one only in case, quotes or brackets
SELECT n.nspname, c.relname
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND translate(lower(n.nspname), '[]"`', '') = %s AND translate(lower(c.relname), '[]"`', '') = %s
ORDER BY n.nspname, c.relname
LIMIT 5
