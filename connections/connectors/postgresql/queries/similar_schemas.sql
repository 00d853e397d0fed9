-- schemas whose name may be read as the given one: it differs only in case, quotes or brackets, has blanks around it, or
-- is not ASCII
SELECT nspname
FROM pg_namespace
WHERE (translate(lower(nspname), '[]"`', '') = %s OR nspname ~ '^\s|\s$|[^ -~]') AND nspname <> %s
ORDER BY 1
