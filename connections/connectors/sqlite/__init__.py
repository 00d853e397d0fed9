"""The connector of SQLite."""
