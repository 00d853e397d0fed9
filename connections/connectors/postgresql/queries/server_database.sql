-- Which database of which server this is, whatever name led to it: the same for a standby, too.
SELECT
    (SELECT s.system_identifier::pg_catalog.text FROM pg_catalog.pg_control_system() s),
    d.oid::pg_catalog.text
FROM pg_catalog.pg_database d
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database()
