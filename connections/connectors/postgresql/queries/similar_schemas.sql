-- Schemas whose names may be similar to the given one: differ only in case, quotes or brackets, have surrounding blanks,
-- or are not ASCII.
SELECT nspname
FROM pg_namespace
WHERE (translate(lower(nspname), '[]"`', '') = %s OR nspname ~ '^\s|\s$|[^ -~]') AND nspname <> %s
ORDER BY 1
