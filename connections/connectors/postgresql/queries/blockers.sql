-- the lock that one session waits for, and each session that holds it or waits before it: kind, table, mode, first half
-- of the name of an advisory lock; process id (0: a prepared transaction), application, user, state, since when its
-- transaction is open, and its statement, as far as this role may see them
SELECT DISTINCT l.locktype,
       coalesce(l.relation, t.relation)::regclass::text,
       l.mode, l.classid::bigint,
       b.pid, a.application_name, a.usename::text, a.state,
       to_char(a.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
       left(a.query, 200)
FROM pg_locks l
-- who waits for a row waits for the transaction that changed it, and holds the row's place in the queue
LEFT JOIN LATERAL (
  SELECT q.relation FROM pg_locks q WHERE q.pid = l.pid AND q.locktype = 'tuple' AND q.granted LIMIT 1
) t ON true
CROSS JOIN LATERAL unnest(pg_blocking_pids(l.pid)) b (pid)
LEFT JOIN pg_stat_activity a ON a.pid = b.pid
WHERE l.pid = %s AND NOT l.granted
ORDER BY b.pid
