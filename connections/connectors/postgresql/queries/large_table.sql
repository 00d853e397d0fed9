-- Whether a table exists, occupies at least a number of bytes, and nothing of others depends on it, such as a view.
SELECT pg_total_relation_size(c.oid) >= %s AND NOT EXISTS (
    SELECT FROM pg_depend d
    WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.deptype = 'n'
)
FROM pg_class c
WHERE c.oid = to_regclass(%s)
