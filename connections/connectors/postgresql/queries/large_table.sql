-- Whether a table exists, occupies at least a number of bytes, and may be renamed and dropped without losing anything:
-- this role may, nothing of others depends on the table or its row type, such as a view or a function, and no others
-- have privileges on it.
SELECT pg_total_relation_size(c.oid) >= %s
    AND pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE') AND c.relacl IS NULL
    AND NOT EXISTS (
        SELECT FROM pg_depend d
        WHERE d.deptype = 'n' AND (
            (d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid)
            OR (
                d.refclassid = 'pg_type'::regclass
                AND d.refobjid IN (c.reltype, (SELECT t.typarray FROM pg_type t WHERE t.oid = c.reltype))
            )
        )
    )
FROM pg_class c
WHERE c.oid = to_regclass(%s)
