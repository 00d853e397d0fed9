"""The connector of MySQL."""
