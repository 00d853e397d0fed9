(
  -- The schema of a table that is named without one: that of the first relation of this name in the session's search_path
  -- if it is a table or view, else the one in which the server would create the table. NULL if the path has no schema.
  SELECT coalesce(
    (SELECT n.nspname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.oid = to_regclass(quote_ident({name})) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')),
    current_schema()::text
  )
)
