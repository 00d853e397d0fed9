-- Publications that would publish a new logged table of a schema, because they publish all tables or those of the
-- schema; also those that publish one of its tables. Parameters: the schema, twice.
SELECT p.pubname
FROM pg_publication p
WHERE p.puballtables
OR EXISTS (SELECT 1 FROM pg_publication_tables t WHERE t.pubname = p.pubname AND t.schemaname = %s)
-- a schema without tables; pg_publication_namespace exists since version 15
OR EXISTS (
  SELECT 1 FROM pg_depend d JOIN pg_depend o ON (o.classid, o.objid) = (d.classid, d.objid)
  JOIN pg_namespace n ON o.refclassid = 'pg_namespace'::regclass AND n.oid = o.refobjid
  WHERE d.classid = to_regclass('pg_catalog.pg_publication_namespace')
  AND d.refclassid = 'pg_publication'::regclass AND d.refobjid = p.oid AND n.nspname = %s)
ORDER BY 1
