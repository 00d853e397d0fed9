"""Server sessions: their settings, state, lock waits and timeouts, and the protection of passwords."""
