-- result types by position: display name, kind (b base, d domain, e enum ...), the domain's base type, built in or not
SELECT format_type(t.oid, x.modifier), t.typtype, format_type(t.typbasetype, t.typtypmod), n.nspname = 'pg_catalog',
       t.typcategory
FROM unnest(%s::oid[], %s::int[]) WITH ORDINALITY AS x(oid, modifier, position)
JOIN pg_type t ON t.oid = x.oid
JOIN pg_namespace n ON n.oid = t.typnamespace
ORDER BY x.position
