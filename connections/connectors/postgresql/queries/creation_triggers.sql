-- Event triggers that act on CREATE TABLE, but not on the move of a table to another schema.
SELECT 'event_trigger', e.evtname
FROM pg_event_trigger e
WHERE e.evtevent IN ('ddl_command_start', 'ddl_command_end') AND e.evtenabled <> 'D'
AND (e.evttags IS NULL OR 'CREATE TABLE' = ANY (e.evttags))
ORDER BY 2
