-- schemas whose name differs from the given one only in case, quotes or brackets
SELECT nspname FROM pg_namespace WHERE translate(lower(nspname), '[]"`', '') = %s AND nspname <> %s ORDER BY 1 LIMIT 5
