-- The identity of server and database, independent of the host name used to connect; a standby has that of its primary.
SELECT
    (SELECT s.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() s),
    d.oid::pg_catalog.text
FROM pg_catalog.pg_database d
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
