-- what prevents the exchange of the table, as pairs of a word and the name of an object; its parameters are schema and
-- name
WITH own AS (
  SELECT table_oid, schema_name, table_name FROM duckdb_tables()
  WHERE database_name = current_database() AND schema_name = ? AND table_name = ?
), keys AS (
  SELECT lower(schema_name) AS schema_name, table_name, referenced_table FROM duckdb_constraints()
  WHERE constraint_type = 'FOREIGN KEY' AND database_name = current_database()
)
SELECT DISTINCT 'references' AS what, k.referenced_table AS name
FROM own o JOIN keys k ON k.schema_name = lower(o.schema_name) AND lower(k.table_name) = lower(o.table_name)
UNION ALL
SELECT DISTINCT 'referencing', k.table_name
FROM own o JOIN keys k ON k.schema_name = lower(o.schema_name) AND lower(k.referenced_table) = lower(o.table_name)
WHERE lower(k.table_name) <> lower(o.table_name)
UNION ALL
-- other than its indexes, which are created anew: views, with the setting enable_view_dependencies
SELECT 'dependent', coalesce('view ' || v.view_name, 'another object')
FROM own o JOIN duckdb_dependencies() d ON d.objid = o.table_oid LEFT JOIN duckdb_views() v ON v.view_oid = d.refobjid
WHERE d.refobjid NOT IN (SELECT index_oid FROM duckdb_indexes() UNION ALL SELECT table_oid FROM duckdb_tables())
UNION ALL
-- the definition of a column contains the members of an enum, not its name; a default needs its sequence in any table
SELECT 'type', coalesce(y.type_name, 'another object')
FROM own o JOIN duckdb_dependencies() d ON d.refobjid = o.table_oid LEFT JOIN duckdb_types() y ON y.type_oid = d.objid
WHERE d.objid NOT IN (SELECT sequence_oid FROM duckdb_sequences() UNION ALL SELECT table_oid FROM duckdb_tables())
UNION ALL
-- its index would be in memory while rows are staged, which takes little otherwise
SELECT 'key', c.constraint_text
FROM own o JOIN duckdb_constraints() c USING (table_oid) WHERE c.constraint_type IN ('PRIMARY KEY', 'UNIQUE')
ORDER BY ALL
