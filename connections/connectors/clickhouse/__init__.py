"""The connector of ClickHouse."""
