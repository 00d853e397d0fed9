"""The connector of DB2 for i (AS/400)."""
