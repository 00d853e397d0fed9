"""The connector of SQL Server."""
