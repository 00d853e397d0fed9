-- The lock that one session waits for, and each session that holds it or waits ahead: lock type, table, mode, first key
-- of an advisory lock; process id (0 for a prepared transaction), application, user, state, start of the transaction
-- and statement, as far as this role may see them.
SELECT DISTINCT l.locktype,
       coalesce(l.relation, t.relation)::regclass::text,
       l.mode, l.classid::bigint,
       b.pid, a.application_name, a.usename::text, a.state,
       to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
       left(a.query, 200)
FROM pg_locks l
-- a session that waits for a row waits for the transaction that changed it, and holds a tuple lock on the row
LEFT JOIN LATERAL (
  SELECT q.relation FROM pg_locks q WHERE q.pid = l.pid AND q.locktype = 'tuple' AND q.granted LIMIT 1
) t ON true
CROSS JOIN LATERAL unnest(pg_blocking_pids(l.pid)) b (pid)
LEFT JOIN pg_stat_activity a ON a.pid = b.pid
WHERE l.pid = %s AND NOT l.granted
ORDER BY b.pid
