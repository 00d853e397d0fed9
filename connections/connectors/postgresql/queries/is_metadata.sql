-- Whether the tables of Pipekit's metadata stand together in a schema of this database. Needs no rights. The session's
-- search_path decides nothing here.
SELECT EXISTS (
    SELECT c.relnamespace
    FROM pg_catalog.pg_class c
    WHERE c.relname OPERATOR(pg_catalog.=) ANY (CAST('{tables}' AS pg_catalog.name[]))
    GROUP BY c.relnamespace
    HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) {count}
)
