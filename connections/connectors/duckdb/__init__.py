"""The connector of DuckDB."""
