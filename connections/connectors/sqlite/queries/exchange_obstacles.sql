-- what prevents the exchange of the table, as pairs of a word and the name of an object; its parameter is the name
WITH given (name) AS (VALUES (lower(?)))
-- the rows that replace others would not fire it
SELECT 'trigger', s.name FROM given g JOIN sqlite_schema s ON lower(s.tbl_name) = g.name WHERE s.type = 'trigger'
UNION ALL
-- in programs that enforce them the staged rows would prevent deletes from the other table, or be deleted
SELECT DISTINCT 'references', k."table" FROM given g, pragma_foreign_key_list(g.name) k
UNION ALL
-- they are checked for rows that lose what they reference
SELECT DISTINCT 'referencing', s.name
FROM given g, sqlite_schema s, pragma_foreign_key_list(s.name) k
WHERE s.type = 'table' AND s.sql LIKE '%references%' AND lower(k."table") = g.name AND lower(s.name) <> g.name
UNION ALL
-- the own tables of a virtual table are named after it
SELECT 'virtual', s.name FROM given g, sqlite_schema s
WHERE s.type = 'table' AND s.sql LIKE 'create virtual table%'
AND substr(g.name, 1, length(s.name) + 1) = lower(s.name) || '_'
UNION ALL
-- fewer rows could be staged than were read
SELECT 'conflict', s.name FROM given g JOIN sqlite_schema s ON lower(s.name) = g.name
WHERE s.type = 'table' AND s.sql LIKE '%conflict%'
ORDER BY 1, 2
