-- Whether triggers, rules, policies, or the tables behind a view or foreign table may discard rows inserted into a table.
WITH RECURSIVE tree (oid, is_top) AS (
  SELECT c.oid, true FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname = %s AND c.relname = %s
  UNION
  SELECT i.inhrelid, false FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid
)
SELECT coalesce(bool_or(
  c.relkind IN ('v', 'f') OR (tree.is_top AND (c.relhasrules OR c.relrowsecurity))
  OR EXISTS (SELECT 1 FROM pg_trigger g WHERE g.tgrelid = c.oid AND NOT g.tgisinternal)
), false)
FROM tree JOIN pg_class c ON c.oid = tree.oid
