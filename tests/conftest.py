"""Real databases for every test: one embedded PostgreSQL a session, one database a test."""

from __future__ import annotations

pytest_plugins = ["tests.fix_postgresql", "tests.fix_metadata", "tests.fix_engine", "tests.fix_modules"]
