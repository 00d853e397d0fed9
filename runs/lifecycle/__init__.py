"""The life of a run: insert, launch, plan, execute, record, heartbeat, cancel, reap."""
