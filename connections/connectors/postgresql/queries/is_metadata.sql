-- Whether a schema of this database contains all tables of Pipekit's metadata. Needs no privileges, and does not depend
-- on the session's search_path.
SELECT EXISTS (
    SELECT c.relnamespace
    FROM pg_catalog.pg_class c
    WHERE c.relname OPERATOR(pg_catalog.=) ANY (CAST('{tables}' AS pg_catalog.name[]))
    GROUP BY c.relnamespace
    HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) {count}
)
