-- Publications that would publish a new logged table of a schema, because they publish all tables or those of the schema.
SELECT p.pubname
FROM pg_publication p
WHERE p.puballtables
OR EXISTS (SELECT 1 FROM pg_publication_tables t WHERE t.pubname = p.pubname AND t.schemaname = %s)
ORDER BY 1
