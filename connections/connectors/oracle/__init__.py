"""The connector of Oracle."""
