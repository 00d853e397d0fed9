-- Change the owner of the objects that the superuser created in this database to the role pipekit. Objects of the system
-- and of extensions are not changed; dependent objects (a serial column's sequence, a table's row type) follow theirs.
DO $$
DECLARE
    superuser oid := (SELECT oid FROM pg_roles WHERE rolname = 'postgres');
    found record;
BEGIN
    FOR found IN
        SELECT nspname FROM pg_namespace
        WHERE nspowner = superuser AND nspname !~ '^pg_' AND nspname <> 'information_schema'
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_namespace'::regclass AND objid = pg_namespace.oid AND deptype = 'e')
    LOOP
        EXECUTE format('ALTER SCHEMA %I OWNER TO pipekit', found.nspname);
    END LOOP;
    FOR found IN
        SELECT c.oid::regclass::text AS name, c.relkind
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relowner = superuser AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = c.oid AND deptype IN ('a', 'e', 'i') AND (deptype = 'e' OR c.relkind = 'S'))
        -- the owner of the indexes changes with that of their table
        ORDER BY c.oid
    LOOP
        EXECUTE format(
            'ALTER %s %s OWNER TO pipekit',
            CASE found.relkind
                WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
                WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE'
            END,
            found.name
        );
    END LOOP;
    FOR found IN
        SELECT p.oid::regprocedure::text AS name, CASE p.prokind WHEN 'a' THEN 'AGGREGATE' ELSE 'ROUTINE' END AS kind
        FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
        WHERE p.proowner = superuser AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_proc'::regclass AND objid = p.oid AND deptype IN ('e', 'i'))
    LOOP
        EXECUTE format('ALTER %s %s OWNER TO pipekit', found.kind, found.name);
    END LOOP;
    FOR found IN
        SELECT t.oid::regtype::text AS name
        FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
        LEFT JOIN pg_class c ON c.oid = t.typrelid
        WHERE t.typowner = superuser AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
            AND t.typtype IN ('c', 'd', 'e', 'r') AND coalesce(c.relkind, 'c') = 'c'
            AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_type'::regclass AND objid = t.oid AND deptype = 'e')
    LOOP
        EXECUTE format('ALTER TYPE %s OWNER TO pipekit', found.name);
    END LOOP;
END
$$
