"""Reads and writes rows by compiled loops over SQLite's C API."""
