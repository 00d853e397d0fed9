-- Tables whose names may be similar to the given one: differ only in case, quotes or brackets, have surrounding blanks,
-- or are not ASCII.
SELECT n.nspname, c.relname
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
AND (translate(lower(n.nspname), '[]"`', '') = %s OR n.nspname ~ '^\s|\s$|[^ -~]')
AND (translate(lower(c.relname), '[]"`', '') = %s OR c.relname ~ '^\s|\s$|[^ -~]')
ORDER BY n.nspname, c.relname
