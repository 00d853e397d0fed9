-- Result types by position: display name, kind (b base, d domain, e enum, ...), base type of a domain, whether built in.
SELECT format_type(t.oid, x.modifier), t.typtype, format_type(base.type, base.modifier), n.nspname = 'pg_catalog',
       t.typcategory
FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY AS x(oid, modifier, position)
JOIN pg_type t ON t.oid = x.oid
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN LATERAL (
  WITH RECURSIVE chain (type, modifier, depth) AS (
    SELECT t.typbasetype, t.typtypmod, 1 WHERE t.typtype = 'd'
    UNION ALL
    SELECT d.typbasetype, d.typtypmod, depth + 1 FROM chain JOIN pg_type d ON d.oid = chain.type AND d.typtype = 'd'
  )
  SELECT type, modifier FROM chain ORDER BY depth DESC LIMIT 1
) base ON true
ORDER BY x.position
