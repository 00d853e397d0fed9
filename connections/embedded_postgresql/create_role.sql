-- The role as which connections log in to an embedded server: it owns the databases and has no access outside of them.
-- Other roles lose the privileges to access the server's files or to start programs.
DO $$
DECLARE
    found record;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pipekit') THEN
        CREATE ROLE pipekit;
    END IF;
    ALTER ROLE pipekit LOGIN CREATEDB NOSUPERUSER NOCREATEROLE NOREPLICATION NOBYPASSRLS;
    GRANT pg_checkpoint TO pipekit;
    FOR found IN SELECT rolname FROM pg_roles WHERE rolsuper AND rolname <> 'postgres' LOOP
        EXECUTE format('ALTER ROLE %I NOSUPERUSER', found.rolname);
    END LOOP;
    FOR found IN
        SELECT g.rolname AS granted, m.rolname AS member
        FROM pg_auth_members a
        JOIN pg_roles g ON g.oid = a.roleid
        JOIN pg_roles m ON m.oid = a.member
        WHERE g.rolname IN ('pg_execute_server_program', 'pg_read_server_files', 'pg_write_server_files', 'postgres')
            AND NOT m.rolsuper
    LOOP
        EXECUTE format('REVOKE %I FROM %I CASCADE', found.granted, found.member);
    END LOOP;
    FOR found IN
        SELECT d.datname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba
        WHERE NOT d.datistemplate AND r.rolname = 'postgres'
    LOOP
        EXECUTE format('ALTER DATABASE %I OWNER TO pipekit', found.datname);
    END LOOP;
END
$$
