-- For types by name: the kind of the type (b base, e enum, r range, m multirange, ...), whether it is an array, and the
-- kind, the name and whether it is built in of the type itself or, for an array, of its elements.
SELECT x.name, t.typtype::text, (t.typcategory = 'A')::boolean, coalesce(e.typtype, t.typtype)::text,
       coalesce(e.typname, t.typname)::text, coalesce(e.typnamespace, t.typnamespace) = 'pg_catalog'::regnamespace
FROM unnest(%s::text[]) AS x(name)
JOIN pg_type t ON t.oid = to_regtype(x.name)
LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
