"""The life of a run: claim, launch, plan, execute, record, heartbeat, cancel, reap."""
