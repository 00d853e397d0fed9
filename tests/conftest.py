"""Real databases for every test: one embedded PostgreSQL a session, one database a test."""

from __future__ import annotations

import signal

import hypothesis

pytest_plugins = ["tests.fix_postgresql", "tests.fix_metadata", "tests.fix_engine", "tests.fix_modules"]

# a busy machine is slow, not wrong; and "too slow to generate" is the same finding
hypothesis.settings.register_profile(
    "unhurried", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("unhurried")

# under nohup, or in the background of a script, they are ignored: every child that a test interrupts would inherit that
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
